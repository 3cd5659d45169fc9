"""What-if and replay: the answer is that of an alert that really says so, and nothing is written or done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aegis_agents import Aegis, InputError
from aegis_agents.ledger import Store
from aegis_agents.notebook import replay, what_if
from aegis_agents.records import Case
from aegis_agents.sources import parse
from aegis_agents.supposing.changing import change_incident
from tests.notebook.notebook_parts import example

REAL = {
    "labels.change": None, "labels.exercise_lead": None, "labels.asset_role": "finance server, production",
    "process.parent.command_line": "wscript.exe Invoice_8841.js",
}  # fmt: skip
"""The same alert on a machine that matters, with nothing that speaks of an exercise."""


def everything(store: Store) -> tuple[Any, ...]:
    """All that a store holds which a question could have changed."""
    return tuple(store.entries()), tuple(store.pending()), tuple(store.unfinished()), tuple(store.open_intents())


@pytest.fixture
def case(aegis: Aegis) -> Case:
    return aegis.investigate(example("2_authorised"))


def test_leaving_out_what_speaks_for_an_exercise_moves_the_verdict(aegis: Aegis, case: Case) -> None:
    before = everything(aegis.store)
    answer = what_if(aegis, case, REAL)
    assert answer.before.verdict == case.verdict == "benign_positive"
    assert answer.before.probabilities == pytest.approx(case.probabilities)
    assert answer.moved
    assert answer.after.probabilities["true_positive"] > 5 * answer.before.probabilities["true_positive"]
    assert everything(aegis.store) == before
    assert {c.path for c in answer.changes} == set(REAL)


def test_the_answer_is_that_of_an_alert_that_says_so(aegis: Aegis, case: Case) -> None:
    alert = json.loads(example("2_authorised"))
    alert["labels"]["asset_role"] = "production domain controller"
    del alert["labels"]["exercise_lead"]
    told = aegis.context.model.assess(parse(alert))
    answer = what_if(aegis, case, {"labels.asset_role": "production domain controller", "labels.exercise_lead": None})
    assert answer.after.probabilities == pytest.approx(told.probabilities, abs=1e-4)
    assert answer.after.verdict == told.verdict


def test_actions_come_and_go_with_the_verdict(aegis: Aegis, case: Case) -> None:
    answer = what_if(aegis, case, REAL)
    by_name = {a.action: (a.before, a.after) for a in answer.actions}
    assert by_name["close_alert"] == ("ask", None)
    assert by_name["open_ticket"] == (None, "execute")


def test_entities_and_derived_facts_follow_the_changed_fact() -> None:
    incident = parse(example("1_attack"))
    changed, _ = change_incident(incident, {"network_accesses[0].remote_address": "198.51.100.7"})
    assert changed.has_entity("ip", "198.51.100.7")
    assert not changed.has_entity("ip", "203.0.113.91")
    assert changed.has_entity("host", "ALD-LT-0442")
    assert any(f.derived for f in incident.facts)
    dropped, _ = change_incident(incident, {"network_accesses[0].first_seen_in_org": None})
    assert not any(f.derived for f in dropped.facts)
    assert incident.has_entity("ip", "203.0.113.91")  # the incident itself is as it was


@pytest.mark.parametrize("name", ["1_attack", "2_authorised", "3_wrong_detection", "4_unclear", "5_injection"])
def test_changing_nothing_changes_nothing(name: str) -> None:
    incident = parse(example(name))
    same, told = change_incident(incident, {f.id: f.value for f in incident.facts if not f.derived})
    assert same.facts == incident.facts
    assert {(e.kind, e.value, e.role, frozenset(e.facts)) for e in same.entities} == {
        (e.kind, e.value, e.role, frozenset(e.facts)) for e in incident.entities
    }
    assert same.observed_at == incident.observed_at
    assert len(told) == sum(not f.derived for f in incident.facts)


def test_the_time_of_the_event_follows_its_fact() -> None:
    incident = parse(example("1_attack"))
    changed, _ = change_incident(incident, {"timestamp": "2026-03-13T02:41:09Z"})
    assert changed.observed_at is not None
    assert changed.observed_at.day == 13


def test_a_changed_value_is_read_as_an_alerts_would_be() -> None:
    changed, (told,) = change_incident(parse(example("1_attack")), {"cmdline": "a\u202eb" + "x" * 20_000})
    assert told.after is not None
    assert told.after.startswith("a⟦U+202E⟧b")
    assert len(told.after) < 9_000
    assert changed.fact(told.id).value == told.after


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "names no fact"),
        ({"nosuch": None}, "no fact has this path"),
        ({"cmdlin": "x"}, "near it: cmdline"),
        ({"d1": None}, "change f21, f7"),
        ({"f15": 5}, "is a int"),
        ({"f15": "x", "cmdline": "y"}, "changed twice"),
    ],
)
def test_what_cannot_be_asked_says_why(changes: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        change_incident(parse(example("1_attack")), changes)


def test_nothing_can_be_asked_of_nothing() -> None:
    incident = parse(example("1_attack"))
    with pytest.raises(InputError, match="leave nothing"):
        change_incident(incident, {f.id: None for f in incident.facts if not f.derived})


def test_replay_comes_out_the_same_with_the_same_versions(aegis: Aegis, case: Case) -> None:
    before = everything(aegis.store)
    answer = replay(aegis, case.incident_id)
    assert answer.same
    assert answer.versions == {}
    assert [e.kind for e in answer.entries] == ["intake.admitted", "action.decided", "case.finished"]
    assert everything(aegis.store) == before


def test_replay_under_another_policy_says_what_differs(aegis: Aegis, case: Case, parts: Any, tmp_path: Any) -> None:
    policy = tmp_path / "own.cedar"
    policy.write_text('@id("mine.none") forbid (principal, action == Aegis::Action::"close_alert", resource);')
    with Aegis(home=tmp_path, model=parts[0], intel=parts[1], policy=policy) as stricter:
        answer = replay(stricter, case)
    assert not answer.same
    assert [(a.before, a.after, a.rule) for a in answer.actions] == [("ask", "refuse", "mine.none")]
    assert "policy" in answer.versions


def test_who_is_not_known_is_said(aegis: Aegis) -> None:
    with pytest.raises(InputError, match="is not known"):
        what_if(aegis, "inc-none", {"a": None})
    with pytest.raises(InputError, match="is not known"):
        replay(aegis, "inc-none")
