"""The one write path: once, verified, honest about what is not known, and undone."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from aegis_agents.errors import (
    ActionError,
    AlreadyDecided,
    ConnectorError,
    NotReversible,
    SettingsError,
    TransientConnectorError,
    UnknownAction,
)
from aegis_agents.ledger import SqliteStore
from aegis_agents.records import Target
from aegis_agents.tools import WritePath, assign
from tests.people import person
from tests.tools.conftest import ADDRESS, ScriptedSystem

Approved = Callable[..., str]


@pytest.fixture
def path(store: SqliteStore, system: ScriptedSystem) -> WritePath:
    return WritePath(store, assign([system]), attempts=3, longest_wait_s=0.01)


def failing(error: Exception, effect: Callable[[], object] | None = None) -> Callable[[], str]:
    def act() -> str:
        if effect:
            effect()
        raise error

    return act


def test_done_verified_and_journalled(path: WritePath, approved: Approved, store: SqliteStore) -> None:
    receipt = path.execute(approved())
    assert (receipt.outcome, receipt.connector, receipt.detail) == ("executed", "scripted", "ref-1")
    assert [e.kind for e in store.entries()][-2:] == ["action.begun", "action.settled"]


def test_the_intent_is_on_disk_before_the_world_is_touched(
    path: WritePath, approved: Approved, store: SqliteStore, system: ScriptedSystem
) -> None:
    key, seen = approved(), []
    system.on_apply = lambda: seen.append(store.action(key).state) or "ref"  # type: ignore[func-returns-value]
    system.readable = False
    path.execute(key)
    assert seen == ["intent"]


def test_a_second_time_is_refused(path: WritePath, approved: Approved, system: ScriptedSystem) -> None:
    key = approved()
    path.execute(key)
    with pytest.raises(AlreadyDecided):
        path.execute(key)
    assert len(system.applied) == 1


def test_of_many_at_once_one_acts(path: WritePath, approved: Approved, system: ScriptedSystem) -> None:
    key, refused = approved(), []

    def act() -> None:
        try:
            path.execute(key)
        except AlreadyDecided:
            refused.append(1)

    threads = [threading.Thread(target=act) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(system.applied), len(refused)) == (1, 4)


def test_what_is_not_approved_is_not_done(path: WritePath, store: SqliteStore, system: ScriptedSystem) -> None:
    with pytest.raises(UnknownAction):
        path.execute("act-none")
    assert system.applied == []


def test_already_in_effect_is_not_done_again_and_not_ours_to_lift(
    path: WritePath, approved: Approved, system: ScriptedSystem
) -> None:
    system.in_effect.add(("block_ip", ADDRESS.value))
    key = approved()
    assert path.execute(key).detail == "it was in effect before"
    assert system.applied == []
    assert path.undo(key, person("alice")).outcome == "undone"
    assert system.in_effect == {("block_ip", ADDRESS.value)}


def test_refused_by_the_system_is_failed(path: WritePath, approved: Approved, system: ScriptedSystem) -> None:
    system.on_apply = failing(ConnectorError("permission denied"))
    receipt = path.execute(approved())
    assert (receipt.outcome, receipt.detail) == ("failed", "permission denied")
    assert len(system.applied) == 1


def test_what_may_pass_is_tried_again_with_the_same_key(
    path: WritePath, approved: Approved, system: ScriptedSystem
) -> None:
    def first_fails() -> str:
        if len(system.applied) < 3:
            raise TransientConnectorError("busy")
        system.in_effect.add(("block_ip", ADDRESS.value))
        return "ref"

    system.on_apply = first_fails
    assert path.execute(approved()).outcome == "executed"
    assert len(system.applied) == 3
    assert len(set(system.applied)) == 1


def test_attempts_are_bounded(store: SqliteStore, approved: Approved, system: ScriptedSystem) -> None:
    system.on_apply = failing(TransientConnectorError("busy"))
    WritePath(store, assign([system]), attempts=2, longest_wait_s=0.01).execute(approved())
    assert len(system.applied) == 2


def test_a_time_out_after_the_effect_is_found_done_and_not_repeated(
    path: WritePath, approved: Approved, system: ScriptedSystem
) -> None:
    effect = lambda: system.in_effect.add(("block_ip", ADDRESS.value))  # noqa: E731
    system.on_apply = failing(TransientConnectorError("timed out"), effect)
    receipt = path.execute(approved())
    assert receipt.outcome == "executed"
    assert "timed out" in receipt.detail
    assert len(system.applied) == 1


def test_a_time_out_that_can_not_be_read_back_is_unconfirmed(
    path: WritePath, approved: Approved, system: ScriptedSystem
) -> None:
    system.readable = False
    system.on_apply = failing(TransientConnectorError("timed out"))
    assert path.execute(approved("reset_password", Target(kind="user", value="ann"))).outcome == "unconfirmed"


def test_accepted_and_yet_not_in_effect_is_failed(path: WritePath, approved: Approved, system: ScriptedSystem) -> None:
    system.on_apply = lambda: "ref"
    assert path.execute(approved()).outcome == "failed"


def test_without_a_connector_nothing_is_pretended(path: WritePath, approved: Approved) -> None:
    receipt = path.execute(approved("isolate_host", Target(kind="host", value="wks-1")))
    assert receipt.outcome == "recommended"
    assert "no connector does isolate_host" in receipt.detail


def test_undo_takes_it_back_once(path: WritePath, approved: Approved, system: ScriptedSystem) -> None:
    key = approved()
    path.execute(key)
    receipt = path.undo(key, person("alice"))
    assert (receipt.outcome, receipt.by) == ("undone", "alice")
    assert system.in_effect == set()
    with pytest.raises(AlreadyDecided):
        path.undo(key, person("bob"))


def test_what_has_no_way_back_says_so(path: WritePath, approved: Approved) -> None:
    key = approved("reset_password", Target(kind="user", value="ann"))
    with pytest.raises(NotReversible):
        path.undo(key, person("alice"))


def test_undo_of_what_was_not_done_is_refused(path: WritePath, approved: Approved) -> None:
    with pytest.raises(ActionError, match="nothing to take back"):
        path.undo(approved(), person("alice"))


def test_an_undo_that_fails_leaves_it_in_effect_and_says_so(
    path: WritePath, approved: Approved, system: ScriptedSystem, store: SqliteStore
) -> None:
    key = approved()
    path.execute(key)
    system.on_undo = failing(ConnectorError("locked"))
    with pytest.raises(ConnectorError, match="locked"):
        path.undo(key, person("alice"))
    assert store.action(key).state == "executed"
    system.on_undo = None
    assert path.undo(key, person("alice")).outcome == "undone"


def test_two_incidents_hold_one_block_together(path: WritePath, approved: Approved, system: ScriptedSystem) -> None:
    first, second = approved(incident="inc-1"), approved(incident="inc-2")
    path.execute(first)
    assert "held together" in path.execute(second).detail
    assert len(system.applied) == 1
    path.undo(first, person("alice"))
    assert system.in_effect == {("block_ip", ADDRESS.value)}
    path.undo(second, person("bob"))
    assert system.in_effect == set()


@pytest.mark.parametrize(
    ("effect", "readable", "outcome"),
    [(True, True, "executed"), (False, True, "failed"), (False, False, "unconfirmed")],
)
def test_after_a_crash_it_is_settled_by_looking(
    path: WritePath, approved: Approved, store: SqliteStore, system: ScriptedSystem,
    effect: bool, readable: bool, outcome: str,
) -> None:  # fmt: skip
    key = approved()
    store.begin(key)  # ... and the process is gone
    if effect:
        system.in_effect.add(("block_ip", ADDRESS.value))
    system.readable = readable
    (receipt,) = path.settle_open()
    assert receipt.outcome == outcome
    assert system.applied == []
    assert path.settle_open() == []


@pytest.mark.parametrize(("lifted", "outcome"), [(True, "undone"), (False, "executed")])
def test_a_crash_in_the_middle_of_an_undo(
    path: WritePath, approved: Approved, store: SqliteStore, system: ScriptedSystem, lifted: bool, outcome: str
) -> None:
    key = approved()
    path.execute(key)
    store.begin_undo(key, person("alice"))
    if lifted:
        system.in_effect.clear()
    (receipt,) = path.settle_open()
    assert receipt.outcome == outcome


def test_the_reason_is_redacted_on_its_way_out(store: SqliteStore, approved: Approved, system: ScriptedSystem) -> None:
    notes: list[str] = []
    system.apply = lambda *_, note, **__: notes.append(note) or "ref"  # type: ignore[method-assign,assignment,func-returns-value]
    WritePath(store, assign([system]), redact=lambda text: text.replace("beacons", "[…]")).execute(approved())
    assert notes == ["it […]"]


def test_two_connectors_may_not_claim_one_action(system: ScriptedSystem) -> None:
    with pytest.raises(SettingsError, match="block_ip"):
        assign([system, ScriptedSystem()])
    assert assign([system], fallback=ScriptedSystem())["block_ip"] is system
