"""An upgrade beneath processes at work: approvals that wait, graphs that wait, and what a too old process does."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.errors import AlreadyDecided, StoreError
from aegis_agents.ledger import SqliteStore
from aegis_agents.ledger.schema import OLDEST, VERSION
from aegis_agents.settings import only
from aegis_agents.upkeep.moving import Move
from tests.graph.conftest import ATTACK, FakeFirewall, FakeModel, firewall, intel_home  # noqa: F401 - fixtures
from tests.ledger.ledgers import decided, incident
from tests.ledger.postgres_server import postgres_url, schema  # noqa: F401 - fixtures
from tests.ledger.version_4 import OldSqlite, version_of
from tests.people import person

Over = Callable[..., Aegis]


@pytest.fixture
def over(tmp_path: Path, firewall: FakeFirewall, intel_home: Any) -> Iterator[Over]:
    """An Aegis over a store; without one as settings say."""
    made: list[Aegis] = []

    def build(store: Any = None, **settings: Any) -> Aegis:
        made.append(
            Aegis(
                model=FakeModel(),
                intel=intel_home,
                tools=[firewall],
                ledger=store,
                settings=only(home=tmp_path, **settings),
            )
        )
        return made[-1]

    yield build
    for aegis in made:
        aegis.close()


def block_of(aegis: Aegis, event: str) -> str:
    case = aegis.investigate(ATTACK | {"event_id": event, "destination_ip": f"203.0.113.{len(event)}"})
    return next(a.action_id for a in case.actions if a.action == "block_ip")


def waiting_graphs(aegis: Aegis, key: str) -> list[Any]:
    config = {"configurable": {"thread_id": aegis.store.action(key).incident_id}}
    found = [task.interrupts for task in aegis.graph.get_state(config).tasks]
    return [i for interrupts in found for i in interrupts if i.value.get("action_id") == key]


def test_approvals_of_the_version_before_are_answered_by_this_one_once(
    tmp_path: Path, over: Over, firewall: FakeFirewall
) -> None:
    old_store = OldSqlite(tmp_path / "aegis.sqlite")
    old = over(old_store)
    first, second, third = block_of(old, "a"), block_of(old, "bb"), block_of(old, "ccc")
    assert version_of(tmp_path / "aegis.sqlite") == 4

    new = over()  # opens it, which upgrades it, while the old process has it open
    assert {row.action_id for row in new.pending()} >= {first, second, third}
    assert version_of(tmp_path / "aegis.sqlite") == VERSION
    assert waiting_graphs(new, first)  # the old version's checkpoint is read
    assert new.approve(first).outcome == "executed"
    with pytest.raises(AlreadyDecided):
        old.approve(first)
    assert old.approve(second).outcome == "executed"  # the old one goes on until it ends
    fourth = block_of(old, "dddd")
    assert new.approve(fourth).outcome == "executed"
    new.graph.checkpointer.delete_thread(new.store.action(third).incident_id)
    assert new.approve(third).outcome == "executed"  # without a checkpoint the journal answers
    assert len(firewall.calls) == len(set(firewall.calls)) == 4
    assert new.store.verify() == old_store.verify()
    old_store.close()
    with pytest.raises(StoreError, match="newer version"):
        OldSqlite(tmp_path / "aegis.sqlite")
    new.store.verify()


def test_a_worker_that_is_too_old_for_what_it_finds_touches_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "aegis.sqlite")
    key = decided(store, "inc-1")

    def upgraded(version: int, oldest: int) -> None:
        with sqlite3.connect(tmp_path / "aegis.sqlite") as db:
            db.execute("UPDATE aegis_version SET version = ?, oldest = ?", (version, oldest))
            db.execute(f"PRAGMA user_version={version}")
        db.close()

    upgraded(VERSION + 1, VERSION)  # only adds
    store.admit(incident("inc-2"), "n", {})
    SqliteStore(tmp_path / "aegis.sqlite").close()
    assert version_of(tmp_path / "aegis.sqlite") == VERSION + 1  # and is left as it is
    upgraded(VERSION + 2, VERSION + 1)
    before = store.verify()
    for attempt in (
        lambda: store.answer(key, True, person("alice")),
        lambda: store.admit(incident("inc-3"), "n", {}),
        lambda: SqliteStore(tmp_path / "aegis.sqlite"),
    ):
        with pytest.raises(
            StoreError, match=rf"newer version \({VERSION + 2}; code of version {VERSION + 1}.*nothing was changed"
        ):
            attempt()
    assert store.verify() == before
    assert store.action(key).state == "awaiting"
    store.close()
    assert store.where
    assert OLDEST <= VERSION


def test_processes_that_upgrade_at_once_do_it_once(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    old = OldSqlite(tmp_path / "aegis.sqlite")
    key = decided(old, "inc-1")
    old.close()
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: SqliteStore(tmp_path / "aegis.sqlite"), range(4)))
    stores[0].answer(key, True, person("alice"))
    assert {store.action(key).state for store in stores} == {"approved"}
    assert len({store.verify().head for store in stores}) == 1
    for store in stores:
        store.close()


def test_what_waits_in_files_goes_on_in_postgresql(
    tmp_path: Path, over: Over, firewall: FakeFirewall, postgres_url: str, schema: str
) -> None:
    embedded = over()
    first, second = block_of(embedded, "a"), block_of(embedded, "bb")
    embedded.close()
    there = {"database": postgres_url, "database_schema": schema}
    moved = Move.of(only(home=tmp_path, **there)).run()
    assert moved.rows["graph threads"] == 2
    aegis = over(**there)
    assert waiting_graphs(aegis, first)  # LangGraph's checkpoint came along
    assert aegis.approve(first).outcome == "executed"
    aegis.graph.checkpointer.delete_thread(aegis.store.action(second).incident_id)
    assert aegis.approve(second).outcome == "executed"
    assert block_of(aegis, "a") == first  # the alert that was known is known
    assert len(firewall.calls) == 2
    aegis.store.verify()
    with pytest.raises(StoreError, match="was moved to"):
        block_of(over(), "ccc")
