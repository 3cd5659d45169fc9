"""Every knob of the gate, and what turning it does. A new one without a row here fails."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from gate_cases import NOW, assessment, incident, open_gate, request
from test_gate_rails import validator_that

from aegis_agents.gate import BudgetLimits, Gate, GateRequest, Usage
from aegis_agents.gate.cost_model import _TABLES, CostModel
from aegis_agents.records import Decision, Fact


class Knob(NamedTuple):
    """Turned from `low` to `high`, the decision about `asked` goes from `before` to `after` (verb and rule)."""

    low: Any
    high: Any
    asked: Callable[[], GateRequest]
    before: tuple[str, str]
    after: tuple[str, str]


def host(**usage: Any) -> Callable[[], GateRequest]:
    return lambda: request("isolate_host", usage=Usage(**usage))


def closing() -> GateRequest:
    return request("close_alert", "benign_positive", usage=Usage(by_class={"close_alert": 3}))


def file(text: str, name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_text(text, "utf-8")
        return path

    return write


def unsure(confidence: float) -> Callable[[], GateRequest]:
    """A containment that no external text holds up, so that the costs alone decide."""
    return lambda: request(confidence=confidence, reassess=lambda masked: assessment())


RUNS = ("execute", "gate.all_clear")
NO_HOSTS = '@id("no-hosts") forbid (principal, action == Aegis::Action::"isolate_host", resource);'
ONE = (Fact(id="x0", path="field.text", value="anything", trust="external"),)


def hanging_on_one(masked: frozenset[str]) -> Any:
    """The verdict hangs on one field, which is masked by itself where more may be asked."""
    return assessment("undetermined" if masked == {"x0"} else "true_positive")


def asked_apart() -> GateRequest:
    return request("isolate_host", incident=incident(ONE), reassess=hanging_on_one)


KNOBS: dict[str, Knob] = {
    "policy": Knob(None, file(NO_HOSTS, "own.cedar"), host(), RUNS, ("refuse", "no-hosts")),
    "autonomy": Knob("act", "recommend", host(), RUNS, ("recommend", "autonomy.recommend")),
    "mode": Knob("live", "shadow", host(), RUNS, RUNS),
    "matrix": Knob({"contain": {"standard": "act"}}, {"contain": {"standard": "ask"}}, host(), RUNS, ("ask", "autonomy.ask")),
    "risk": Knob({"contain": 0.9}, {"contain": 0.995}, host(), RUNS, ("ask", "risk.contain")),
    "costs": Knob({}, {"outage": {"isolate_host": {"standard": 9000}}}, host(), RUNS, ("ask", "cost.ask_attack")),
    "budgets": Knob({}, {"actions_per_hour": 0}, host(), RUNS, ("ask", "budget.hour")),
    "kill_switch": Knob(None, file("", "STOP"), host(), RUNS, ("refuse", "kill_switch.engaged")),
    "assets": Knob({}, {"groups": {"ot": {"hosts": ["web-*"]}}}, host(), RUNS, ("ask", "protected.ot")),
    "is_technique": Knob(lambda _: True, lambda _: False, host(), RUNS, ("refuse", "technique.unknown")),
    "validators": Knob(
        (), lambda _: [validator_that("fixes")], host(), RUNS, ("refuse", "validator.0.test/fixes.failed")
    ),
    "counterfactual_groups": Knob(2, 24, asked_apart, RUNS, ("ask", "counterfactual.hangs_on_external")),
}  # fmt: skip
LIMITS: dict[str, Knob] = {
    "actions_per_hour": Knob(4, 3, host(by_class={"contain": 2, "destroy": 1}), RUNS, ("ask", "budget.hour")),
    "closings_per_hour": Knob(4, 3, closing, RUNS, ("ask", "budget.closings")),
    "records_per_hour": Knob(4, 3, lambda: request("open_ticket", usage=Usage(by_class={"record": 3})), RUNS, ("ask", "budget.records")),
    "per_tier": Knob({"standard": 3}, {"standard": 2}, host(by_tier={"standard": 2}), RUNS, ("ask", "budget.tier")),
    "per_group": Knob({"web": 3}, {"web": 2}, host(by_group={"web": 2}), RUNS, ("ask", "budget.group")),
    "blast_radius": Knob(3, 2, host(targets=frozenset({"hash:a", "hash:b"})), RUNS, ("ask", "budget.blast_radius")),
    "per_sort": Knob({"hosts": 3}, {"hosts": 2}, host(targets=frozenset({"host:a", "pod:b"})), RUNS, ("ask", "budget.hosts")),
    "trip_after": Knob(3, 2, host(failed=1, undone=1), RUNS, ("ask", "budget.breaker")),
    "most_per_hour": Knob(4, 3, host(by_class={"contain": 3}), RUNS, ("refuse", "budget.most")),
}  # fmt: skip
EARLIER = {"contain": "act", "destroy": "act", "close_alert": "act", "record": "act"}
COSTS: dict[str, Knob] = {
    "unit": Knob({"unit": "EUR"}, {"unit": "USD"}, host(), RUNS, RUNS),
    "per_minute": Knob({"per_minute": 1}, {"per_minute": 99}, unsure(0.8), RUNS, ("ask", "cost.ask")),
    "missed": Knob({}, {"missed": {"high": {"standard": 10}}}, host(), RUNS, ("ask", "cost.ask_attack")),
    "spread": Knob(
        {"spread": {"high": 0.0}}, {"spread": {"high": 0.2}}, unsure(0.9), ("ask", "cost.ask"), RUNS
    ),
    "waiting": Knob(
        {"waiting": {"approval": 0}}, {"waiting": {"approval": 10}}, unsure(0.9), ("ask", "cost.ask"), RUNS
    ),
    "minutes": Knob({"minutes": {"undo": 0}}, {"minutes": {"undo": 9e4}}, host(), RUNS, ("ask", "cost.ask")),
    "averts": Knob({}, {"averts": {"isolate_host": 0.0}}, host(), RUNS, ("ask", "cost.ask_attack")),
    "outage": Knob({}, {"outage": {"isolate_host": {"hours": 400}}}, host(), RUNS, ("ask", "cost.ask_attack")),
}  # fmt: skip
LAB = {"groups": {"web": {"hosts": ["web-*"]}}}


def turned(changes: dict[str, Any], asked: GateRequest, folder: Path) -> Decision:
    made = {
        name: value(folder) if callable(value) and name != "is_technique" else value for name, value in changes.items()
    }
    return open_gate(**{"assets": LAB, "risk": {"contain": 0.4, "close_alert": 0.4}, **made}).decide(asked)


def shows(knob: Knob, name: str, folder: Path, key: str | None = None) -> tuple[Decision, Decision]:
    def wrapped(value: Any) -> dict[str, Any]:
        return {name: {key: value}} if key else {name: value}

    before, after = turned(wrapped(knob.low), knob.asked(), folder), turned(wrapped(knob.high), knob.asked(), folder)
    assert (before.verb, before.rule) == knob.before
    assert (after.verb, after.rule) == knob.after
    return before, after


def test_every_knob_has_a_row() -> None:
    assert set(KNOBS) == set(inspect.signature(Gate).parameters)
    assert set(LIMITS) == {field.name for field in dataclasses.fields(BudgetLimits)}
    assert set(COSTS) == {field.name for field in dataclasses.fields(CostModel)} - {"version"}
    assert set(COSTS) == {"unit", "per_minute", *_TABLES}


@pytest.mark.parametrize("name", sorted(KNOBS))
def test_turning_a_knob(name: str, tmp_path: Path) -> None:
    before, after = shows(KNOBS[name], name, tmp_path)
    if name == "mode":  # it decides alike, on purpose: what differs is that nothing is touched
        assert (before.inputs["mode"], after.inputs["mode"]) == ("live", "shadow")
    elif name not in ("is_technique",):  # a function has no name to hash
        assert before.versions != after.versions


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_turning_a_limit(name: str, tmp_path: Path) -> None:
    shows(LIMITS[name], "budgets", tmp_path, name)


@pytest.mark.parametrize("name", sorted(COSTS))
def test_turning_a_cost(name: str, tmp_path: Path) -> None:
    before, after = shows(COSTS[name], "costs", tmp_path)
    assert before.inputs["cost.model"] != after.inputs["cost.model"]
    if name == "unit":
        assert (before.inputs["cost.unit"], after.inputs["cost.unit"]) == ("EUR", "USD")


def test_a_group_that_is_not_named_has_the_limit_of_any(tmp_path: Path) -> None:
    asked = host(by_group={"web": 2})()
    assert turned({"budgets": {"per_group": {"*": 2}}}, asked, tmp_path).rule == "budget.group"
    assert turned({"budgets": {"per_group": {"*": 2, "web": 9}}}, asked, tmp_path).verb == "execute"


def test_the_ceiling_holds_against_approvals_and_no_other_limit_does() -> None:
    spent = Usage(by_class={"contain": 30}, by_tier={"standard": 30}, failed=9)
    asked = request("isolate_host", usage=spent, approved_by=("ann",))
    assert open_gate().decide(asked).rule == "gate.approved"
    decision = open_gate(budgets={"most_per_hour": 30}).decide(asked)
    assert (decision.verb, decision.rule) == ("refuse", "budget.most")
    assert open_gate(budgets={"most_per_hour": 0}).decide(request("open_ticket")).verb == "execute"


def test_nothing_is_closed_alone_on_a_tier_without_a_budget() -> None:
    gate = open_gate(assets={"groups": {"payments": {"hosts": ["web-*"]}}})
    decision = gate.decide(request("close_alert", "benign_positive"))
    assert decision.verb == ("ask" if decision.inputs["asset.tier"] == "protected" else "execute")
    important = {
        "assets": {"groups": {"own": {"tier": "important", "users": ["*"], "hosts": ["*"], "ips": ["0.0.0.0/0"]}}}
    }
    asked = request("isolate_host")
    assert open_gate(**important, budgets={"per_tier": {"important": 0}}).decide(asked).rule == "budget.tier"
    assert NOW.tzinfo is not None
