"""Forty processes killed at work, half over SQLite and half over PostgreSQL; `make soak` kills hundreds."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.crash.campaign import Campaign, Report
from tests.crash.worker import SureModel
from tests.ledger.postgres_server import why_not

KILLS = 20
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")


def killed(folder: Path, database: str | None, seed: int) -> Report:
    from aegis_agents.intel import Intel

    Intel.open(folder / "intel", SureModel()).close()
    return Campaign(folder / "home", folder / "intel", database, seed).run(KILLS)


def shown(report: Report) -> None:
    assert report.breaches == []
    assert report.kills >= KILLS
    # Enough happened, and enough of it was cut off in the middle, for that to mean something.
    assert report.counts["incidents"] > 5
    assert report.counts["effective calls"] > 20
    assert sum(report.found.values()) > 5
    assert len(report.how) > 2  # on a busy machine few get as far as a named point


def test_twenty_kills_over_sqlite(tmp_path: Path) -> None:
    shown(killed(tmp_path, None, seed=20261126))


def test_twenty_kills_over_postgres(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if why := why_not():
        pytest.skip(why)
    shown(killed(tmp_path, request.getfixturevalue("postgres_url"), seed=20261127))
