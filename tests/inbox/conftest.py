"""An inbox of the test's own, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.inbox.inboxes import Clock, Open, open_at, settings_of
from tests.ledger.postgres_server import postgres_url, schema  # noqa: F401 - fixtures


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    """The address of the database; None for SQLite."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def open_one(url: str | None, tmp_path: Path, schema: str, clock: Clock) -> Iterator[Open]:  # noqa: F811
    """Open the test's inbox once more; settings of the inbox by name, and `rates`, `clock`, `prioritise`."""
    opened = []

    def build(**given: Any) -> Any:
        named = {name: given.pop(name) for name in ("rates", "clock", "prioritise") if name in given}
        inbox = open_at(settings_of(tmp_path, url, schema, **given), **({"clock": clock} | named))
        opened.append(inbox)
        return inbox

    yield build
    for inbox in opened:
        inbox.close()
