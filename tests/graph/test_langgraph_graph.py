"""The graph that `langgraph.json` names, run here: what it takes in is a process's own, and shadow stays apart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aegis_agents import Aegis
from aegis_agents.recovering import is_shadow
from graphs import investigate
from tests.graph.conftest import ATTACK


@pytest.mark.parametrize("mode", ["live", "shadow"])
def test_a_run_is_owned_and_shadow_has_an_id_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: str
) -> None:
    monkeypatch.setenv("AEGIS_HOME", str(tmp_path))
    monkeypatch.setenv("AEGIS_MODE", mode)
    investigate._built.cache_clear()
    try:
        built = asyncio.run(investigate.graph())
        built.invoke({"alert": ATTACK})
    finally:
        investigate._built.cache_clear()
    with Aegis(home=tmp_path, mode="live") as live:
        (row,) = live.store.unfinished()
        assert is_shadow(row.incident_id) is (mode == "shadow")
        assert row.owner is not None
        assert (live.investigate(ATTACK).incident_id == row.incident_id) is (mode == "live")
