"""The bench measures what it says it does."""

from __future__ import annotations

from pathlib import Path

from aegis_agents.settings import only
from evals.bench.inbox import BATCHES, TAKERS, _auc, _database, to_markdown


def test_it_measures_and_reports(tmp_path: Path) -> None:
    told = _database(lambda name: only(home=tmp_path / name), 25, 1)
    assert set(told["put a second"]) == set(BATCHES)
    assert set(told["take and done a second"]) == set(TAKERS)
    parts = {"parse": 1.0, "likeness": 0.1, "priority": 0.2}
    found = {
        "machine": {"cpus": 2, "python": "3", "load": 1.0}, "alerts": 25, "rounds": 1, "parts, ms": parts,
        "sqlite": told, "postgresql": "not installed", "priority": "AEGIS_DEV_DATA is not set",
    }  # fmt: skip
    assert "not installed" in to_markdown(found)


def test_auc_counts_pairs() -> None:
    assert _auc([3, 2], [1, 0]) == 1.0
    assert _auc([1], [1]) == 0.5
    assert _auc([0, 3], [1]) == 0.5
