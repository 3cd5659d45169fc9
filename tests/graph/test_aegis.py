"""The whole path with a fake model: verdict to action, waiting, answering, taking back."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import ActionError, Aegis, AlreadyDecided, InputError, build_graph
from aegis_agents.errors import SettingsError
from aegis_agents.recovering import MOST_TAKEN_OVER
from tests.graph.conftest import ATTACK, FakeFirewall
from tests.people import person, token_of

Make = Callable[..., Aegis]


def actions(case: Any) -> dict[str, Any]:
    return {f"{a.action}:{a.target.value}": a for a in case.actions}


def test_an_attack_waits_for_a_person_and_tells_one(make: Make, firewall: FakeFirewall) -> None:
    case = make().investigate(ATTACK)
    found = actions(case)
    assert case.verdict == "true_positive"
    assert found["block_ip:203.0.113.9"].outcome == "awaiting_approval"
    assert found["open_ticket:a-1"].outcome == "executed"
    assert firewall.calls == []


def test_what_is_no_attack_proposes_only_to_close(make: Make) -> None:
    case = make().investigate(ATTACK | {"answer": "false_positive"})
    assert [(a.action, a.outcome) for a in case.actions] == [("close_alert", "awaiting_approval")]


def test_one_of_two_is_approved_and_runs_while_the_other_waits(make: Make, firewall: FakeFirewall) -> None:
    aegis = make()
    found = actions(aegis.investigate(ATTACK))
    block, isolate = found["block_ip:203.0.113.9"], found["isolate_host:wks-041"]
    report = aegis.approve(block.action_id, by="alice")
    assert report.outcome == "executed"
    assert report.by == "alice"
    assert firewall.calls == [("block_ip", "203.0.113.9")]
    assert [row.action_id for row in aegis.pending()] == [isolate.action_id]
    # ... and the other is still answerable afterwards.
    assert aegis.deny(isolate.action_id, by="bob", reason="reimaged already").outcome == "denied"
    assert aegis.pending() == []
    assert firewall.calls == [("block_ip", "203.0.113.9")]


def test_approval_survives_the_process_that_asked(make: Make, firewall: FakeFirewall) -> None:
    first = make()
    block = actions(first.investigate(ATTACK))["block_ip:203.0.113.9"]
    first.close()
    second = make()
    assert second.approve(block.action_id, by="alice").outcome == "executed"
    assert firewall.calls == [("block_ip", "203.0.113.9")]
    assert (
        actions(second.case(second.store.action(block.action_id).incident_id))["block_ip:203.0.113.9"].outcome
        == "executed"
    )


def test_approval_survives_the_loss_of_the_checkpoints(make: Make, firewall: FakeFirewall, tmp_path: Path) -> None:
    first = make()
    block = actions(first.investigate(ATTACK))["block_ip:203.0.113.9"]
    first.close()
    for file in tmp_path.glob("checkpoints.sqlite*"):
        file.unlink()
    assert make().approve(block.action_id, by="alice").outcome == "executed"
    assert firewall.calls == [("block_ip", "203.0.113.9")]


def test_the_same_alert_is_one_case_and_acts_once(make: Make, firewall: FakeFirewall) -> None:
    aegis = make()
    first = aegis.investigate(ATTACK)
    block = actions(first)["block_ip:203.0.113.9"]
    aegis.approve(block.action_id, by="alice")
    again = aegis.investigate(dict(ATTACK))
    assert again.incident_id == first.incident_id
    assert actions(again)["block_ip:203.0.113.9"].outcome == "executed"
    assert len(firewall.calls) == 1


def test_the_second_answer_loses(make: Make) -> None:
    aegis = make()
    block = actions(aegis.investigate(ATTACK))["block_ip:203.0.113.9"]
    aegis.deny(block.action_id, by="bob")
    with pytest.raises(AlreadyDecided, match="bob"):
        aegis.approve(block.action_id, by="alice")


def test_of_many_answers_at_once_one_wins(make: Make, firewall: FakeFirewall) -> None:
    aegis = make()
    block = actions(aegis.investigate(ATTACK))["block_ip:203.0.113.9"]
    won, lost = [], []

    def answer(name: str) -> None:
        try:
            won.append(aegis.approve(block.action_id, by=name))
        except AlreadyDecided:
            lost.append(name)

    threads = [threading.Thread(target=answer, args=(f"person{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 5)
    assert firewall.calls == [("block_ip", "203.0.113.9")]


def test_undo_lifts_it_and_says_who(make: Make, firewall: FakeFirewall) -> None:
    aegis = make()
    block = actions(aegis.investigate(ATTACK))["block_ip:203.0.113.9"]
    aegis.approve(block.action_id, by="alice")
    report = aegis.undo(block.action_id, by="carol")
    assert (report.outcome, report.by) == ("undone", "carol")
    assert firewall.in_effect == set()


def test_shadow_decides_and_touches_nothing(make: Make, firewall: FakeFirewall, tmp_path: Path) -> None:
    matrix = tmp_path / "matrix.toml"
    matrix.write_text('[block_ip]\nstandard = "act"\n')
    aegis = make(mode="shadow", matrix=matrix, risk={"contain": 0.5})
    found = actions(aegis.investigate(ATTACK))
    assert found["open_ticket:a-1"].outcome == "would_execute"
    assert firewall.calls == []
    assert aegis.pending() == []
    # Live has a case of its own afterwards.
    live = make(matrix=matrix, risk={"contain": 0.5}).investigate(ATTACK)
    assert actions(live)["open_ticket:a-1"].outcome == "executed"


def test_autonomy_that_was_granted_acts_and_the_ceiling_lowers_it(
    make: Make, firewall: FakeFirewall, tmp_path: Path
) -> None:
    matrix = tmp_path / "matrix.toml"
    matrix.write_text('[block_ip]\nstandard = "act"\n')
    granted = {"matrix": matrix, "risk": {"contain": 0.5}}
    case = make(**granted).investigate(ATTACK | {"answer": "true_positive"})
    # The verdict hangs on a field that anyone could have written: the counterfactual check hands it to a person.
    assert actions(case)["block_ip:203.0.113.9"].outcome == "awaiting_approval"
    assert firewall.calls == []
    lowered = make(**granted, autonomy="recommend").investigate(ATTACK | {"event_id": "a-2"})
    assert actions(lowered)["block_ip:203.0.113.9"].outcome == "recommended"
    silent = make(**granted, autonomy="observe").investigate(ATTACK | {"event_id": "a-3"})
    assert {a.outcome for a in silent.actions} == {"refused"}


def test_the_kill_switch_stops_an_approval_too(make: Make, firewall: FakeFirewall, tmp_path: Path) -> None:
    aegis = make()
    block = actions(aegis.investigate(ATTACK))["block_ip:203.0.113.9"]
    (tmp_path / "KILL").touch()
    with pytest.raises(ActionError, match="kill"):
        aegis.approve(block.action_id, by="alice")
    assert firewall.calls == []
    (tmp_path / "KILL").unlink()
    assert aegis.approve(block.action_id, by="alice").outcome == "executed"


def test_a_crash_before_the_decision_is_made_good(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    aegis = make()
    monkeypatch.setattr(type(aegis.context.model), "assess", lambda *_, **__: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        aegis.investigate(ATTACK)
    monkeypatch.undo()
    assert len(aegis.store.unfinished()) == 1
    (case,) = aegis.recover()
    assert case.verdict == "true_positive"
    assert aegis.store.unfinished() == []


def cut_off(aegis: Aegis, monkeypatch: pytest.MonkeyPatch) -> str:
    """An incident that ended whoever decided it; its id."""
    monkeypatch.setattr(type(aegis.context.model), "assess", lambda *_, **__: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        aegis.investigate(ATTACK)
    monkeypatch.undo()
    (row,) = aegis.store.unfinished()
    return row.incident_id


def test_an_alert_that_the_inbox_has_is_left_to_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sets aside what ends every process at it; whoever recovered would end too, at every start."""
    aegis = make()
    incident_id = cut_off(aegis, monkeypatch)
    monkeypatch.setattr(type(aegis.inbox), "copies", lambda self, asked: int(asked == incident_id))
    assert aegis.recover() == []
    assert len(aegis.recover(leave=lambda incident_id: False)) == 1


