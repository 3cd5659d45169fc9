"""A wish is proposed, never done; put forward it waits for a person, whatever the autonomy."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.agents.offering import _fits
from aegis_agents.assistant import Assistant, propose
from aegis_agents.assistant.proposing import ASKED, WAITS
from aegis_agents.assistant.reading import ReadOnly
from aegis_agents.errors import InputError
from aegis_agents.records import Case
from evals.assistant_scene import Everything
from tests.people import person, token_of

Make = Callable[..., Aegis]
ALICE = person("alice")


def attack(aegis: Aegis) -> Case:
    folder = resources.files("aegis_agents.cli") / "demo_alerts"
    return aegis.investigate(json.loads((folder / "1_attack.json").read_text("utf-8")))


def test_asked_to_act_it_answers_a_proposal_and_changes_nothing(make: Make, connector: Everything) -> None:
    aegis = make()
    case = attack(aegis)
    before = (len(aegis.store.entries()), aegis.store.actions(case.incident_id))
    answer = Assistant(aegis.context).ask("reset the password of m.oyelaran", case)
    (proposal,) = answer.proposals
    assert (proposal.action, proposal.target.value) == ("reset_password", "m.oyelaran")
    assert proposal.undo is None
    assert proposal.verb == "ask"
    assert "Nothing was done" in answer.text
    assert (len(aegis.store.entries()), aegis.store.actions(case.incident_id)) == before


def test_a_wish_waits_although_the_gate_would_let_it_run(make: Make, connector: Everything, tmp_path: Path) -> None:
    matrix = tmp_path / "matrix.toml"
    matrix.write_text('[record]\nstandard = "act"\nimportant = "act"\nprotected = "act"\n', "utf-8")
    aegis = make(autonomy="act", matrix=matrix)
    case = attack(aegis)
    acted = list(connector._in_effect)
    answer = Assistant(aegis.context).ask("put the host on the watchlist", case)
    assert answer.proposals[0].verb == "execute"
    row = propose(aegis.context, case.incident_id, "add_watchlist", "host", "ALD-LT-0442", ALICE, "odd traffic")
    assert row.state == "awaiting"
    assert row.decision.rule == WAITS
    assert row.proposal.reason == "asked for by alice"
    assert list(connector._in_effect) == acted
    (entry,) = aegis.store.entries(incident_id=case.incident_id, kind=ASKED)
    assert entry.body is not None
    assert (entry.body["by"], entry.body["reason"], entry.body["principal"]["id"]) == (
        "alice",
        "odd traffic",
        "token:alice",
    )
    aegis.store.verify()


def test_an_approver_can_then_let_it_be_done_and_taken_back(make: Make) -> None:
    aegis = make()
    case = attack(aegis)
    row = propose(aegis.context, case.incident_id, "add_watchlist", "host", "ALD-LT-0442", ALICE)
    report = aegis.approve(row.action_id, token=token_of(aegis.store, "bert"))
    assert report.outcome == "executed"
    assert aegis.undo(row.action_id, token=token_of(aegis.store, "carol")).outcome == "undone"
    assert row.action_id in {a.action_id for a in aegis.case(case.incident_id).actions}


def test_the_same_wish_again_is_the_same_row_and_after_an_end_a_new_one(make: Make) -> None:
    aegis = make()
    case = attack(aegis)
    wish = (aegis.context, case.incident_id, "add_watchlist", "host", "ALD-LT-0442", ALICE)
    row = propose(*wish)
    assert propose(*wish).action_id == row.action_id
    aegis.deny(row.action_id, token=token_of(aegis.store, "bert"))
    again = propose(*wish)
    assert (again.proposal.generation, again.state) == (1, "awaiting")


@pytest.mark.parametrize(
    ("action", "kind", "value", "names"),
    [
        ("isolate_host", "host", "DC-01", "no entity"),
        ("isolate_host", "user", "m.oyelaran", "takes no user"),
        ("format_disk", "host", "ALD-LT-0442", "no action"),
        ("release_host", "host", "ALD-LT-0442", "no action"),
    ],
)
def test_what_the_incident_does_not_name_can_not_be_a_target(
    make: Make, action: str, kind: str, value: str, names: str
) -> None:
    aegis = make()
    case = attack(aegis)
    with pytest.raises(InputError, match=names):
        propose(aegis.context, case.incident_id, action, kind, value, ALICE)
    with pytest.raises(InputError):
        propose(aegis.context, "inc-000000", "isolate_host", "host", "ALD-LT-0442", ALICE)


def test_what_the_gate_refuses_is_journalled_as_refused(make: Make) -> None:
    aegis = make()
    folder = resources.files("aegis_agents.cli") / "demo_alerts"
    case = aegis.investigate(json.loads((folder / "2_authorised.json").read_text("utf-8")))
    assert case.verdict == "benign_positive"
    row = propose(aegis.context, case.incident_id, "isolate_host", "host", "ALD-PT-LAB-03", ALICE)
    assert row.state == "refused"
    said = Assistant(aegis.context).ask("isolate ALD-PT-LAB-03", case)
    assert said.proposals[0].verb == "refuse"


def test_the_kill_switch_stops_wishes_too(make: Make) -> None:
    aegis = make()
    case = attack(aegis)
    aegis.settings.kill_switch_file.touch()
    assert propose(aegis.context, case.incident_id, "reset_password", "user", "m.oyelaran", ALICE).state != "awaiting"


def test_in_shadow_nothing_waits(make: Make) -> None:
    aegis = make(mode="shadow")
    case = attack(aegis)
    row = propose(aegis.context, case.incident_id, "reset_password", "user", "m.oyelaran", ALICE)
    assert row.state == "recommended"


def test_a_wish_earns_no_autonomy(make: Make) -> None:
    aegis = make()
    case = attack(aegis)
    decided = {e.body["proposal"]["action_id"]: e.body for e in aegis.store.entries(kind="action.decided") if e.body}
    own = next(r for r in aegis.store.actions(case.incident_id) if r.proposal.action == "isolate_host")
    assert _fits(decided[own.action_id], aegis.context.model.version)  # so that the other can fail
    aegis.deny(own.action_id, token=token_of(aegis.store, "bert"))
    wish = propose(aegis.context, case.incident_id, "isolate_host", "host", "ALD-LT-0442", ALICE)
    body = aegis.store.entries(kind="action.decided")[-1].body
    assert body is not None
    assert body["proposal"]["action_id"] == wish.action_id
    assert not _fits(body, aegis.context.model.version)


def test_two_that_may_be_meant_are_asked_about(make: Make) -> None:
    aegis = make()
    alert: dict[str, Any] = {
        "event_id": "t-1",
        "title": "Beacon",
        "source_ip": "203.0.113.1",
        "destination_ip": "203.0.113.2",
    }
    case = aegis.investigate(alert)
    answer = Assistant(aegis.context).ask("block the ip", case)
    assert not answer.proposals
    assert "Which one is meant" in answer.text


def test_the_graph_can_not_reach_anything_that_writes(make: Make) -> None:
    aegis = make()
    desk = Assistant(aegis.context)._desk
    writes = {
        "answer",
        "begin",
        "settle",
        "record_decision",
        "append",
        "admit",
        "finish",
        "set_expiry",
        "begin_undo",
        "add_token",
        "transaction",
    }
    assert isinstance(desk.store, ReadOnly)
    assert not writes & set(dir(desk.store))
    assert all((tool.metadata or {}).get("effect") == "read" for tool in desk.tools)
    assert not hasattr(desk, "write_path")
