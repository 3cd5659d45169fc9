"""The whole path's own tests again, with intake, journal, ledger and checkpoints on PostgreSQL."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.checkpoints import open_checkpointer
from aegis_agents.errors import SettingsError
from aegis_agents.ledger.opening import open_store
from tests.graph.conftest import ATTACK, FakeFirewall, FakeModel, firewall, intel_home  # noqa: F401 - fixtures
from tests.graph.test_aegis import *  # noqa: F403 - its tests
from tests.graph.test_aegis import actions
from tests.ledger.postgres_server import postgres_url, schema  # noqa: F401 - fixtures

Make = Callable[..., Aegis]


@pytest.fixture
def make(
    tmp_path: Path,
    firewall: FakeFirewall,
    intel_home: Any,
    postgres_url: str,
    schema: str,
) -> Iterator[Make]:
    made: list[Aegis] = []

    def build(**settings: Any) -> Aegis:
        settings = {"model": FakeModel()} | settings
        aegis = Aegis(
            intel=intel_home, tools=[firewall], home=tmp_path,
            ledger=open_store(postgres_url, tmp_path, schema=schema),
            checkpointer=open_checkpointer(tmp_path / "unused", postgres_url, schema=schema), **settings,
        )  # fmt: skip
        made.append(aegis)
        return aegis

    yield build
    for aegis in made:
        aegis.store.verify()
        aegis.store.close()
        aegis.graph.checkpointer.conn.close()
        aegis.close()


def test_text_that_postgres_can_not_hold_goes_all_the_way(make: Make, firewall: FakeFirewall) -> None:
    case = make().investigate(ATTACK | {"event_id": "n\x00l", "hostname": "wks\x00\x1a041", "title": "a\x00b"})
    held = next(a for a in case.actions if a.action == "isolate_host")
    second = make()
    assert second.approve(held.action_id).outcome == "executed"
    assert firewall.calls == [("isolate_host", held.target.value)]
    assert actions(second.case(case.incident_id))[f"isolate_host:{held.target.value}"].outcome == "executed"


def test_checkpoints_that_were_removed_keep_nobody_from_answering(make: Make, firewall: FakeFirewall) -> None:
    aegis = make()
    block = actions(aegis.investigate(ATTACK))["block_ip:203.0.113.9"]
    aegis.graph.checkpointer.delete_thread(aegis.store.action(block.action_id).incident_id)
    assert aegis.approve(block.action_id).outcome == "executed"


def test_checkpoints_survive_a_connection_that_broke(make: Make, postgres_url: str) -> None:
    import psycopg

    aegis = make()
    block = actions(aegis.investigate(ATTACK))["block_ip:203.0.113.9"]
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                      " AND application_name = 'aegis'")  # fmt: skip
    assert aegis.approve(block.action_id).outcome == "executed"


def test_a_checkpoint_is_rebuilt_of_our_records_alone(make: Make) -> None:
    assert make().graph.checkpointer.serde._allowed_msgpack_modules  # as on SQLite


def test_without_the_extra_the_checkpointer_says_which(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "langgraph.checkpoint.postgres", None)
    with pytest.raises(SettingsError, match=r"aegis-soc-agents\[postgres\]"):
        open_checkpointer(tmp_path / "unused", "postgresql://h/d")


def test_processes_that_open_at_once_set_up_checkpoints_once(
    postgres_url: str,
    schema: str,
    tmp_path: Path,
) -> None:
    """LangGraph makes its indexes CONCURRENTLY, which waits for whoever waits: this would stand still for ever."""
    import threading

    errors: list[BaseException] = []

    def open_one() -> None:
        try:
            open_checkpointer(tmp_path / "unused", postgres_url, schema=schema).conn.close()
        except BaseException as error:  # noqa: BLE001 - asserted below
            errors.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert not any(thread.is_alive() for thread in threads)
