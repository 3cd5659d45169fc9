"""Stores of either kind, and an Aegis over one."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.checkpoints import open_checkpointer
from aegis_agents.ledger import Store
from aegis_agents.ledger.opening import open_store
from tests.crash.worker import SureModel
from tests.graph.conftest import FakeFirewall, firewall, intel_home  # noqa: F401 - fixtures
from tests.ledger.postgres_server import postgres_url, schema  # noqa: F401 - fixtures


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str | None:
    """None for SQLite, else the address; a test that asks for it runs over both."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def open_one(database: str | None, schema: str, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Open the test's store once more, as another process would."""
    made: list[Store] = []

    def build() -> Store:
        made.append(open_store(database, tmp_path, schema=schema))
        return made[-1]

    yield build
    for store in made:
        store.close()


@pytest.fixture
def make(
    open_one: Callable[[], Store],
    database: str | None,
    schema: str,
    tmp_path: Path,
    firewall: FakeFirewall,
    intel_home: Any,
) -> Iterator[Callable[..., Aegis]]:
    """An Aegis over the test's store; each call is another process's."""
    made: list[Aegis] = []

    def build(**settings: Any) -> Aegis:
        named = {"model": SureModel(), "tools": [firewall], "intel": intel_home} | settings
        saver = open_checkpointer(tmp_path / "checkpoints.sqlite", database, schema=schema)
        made.append(Aegis(ledger=open_one(), checkpointer=saver, home=tmp_path, **named))
        return made[-1]

    yield build
    for aegis in made:
        aegis.graph.checkpointer.conn.close()
        aegis.close()
