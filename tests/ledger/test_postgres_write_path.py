"""The write path's own tests again, with the journal on PostgreSQL."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis_agents.ledger.postgres import PostgresStore
from tests.ledger.postgres_server import postgres_url, schema  # noqa: F401 - fixtures
from tests.tools.conftest import approved, system  # noqa: F401 - fixtures
from tests.tools.test_write_path import *  # noqa: F403 - its tests, and the fixture `path`
from tests.tools.test_write_path_edges import *  # noqa: F403


@pytest.fixture
def store(postgres_url: str, schema: str, tmp_path: Path) -> Iterator[PostgresStore]:
    found = PostgresStore(postgres_url, anchor=tmp_path / "anchor", schema=schema)
    yield found
    assert found.verify().entries > 0 or not found.entries()
    found.close()