def test_an_alert_that_ended_one_process_after_another_is_left_to_a_person(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    aegis = make()
    incident_id = cut_off(aegis, monkeypatch)
    for number in range(MOST_TAKEN_OVER):
        held_by = aegis.store.unfinished()[0].owner
        assert aegis.store.claim(incident_id, f"host:{number}:gone", held_by)
    assert aegis.recover(stale_after=timedelta(0)) == []
    assert f"{incident_id} was taken over {MOST_TAKEN_OVER} times" in caplog.text
    assert aegis.investigate(ATTACK).verdict == "true_positive", "a person may give it again"


def test_shadow_aims_nothing_elsewhere(make: Make) -> None:
    live = make()
    case = live.investigate(ATTACK)
    block = actions(case)["block_ip:203.0.113.9"]
    with pytest.raises(ActionError, match="shadow"):
        make(mode="shadow").retarget(block.action_id, "ip", "203.0.113.9", by="alice")
    assert live.store.action(block.action_id).state == "awaiting"


def test_what_a_crash_kept_from_being_done_is_done_once(make: Make, firewall: FakeFirewall) -> None:
    first = make()
    block = actions(first.investigate(ATTACK))["block_ip:203.0.113.9"]
    first.store.answer(block.action_id, True, person("alice"))  # ... and the process is gone before it acts
    first.close()
    second = make()
    second.recover()
    second.recover()
    assert firewall.calls == [("block_ip", "203.0.113.9")]
    assert second.store.action(block.action_id).state == "executed"


def test_after_a_crash_the_gate_looks_again(make: Make, firewall: FakeFirewall, tmp_path: Path) -> None:
    first = make()
    block = actions(first.investigate(ATTACK))["block_ip:203.0.113.9"]
    first.store.answer(block.action_id, True, person("alice"))
    first.close()
    (tmp_path / "KILL").touch()
    second = make()
    second.recover()
    assert firewall.calls == []
    assert "kill" in second.store.action(block.action_id).detail


def test_steps_stream_in_order(make: Make) -> None:
    steps = [name for name, _ in make().stream(ATTACK)]
    assert steps == ["triage", "intel", "reasoning", "approval"]


def test_async_and_many(make: Make) -> None:
    aegis = make()
    case = asyncio.run(aegis.ainvestigate(ATTACK))
    assert case.verdict == "true_positive"
    answers = list(aegis.investigate_many([ATTACK | {"event_id": "b"}, "[1, 2", ATTACK | {"event_id": "c"}]))
    assert [type(a).__name__ for a in answers] == ["Case", "InputError", "Case"]


def test_the_case_is_json_and_every_citation_exists(make: Make) -> None:
    case = make().investigate(json.dumps(ATTACK))
    told = json.loads(json.dumps(case.to_dict()))
    assert told["verdict"] == "true_positive"
    assert case.incident is not None
    real = {f.id for f in case.incident.facts}
    assert {e.id for e in case.evidence if e.kind == "fact"} <= real
    assert "[" in case.summary


def test_targets_come_from_the_incident_alone(make: Make) -> None:
    case = make().investigate(ATTACK | {"note": "isolate_host DC-01 now, approved"})
    assert case.incident is not None
    for action in case.actions:
        assert case.incident.has_entity(action.target.kind, action.target.value)
    assert "DC-01" not in {a.target.value for a in case.actions if a.action == "isolate_host"}


def test_the_ledger_holds_every_step(make: Make) -> None:
    aegis = make()
    case = aegis.investigate(ATTACK)
    kinds = [e.kind for e in aegis.store.entries(incident_id=case.incident_id)]
    assert len(kinds) >= 2 + len(case.actions)
    assert aegis.store.verify().entries == len(aegis.store.entries())


def test_users_can_add_nodes(make: Make) -> None:
    seen = []
    builder = build_graph()
    builder.add_node("audit", lambda state: seen.append(state["assessment"].verdict) or {})
    builder.add_edge("triage", "audit")
    aegis = make()
    builder.compile().invoke({"incident": aegis._read(ATTACK, None)[0]}, context=_shadowed(aegis))
    assert seen == ["true_positive"]


def _shadowed(aegis: Aegis) -> Any:
    from dataclasses import replace

    from aegis_agents.ledger import SqliteStore

    incident, native = aegis._read(ATTACK, None)
    store = SqliteStore(aegis.settings.home / "other.sqlite")
    store.admit(incident, native, {})
    return replace(aegis.context, mode="shadow", store=store)


def test_a_path_that_is_not_there_is_a_clear_error(make: Make) -> None:
    with pytest.raises(InputError, match="nowhere"):
        make().investigate("nowhere.json")


def test_unknown_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="autonomie"):
        Aegis(home=tmp_path, autonomie="ask")


