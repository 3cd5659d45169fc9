"""The bench asks the store for what it says it does, however commits are grouped."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.ledger import SqliteStore
from evals.bench.ledger import _incidents, investigate, measure, to_markdown


@pytest.mark.parametrize(("merged", "commits"), [(False, 7), (True, 5)])
def test_a_typical_incident_is_twelve_entries(tmp_path: Path, merged: bool, commits: int) -> None:
    with closing(SqliteStore(tmp_path / "aegis.sqlite")) as store:
        begun: list[int] = []
        real = store._begin

        def begin(*given: Any) -> None:
            begun.append(1)
            real(*given)

        store._begin = begin  # type: ignore[method-assign]
        ((incident, native),) = _incidents(1)
        investigate(store, incident, native, merged=merged)
        assert len(begun) == commits
        assert store.verify().entries == 12


def test_it_measures_and_reports(tmp_path: Path) -> None:
    text = to_markdown(measure(3, tmp_path, blocks=1, warm=2))
    assert "with signing, commits merged" in text
    assert "limit" in text
