"""Every window of doing and taking back: the process ends there, another comes, and what then is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import ConnectorError
from aegis_agents.ledger import Store
from aegis_agents.records import AEGIS, Target
from aegis_agents.tools import WritePath, assign
from aegis_agents.tools.owners import this_process
from tests.crash.cut import BLOCK, Killed, Make, approved, autonomous, dies, row_of, settled_and_told
from tests.graph.conftest import ATTACK, FakeFirewall
from tests.ledger.ledgers import case_of
from tests.people import person
from tests.tools.conftest import ScriptedSystem


@pytest.mark.parametrize("happened", [False, True])
def test_begun_and_not_settled(
    make: Make, firewall: FakeFirewall, tmp_path: Path, monkeypatch: Any, happened: bool
) -> None:
    first = make(**autonomous(tmp_path))
    dies(monkeypatch, firewall, "apply", after=happened)
    with pytest.raises(Killed):
        first.investigate(ATTACK)
    monkeypatch.undo()
    second = make(**autonomous(tmp_path))
    second.recover()
    row = row_of(second, "block_ip")
    assert row.state == ("executed" if happened else "failed")
    assert len(firewall.calls) == int(happened)
    assert second.store.holders("block_ip", row.target) == ([row.action_id] if happened else [])
    if happened:  # its timer runs from when it was begun, not from when it was found
        assert row.begun_at is not None
        assert [timer.expires_at for timer in second.timers()] == [row.begun_at + timedelta(hours=1)]
    settled_and_told(second)


def test_what_was_there_before_stays_not_ours_whatever_is_cut_off(
    make: Make, firewall: FakeFirewall, tmp_path: Path, monkeypatch: Any
) -> None:
    firewall.in_effect.add(BLOCK)
    first = make(**autonomous(tmp_path))
    dies(monkeypatch, first.store, "settle", nth=0)
    with pytest.raises(Killed):
        first.investigate(ATTACK)
    second = make(**autonomous(tmp_path))
    second.recover()
    row = row_of(second, "block_ip")
    assert row.state == "executed"
    assert second.timers() == []  # nor does it lift itself
    assert second.undo(row.action_id).outcome == "undone"
    assert firewall.in_effect == {BLOCK}
    assert firewall.calls == []


def test_what_can_not_be_read_back_is_not_sent_again(open_one: Callable[[], Store], monkeypatch: Any) -> None:
    store, system = open_one(), ScriptedSystem()
    system.readable = False
    key = approved(store)
    dies(monkeypatch, store, "settle")
    with pytest.raises(Killed):
        WritePath(store, assign([system])).execute(key)
    other = open_one()
    (receipt,) = WritePath(other, assign([system])).settle_open()
    assert receipt.outcome == "unconfirmed"
    assert len(system.applied) == 1


def test_settled_and_not_in_the_case(make: Make, firewall: FakeFirewall, monkeypatch: Any) -> None:
    first = make()
    first.investigate(ATTACK)
    block = row_of(first, "block_ip").action_id
    dies(monkeypatch, first.store, "finish")
    with pytest.raises(Killed):
        first.approve(block)
    assert first.store.outdated_cases()
    second = make()
    second.recover()
    settled_and_told(second)
    assert firewall.calls == [BLOCK]


def test_a_connectors_mistake_leaves_no_intent_open(open_one: Callable[[], Store]) -> None:
    store, system = open_one(), ScriptedSystem()
    path = WritePath(store, assign([system]))

    def broken() -> str:
        raise KeyError("a secret that must not be told")

    system.on_apply = broken
    assert path.execute(approved(store)).outcome == "failed"
    system.readable = False
    receipt = path.execute(approved(store, "inc-2"))
    assert receipt.outcome == "unconfirmed"  # it may have happened
    assert "KeyError" in receipt.detail
    assert "secret" not in receipt.detail


@pytest.mark.parametrize("words", ["caf\udce9 \x00", "x" * 100_000])
def test_whatever_a_system_says_can_be_written_down(open_one: Callable[[], Store], words: str) -> None:
    store, system = open_one(), ScriptedSystem()
    path = WritePath(store, assign([system]))

    def refused() -> str:
        raise ConnectorError(words)

    system.on_apply = refused
    receipt = path.execute(approved(store))
    assert receipt.outcome == "failed"
    assert 3 < len(receipt.detail) < 2100


# taking back


@pytest.mark.parametrize("lifted", [False, True])
@pytest.mark.parametrize("expiry", [False, True])
def test_an_undo_that_was_cut_off(
    make: Make, firewall: FakeFirewall, tmp_path: Path, monkeypatch: Any, lifted: bool, expiry: bool
) -> None:
    first = make(**autonomous(tmp_path))
    first.investigate(ATTACK)
    block = row_of(first, "block_ip").action_id
    dies(monkeypatch, firewall, "undo", after=lifted)
    if expiry:
        first.store.set_expiry(block, datetime.now(UTC), AEGIS)
    with pytest.raises(Killed):
        first.expire_due() if expiry else first.undo(block)
    assert first.store.action(block).state == "undoing"
    monkeypatch.undo()
    second = make(**autonomous(tmp_path))
    second.recover()
    over = "expired" if expiry else "undone"
    if lifted:
        assert second.store.action(block).state == over
    elif expiry:  # it was due, and so it was lifted at once
        assert second.store.action(block).state == "expired"
    else:
        assert [row.action_id for row in second.timers()] == [block]
        assert second.undo(block).outcome == "undone"
    assert firewall.in_effect == set()
    assert second.store.holders("block_ip", Target(kind="ip", value=BLOCK[1])) == []
    settled_and_told(second)


def test_a_dead_undo_does_not_stand_in_anothers_way(open_one: Callable[[], Store], firewall: FakeFirewall) -> None:
    store = open_one()
    firewall.in_effect.add(BLOCK)
    old = approved(store, "inc-1", owner="", undoing=True)
    path = WritePath(store, assign([firewall]), attempts=2, longest_wait_s=0.01)
    receipt = path.execute(approved(store, "inc-2"))
    assert receipt.outcome == "executed"
    assert store.action(old).state == "executed"  # its undo was cut off, and it is held together now
    path.undo(old, person("alice"))
    assert firewall.in_effect == {BLOCK}


def test_what_was_begun_anew_while_we_looked_is_left_to_who_began_it(open_one: Callable[[], Store]) -> None:
    store, other, system = open_one(), open_one(), ScriptedSystem()
    key = approved(store, owner="", undoing=True)
    path = WritePath(store, assign([system]))
    real = system.read

    def read(*of: Any) -> bool | None:
        if other.action(key).owner == "":  # another that recovers is faster, and a person takes it back again
            other.settle(key, "executed", None, "")
            other.begin_undo(key, person("alice"), owner=this_process())
        return real(*of)

    system.read = read  # type: ignore[method-assign]
    assert path.settle_open() == []
    assert store.action(key).state == "undoing"


def test_what_a_living_undo_keeps_from_being_done_is_done_later(make: Make, firewall: FakeFirewall) -> None:
    aegis = make()
    case = aegis.investigate(ATTACK)
    block = row_of(aegis, "block_ip")
    firewall.in_effect.add(BLOCK)
    other = approved(aegis.store, "inc-1", owner="elsewhere/12345678:1:a.b.1", undoing=True)
    aegis.store.finish("inc-1", case_of("inc-1"))
    aegis._write_path._retrying = aegis._write_path._retrying.copy(wait=lambda _: 0)
    aegis.approve(block.action_id)
    assert aegis.store.action(block.action_id).state == "approved"
    aegis.recover()
    assert aegis.store.action(block.action_id).state == "approved"
    aegis.store.settle(other, "undone", None, "")
    firewall.in_effect.clear()
    aegis.recover()
    assert {a.action: a.outcome for a in aegis.case(case.incident_id).actions}["block_ip"] == "executed"
