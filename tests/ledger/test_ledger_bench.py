"""The bench asks the store for what it says it does, whatever is flushed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from aegis_agents.ledger import SqliteStore
from evals.bench.ledger import _incidents, investigate, measure, to_markdown


@pytest.mark.parametrize(("every", "flushed"), [(False, 4), (True, 7)])
def test_a_typical_incident_is_twelve_entries(tmp_path: Path, every: bool, flushed: int) -> None:
    with closing(SqliteStore(tmp_path / "aegis.sqlite")) as store:
        begun: list[bool] = []
        real = store._begin

        def begin(*, flush: bool) -> None:
            begun.append(flush)
            real(flush=flush)

        store._begin = begin  # type: ignore[method-assign]
        (given,) = _incidents(1)
        investigate(store, given, every=every)
        assert (len(begun), sum(begun)) == (7, flushed)
        assert store.verify().entries == 12


def test_it_measures_and_reports(tmp_path: Path) -> None:
    text = to_markdown(measure(3, tmp_path, blocks=1, warm=2))
    assert "with signing, all seven commits flushed" in text
    assert "limit" in text
