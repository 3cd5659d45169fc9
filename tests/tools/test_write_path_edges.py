"""Edges of the write path where the easy answer would claim more than is known, or lift too little."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aegis_agents.errors import ActionError, ConnectorError, LedgerTampered, SettingsError, TransientConnectorError
from aegis_agents.ledger import SqliteStore
from aegis_agents.records import AEGIS, ActionName, Target
from aegis_agents.tools import NftablesConnector, OutboxConnector, WritePath, assign, owners
from aegis_agents.tools.lifetimes import Lifetimes
from tests.people import person
from tests.tools.conftest import ADDRESS, ScriptedSystem

Approved = Callable[..., str]
ANN = Target(kind="user", value="ann")


@pytest.fixture
def path(store: SqliteStore, system: ScriptedSystem) -> WritePath:
    return WritePath(store, assign([system]), attempts=3, longest_wait_s=0.01)


def test_an_owner_hears_of_each_incident(store: SqliteStore, approved: Approved, tmp_path: Path) -> None:
    path = WritePath(store, assign([], fallback=OutboxConnector(tmp_path / "outbox")))
    for incident in ("inc-1", "inc-2"):
        receipt = path.execute(approved("notify_owner", ANN, incident))
        assert (receipt.outcome, "before" in receipt.detail) == ("executed", False)
    assert len(list((tmp_path / "outbox" / "notify_owner").iterdir())) == 2


def test_an_event_is_done_again_though_the_state_looks_the_same(
    path: WritePath, approved: Approved, system: ScriptedSystem
) -> None:
    for incident in ("inc-1", "inc-2"):
        assert path.execute(approved("reset_password", ANN, incident)).outcome == "executed"
    assert len(system.applied) == 2


def test_what_another_incident_is_just_doing_is_held_together_and_lifted_by_the_last(
    path: WritePath, approved: Approved, system: ScriptedSystem
) -> None:
    first, second = approved(incident="inc-1"), approved(incident="inc-2")
    details: list[str] = []

    def apply_while_the_second_comes() -> str:
        system.in_effect.add(("block_ip", ADDRESS.value))
        other = threading.Thread(target=lambda: details.append(path.execute(second).detail))
        other.start()
        other.join()
        return "ref"

    system.on_apply = apply_while_the_second_comes
    path.execute(first)
    assert "held together" in details[0]
    path.undo(first, person("alice"))
    assert system.in_effect == {("block_ip", ADDRESS.value)}
    path.undo(second, person("alice"))
    assert system.in_effect == set()


def test_what_is_held_and_can_not_be_read_is_not_done_twice(
    path: WritePath, approved: Approved, system: ScriptedSystem
) -> None:
    system.readable = False
    first, second = approved(incident="inc-1"), approved(incident="inc-2")
    path.execute(first)
    assert path.execute(second).outcome == "executed"
    assert len(system.applied) == 1


def test_a_no_after_a_time_out_proves_nothing(path: WritePath, approved: Approved, system: ScriptedSystem) -> None:
    system.readable = False

    def act() -> str:
        raise TransientConnectorError("timed out") if len(system.applied) == 1 else ConnectorError("409 conflict")

    system.on_apply = act
    assert path.execute(approved()).outcome == "unconfirmed"


def test_an_undo_that_nothing_confirms_is_unconfirmed(
    path: WritePath, approved: Approved, system: ScriptedSystem
) -> None:
    system.readable = False
    key = approved()
    path.execute(key)
    assert path.undo(key, person("alice")).outcome == "unconfirmed"
    system.on_undo = lambda: "closed T-1"
    assert path.undo(key, person("alice")).outcome == "undone"


def test_a_lost_answer_of_an_undo_is_not_asked_for_again(
    path: WritePath, approved: Approved, system: ScriptedSystem
) -> None:
    key, asked = approved(), []
    path.execute(key)

    def lifted_and_timed_out() -> str:
        asked.append(1)
        system.in_effect.clear()
        raise TransientConnectorError("timed out")

    system.on_undo = lifted_and_timed_out
    assert path.undo(key, person("alice")).outcome == "undone"
    assert len(asked) == 1


@pytest.mark.parametrize("value", ["::ffff:10.9.0.7", "255.255.255.255", "2001:db8::1%eth0"])
def test_an_address_in_disguise_is_refused_as_itself(value: str) -> None:
    with pytest.raises(ConnectorError):
        NftablesConnector(never=["10.9.0.0/16"]).apply("block_ip", Target(kind="ip", value=value), key="k", note="")


def test_a_mapped_address_is_blocked_as_what_travels(monkeypatch: pytest.MonkeyPatch) -> None:
    firewall, sent = NftablesConnector(), []
    monkeypatch.setattr(firewall, "_ask", lambda question: [])
    monkeypatch.setattr(firewall, "_run", sent.extend)
    firewall.apply("block_ip", Target(kind="ip", value="::ffff:203.0.113.9"), key="k", note="")
    assert sent[-1]["add"]["element"]["elem"] == ["203.0.113.9"]
    assert sent[-1]["add"]["element"]["name"] == "blocked_v4"


def test_what_was_blocked_by_mistake_can_be_lifted_once_it_is_on_the_never_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    firewall, sent = NftablesConnector(never=["203.0.113.0/24"]), []
    listed = [{"set": {"elem": [ADDRESS.value]}}]
    monkeypatch.setattr(firewall, "_ask", lambda question: listed)
    monkeypatch.setattr(firewall, "_run", sent.extend)
    action: ActionName = "block_ip"
    firewall.undo(action, ADDRESS, key="k")
    assert sent[0]["delete"]["element"]["elem"] == [ADDRESS.value]


def with_lifetime(store: SqliteStore, system: ScriptedSystem, hours: float) -> WritePath:
    return WritePath(
        store, assign([system]), attempts=1, longest_wait_s=0.01, lifetimes=Lifetimes.load({"block_ip": hours}, 4.0)
    )


def test_what_may_be_in_effect_lifts_itself_too(approved: Approved, store: SqliteStore, system: ScriptedSystem) -> None:
    """An action whose outcome is not known must not stay for ever because nobody knows."""
    path = with_lifetime(store, system, 1.0)
    system.readable, system.on_apply = False, lambda: ""
    key = approved()
    assert path.execute(key).outcome == "unconfirmed"
    (row,) = store.timers()
    assert row.action_id == key
    assert row.begun_at is not None
    assert row.expires_at == row.begun_at + timedelta(hours=1)
    assert store.due(row.expires_at - timedelta(seconds=1)) == []
    assert [due.action_id for due in store.due(row.expires_at)] == [key]
    system.on_undo = lambda: "gone-1"
    assert path.undo(key, AEGIS, outcome="expired").outcome == "expired"
    assert store.timers() == []


def test_one_that_a_crash_left_unknown_lifts_itself_too(
    approved: Approved, store: SqliteStore, system: ScriptedSystem
) -> None:
    key = approved()
    store.begin(key, owner="")
    system.readable = False
    (receipt,) = with_lifetime(store, system, 1.0).settle_open()
    assert receipt.outcome == "unconfirmed"
    assert [row.action_id for row in store.timers()] == [key]


def test_a_lift_that_can_not_be_read_back_is_tried_once_and_then_a_persons(
    approved: Approved, store: SqliteStore, system: ScriptedSystem
) -> None:
    path = with_lifetime(store, system, 1.0)
    system.readable = False
    key = approved()
    assert path.execute(key).outcome == "executed"  # it gave a reference
    assert path.undo(key, AEGIS, outcome="expired").outcome == "unconfirmed"
    assert store.due(datetime.now(UTC) + timedelta(days=400)) == []
    assert store.action(key).expires_at is None
    (*_, last) = store.entries(kind="action.expiry")
    assert "a person looks" in (last.body or {})["reason"]


def test_what_can_not_be_taken_back_has_no_timer(approved: Approved, store: SqliteStore) -> None:
    alone = {"autonomy.level": "act_undo"}
    for action, target, life in (("reset_password", ANN, None), ("block_ip", ADDRESS, timedelta(hours=4))):
        row = store.action(approved(action, target, f"inc-{action}"))
        decided = row.decision.model_copy(update={"inputs": alone})
        assert Lifetimes().of(row.model_copy(update={"decision": decided})) == life


@pytest.mark.parametrize("hours", [0, -1, 1e12, float("inf"), float("nan")])
def test_a_lifetime_that_can_not_be_kept_is_refused_by_name(hours: float) -> None:
    with pytest.raises(SettingsError, match=r"lifetimes\.block_ip: "):
        Lifetimes.load({"block_ip": hours}, 4.0)


def test_what_could_not_be_looked_at_before_is_not_lifted_as_ours(
    approved: Approved, store: SqliteStore, system: ScriptedSystem
) -> None:
    """An analyst's block that could not be read at first is found in effect afterwards: it must outlive our timer."""
    path = with_lifetime(store, system, 1.0)
    system.readable = False

    def apply() -> str:
        system.in_effect.add(("block_ip", ADDRESS.value))  # by somebody else, just now
        system.readable = True
        return "nothing to order"

    system.on_apply = apply
    key = approved()
    receipt = path.execute(key)
    assert (receipt.outcome, "could not be told" in receipt.detail) == ("executed", True)
    assert store.timers() == []
    path.undo(key, person("ann"))
    assert ("block_ip", ADDRESS.value) in system.in_effect