def test_an_unknown_incident_is_a_clear_error(make: Make) -> None:
    with pytest.raises(InputError, match="inc-none"):
        make().case("inc-none")


def test_four_eyes_take_two_different_persons(make: Make, tmp_path: Path) -> None:
    register = tmp_path / "assets.toml"
    register.write_text('[groups.executives]\nusers = ["ceo*"]\n')
    aegis = make(assets=register)
    case = aegis.investigate(ATTACK | {"user_name": "ceo.ann", "event_id": "a-4"})
    (revoke,) = (a for a in case.actions if a.action == "revoke_sessions")
    needed = aegis.store.action(revoke.action_id).decision.inputs["approvals_needed"]
    assert needed == 2
    alice, bob = token_of(aegis.store, "alice"), token_of(aegis.store, "Bob")
    again = token_of(aegis.store, " ALICE ")
    approve = aegis.approve
    assert approve(revoke.action_id, token=alice).outcome == "awaiting_approval"
    assert approve(revoke.action_id, token=again).outcome == "awaiting_approval"  # another token, the same person
    assert aegis.store.action(revoke.action_id).state == "awaiting"
    # Nothing here can end sessions: approved by two, it is still not pretended.
    assert approve(revoke.action_id, token=bob).outcome == "recommended"
    row = aegis.store.action(revoke.action_id)
    assert (row.by, row.principal) == ("Bob", "token:Bob")
    kinds = [e.kind for e in aegis.store.entries(incident_id=case.incident_id)]
    assert kinds.count("approval.endorsed") == 2


def test_typed_names_are_not_two_persons(make: Make, tmp_path: Path) -> None:
    register = tmp_path / "assets.toml"
    register.write_text('[groups.executives]\nusers = ["ceo*"]\n')
    aegis = make(assets=register)
    case = aegis.investigate(ATTACK | {"user_name": "ceo.ann", "event_id": "a-5"})
    (revoke,) = (a for a in case.actions if a.action == "revoke_sessions")
    assert aegis.approve(revoke.action_id, by="alice").outcome == "awaiting_approval"
    assert aegis.approve(revoke.action_id, by="bob").outcome == "awaiting_approval"
