"""A decision explains itself: from its inputs alone its verb, its rule and each step's answer can be worked out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gate_cases import OPEN, SPECS, TARGETS, assessment, open_gate, request
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_agents.gate import Gate, Usage
from aegis_agents.gate.cedar import CedarPolicy
from aegis_agents.gate.gate import _ORDER
from aegis_agents.gate.killswitch import stopper
from aegis_agents.gate.request import VERBS, class_of
from aegis_agents.gate.validators import RAILS
from aegis_agents.records import AUTONOMY_LEVELS, CATALOGUE, VERDICTS, Decision

STEPS = (
    "asset",
    "kill_switch",
    *RAILS,
    "policy",
    "caution",
    "autonomy",
    "risk",
    "cost",
    "counterfactual",
    "budget",
    "kill_switch_again",
)

usages = st.builds(
    Usage,
    by_class=st.fixed_dictionaries({name: st.integers(0, 30) for name in ("contain", "close_alert", "record")}),
    by_tier=st.fixed_dictionaries({"standard": st.integers(0, 30)}),
    targets=st.frozensets(st.sampled_from(["host:a", "host:b", "user:c", "ip:203.0.113.4", "hash:d"])),
    failed=st.integers(0, 2), undone=st.integers(0, 2),
)  # fmt: skip
asked = st.builds(
    lambda name, verdict, sure, usage, who: request(name, verdict, confidence=sure, usage=usage, approved_by=who),
    st.sampled_from(sorted(TARGETS)), st.sampled_from(VERDICTS), st.floats(0, 1), st.one_of(st.none(), usages),
    st.sampled_from([(), ("ann",), ("ann", "bob")]),
)  # fmt: skip
GATES = (
    open_gate(), Gate(), open_gate(autonomy="recommend"), open_gate(budgets={"actions_per_hour": 3, "most_per_hour": 9}),
    open_gate(assets={"groups": {"ot": {"hosts": ["web-*"], "users": ["*"]}}}), open_gate(risk={"contain": 0.5}),
)  # fmt: skip


def ceilings(decision: Decision) -> dict[str, str]:
    return {name: str(decision.inputs[name]) for name in STEPS}


def rank(verb: str) -> int:
    return [str(known) for known in VERBS].index(verb)


@given(st.sampled_from(GATES), asked)
@settings(max_examples=120, deadline=None)
def test_verb_and_rule_follow_from_the_inputs(gate: Gate, what: Any) -> None:
    decision = gate.decide(what)
    inputs, said = decision.inputs, ceilings(decision)
    least = min(said.values(), key=rank)
    if least == "ask" and inputs["approvals"] >= inputs["approvals_needed"]:  # type: ignore[operator]
        assert (decision.verb, decision.rule) == ("execute", "gate.approved")
    else:
        assert decision.verb == least
        if least == "execute":
            assert decision.rule == "gate.all_clear"
        else:
            first = next(name for name in _ORDER if name in said and said[name] == least)
            assert decision.rule == inputs[f"{first}.rule"]


@given(st.sampled_from(GATES), asked)
@settings(max_examples=120, deadline=None)
def test_each_step_follows_from_its_own_numbers(gate: Gate, what: Any) -> None:
    decision = gate.decide(what)
    i, said = decision.inputs, ceilings(decision)
    kind = class_of(SPECS[what.action.action])
    number = lambda key: float(i[key])  # type: ignore[arg-type]  # noqa: E731
    assert said["kill_switch"] == ("refuse" if i["kill_switch.engaged"] and kind != "record" else "execute")
    assert (said["risk"] == "execute") == (number("risk.confidence") >= number("risk.threshold"))
    level = min((str(i["autonomy.cell"]), str(i["autonomy.ceiling"])), key=[str(x) for x in AUTONOMY_LEVELS].index)
    assert i["autonomy.level"] == level
    rest = {"observe": "refuse", "recommend": "recommend", "ask": "ask", "act": "execute"}
    undoable = SPECS[what.action.action].reversible
    assert said["autonomy"] == rest.get(level, "execute" if undoable else "ask")
    priced = {verb: number(f"cost.{verb}") for verb in ("execute", "ask", "recommend")}
    assert priced[str(i["cost.cheapest"])] <= min(priced.values()) + 0.01  # figures are rounded
    assert number("cost.attack") + number("cost.harmless") + number("cost.open") == pytest.approx(1, abs=1e-3)
    if said["budget"] == "refuse":
        assert number("budget.actions") >= number("budget.most")
    elif what.usage is not None:
        limits = [key for key in i if key.startswith("budget.") and key.endswith(".limit")]
        spent = any(number(key.removesuffix(".limit")) >= number(key) for key in limits)
        assert limits
        assert said["budget"] == ("ask" if spent else "execute")
    else:
        assert i["budget.rule"] == "budget.unknown"
    assert i["verdict"] == what.conclusion.verdict
    assert i["confidence"] == what.conclusion.confidence


def test_the_policy_can_be_asked_again_with_what_the_decision_shows() -> None:
    """Everything that Cedar was told stands in the inputs, so that an answer can be replayed with the named version."""
    gate = open_gate(assets={"groups": {"ot": {"hosts": ["web-*"]}}})
    decision = gate.decide(request("isolate_host"))
    shown = {name.removeprefix("asset.") for name in decision.inputs if name.startswith("asset.")}
    assert shown >= {"tier", "groups", "internal", "own", "well_known", "window", "signs"}
    assert decision.inputs["asset.signs"] == "ot: the asset list"
    assert {"verdict", "severity", "confidence", "approvals"} <= decision.inputs.keys()
    assert decision.versions["policy"] == CedarPolicy.load().version


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_every_step_answers_every_action(name: str) -> None:
    inputs = open_gate().decide(request(name)).inputs
    assert all(step in inputs and f"{step}.rule" in inputs for step in STEPS)


def test_what_could_not_be_decided_says_at_which_step() -> None:
    odd = assessment().model_copy(update={"probabilities": {"true_positive": 2.0}})
    decision = open_gate().decide(request("isolate_host", assessment=odd, approved_by=("ann", "bob")))
    assert (decision.verb, decision.rule) == ("refuse", "schema.invalid")
    assert "probabilities" in decision.reason


# the kill switch, once more before the effect


def test_the_write_path_can_ask_once_more(tmp_path: Path) -> None:
    switch = tmp_path / "KILL"
    stopped = stopper(switch)
    assert [stopped(action) for action in CATALOGUE] == [""] * len(CATALOGUE)
    switch.touch()
    held = {action for action in CATALOGUE if stopped(action)}
    assert held == {action for action, spec in CATALOGUE.items() if spec.effect != "record" or action == "close_alert"}
    assert str(switch) in stopped("isolate_host")
    assert stopper(None)("isolate_host") == ""
    assert OPEN["autonomy"] == "act"