def test_a_look_that_fails_once_is_taken_again(approved: Approved, store: SqliteStore, system: ScriptedSystem) -> None:
    looks = iter([None, False, True, True])
    system.read = lambda action, target: next(looks)  # type: ignore[method-assign]
    path = with_lifetime(store, system, 1.0)
    assert path.execute(approved()).outcome == "executed"
    assert len(store.timers()) == 1, "it was not in effect before, so it is ours"


def test_a_target_changed_in_the_journal_is_not_acted_on(
    path: WritePath, approved: Approved, store: SqliteStore, system: ScriptedSystem
) -> None:
    key, done = approved(), approved(incident="inc-2")
    path.execute(done)
    for action_id in (key, done):
        store._run(
            "UPDATE journal SET proposal = replace(proposal, ?, ?) WHERE action_id = ?",
            (ADDRESS.value, "192.0.2.80", action_id),
        )
    applied = len(system.applied)
    with pytest.raises(LedgerTampered, match="changed after it was decided"):
        path.execute(key)
    with pytest.raises(LedgerTampered, match="changed after it was decided"):
        path.undo(done, person("ann"))
    assert len(system.applied) == applied


def test_what_a_person_kept_is_not_lifted_by_who_looked_before(
    path: WritePath, approved: Approved, store: SqliteStore, system: ScriptedSystem
) -> None:
    key = approved()
    path.execute(key)
    store.set_expiry(key, None, person("ann"), "stays")
    with pytest.raises(ActionError, match="somebody kept it"):
        path.undo(key, AEGIS, "expired")
    assert (store.action(key).state, bool(system.in_effect)) == ("executed", True)


def test_a_second_ticket_does_not_bear_the_key_of_one_that_was_closed(
    approved: Approved, store: SqliteStore, system: ScriptedSystem
) -> None:
    first, second = approved(), approved(incident="inc-2")
    path = WritePath(store, assign([system]), attempts=1, longest_wait_s=0.01)
    path.execute(first)
    system.in_effect.clear()  # by hand, over there
    path.execute(second)
    assert len(set(system.applied)) == 2


@pytest.mark.parametrize("running", [True, False])
def test_a_process_that_proc_hides_is_not_dead_for_it(
    monkeypatch: pytest.MonkeyPatch, running: bool, tmp_path: Path
) -> None:
    """systemd's ProtectProc=invisible hides the processes of other accounts, which kill(pid, 0) still knows."""
    mine = owners.this_process()
    host, pid, birth = mine.rsplit(":", 2)
    hidden = f"{host}:{int(pid) + 1}:{birth}"
    monkeypatch.setattr(owners, "_birth", lambda pid: None)
    monkeypatch.setattr(owners, "_is_running", lambda pid: running)
    assert owners.state_of(hidden) == ("unknown" if running else "dead")
    monkeypatch.setattr(owners, "_birth", lambda pid: "")  # killed, and not collected yet
    assert owners.state_of(hidden) == "dead"
