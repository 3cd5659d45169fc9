"""The cost model: what its figures do, that they are checked, and that the step only ever lowers."""

from __future__ import annotations

import tomllib
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from gate_cases import SPECS, TARGETS, action, assessment, conclusion, context, open_gate, request
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_agents.errors import SettingsError
from aegis_agents.gate import CostModel, Gate, cost
from aegis_agents.gate.assets import AssetFacts
from aegis_agents.gate.cost import Odds, Priced, price
from aegis_agents.gate.cost_order import Pricer
from aegis_agents.gate.gate import _AFTER_RAILS
from aegis_agents.gate.request import VERBS, allow, class_of
from aegis_agents.gate.tiers import TIERS
from aegis_agents.records import CATALOGUE, SEVERITIES, ProposedAction, Verdict

STEPS: Any = _AFTER_RAILS
SHIPPED = CostModel.load()
CONTAINING = sorted(name for name, spec in SPECS.items() if class_of(spec) in ("contain", "destroy"))

figures = st.floats(0, 1e6)
shares = st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)).map(
    lambda t: Odds(*(part / max(sum(t), 1e-9) for part in t)) if sum(t) > 0 else Odds(0.0, 0.0, 1.0)
)


def rank(verb: str) -> int:
    return [str(known) for known in VERBS].index(verb)


def priced(
    costs: CostModel, odds: Odds, name: str, severity: Any = "high", tier: Any = "standard", left: float = 1.0
) -> Priced:
    return price(costs, odds, SPECS[name], class_of(SPECS[name]), severity, tier, left)


def model(**tables: Any) -> CostModel:
    return CostModel.load(tables)


# the table


def test_every_containing_action_has_its_costs() -> None:
    assert set(SHIPPED.outage) == set(SHIPPED.averts) == set(CONTAINING)
    assert all(set(row) == set(TIERS) for row in (*SHIPPED.outage.values(), *SHIPPED.missed.values()))
    assert set(SHIPPED.missed) == set(SHIPPED.spread) == set(SEVERITIES)


def test_only_what_can_be_undone_counts_hours() -> None:
    table = tomllib.loads((resources.files("aegis_agents.gate") / "costs.toml").read_text("utf-8"))
    for name in CONTAINING:
        assert ("hours" in table["outage"][name]) == CATALOGUE[name].reversible
    assert SHIPPED.outage["isolate_host"]["standard"] == table["outage"]["isolate_host"]["standard"] * 4
    assert SHIPPED.outage["kill_process"]["standard"] == table["outage"]["kill_process"]["standard"]
    assert model(outage={"isolate_host": {"hours": 8}}).outage["isolate_host"]["standard"] == 240


def test_worse_is_never_cheaper_as_shipped() -> None:
    for lower, higher in pairwise(SEVERITIES):
        assert all(SHIPPED.missed[lower][tier] < SHIPPED.missed[higher][tier] for tier in TIERS)
        assert SHIPPED.spread[lower] < SHIPPED.spread[higher]
    for row in (*SHIPPED.missed.values(), *SHIPPED.outage.values()):
        assert row["standard"] < row["important"] < row["protected"]


def test_a_file_replaces_single_figures(tmp_path: Path) -> None:
    path = tmp_path / "costs.toml"
    path.write_text('unit = "EUR"\nper_minute = 1.5\n[missed.high]\nstandard = 9000\n')
    costs = CostModel.load(path)
    assert (costs.unit, costs.minute("approval")) == ("EUR", 7.5)
    assert costs.missed["high"] == {**SHIPPED.missed["high"], "standard": 9000}
    assert costs.missed["low"] == SHIPPED.missed["low"]
    assert costs.version != SHIPPED.version
    assert CostModel.load({}).version == SHIPPED.version


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ({"mised": {}}, r"costs\.mised"),
        ({"missed": {"severe": {}}}, r"costs\.missed\.severe"),
        ({"missed": {"high": {"gold": 1}}}, r"costs\.missed\.high\.gold"),
        ({"missed": {"high": 4}}, r"costs\.missed\.high: needs figures"),
        ({"missed": {"high": {"standard": -1}}}, r"missed\.high\.standard: -1 is no cost"),
        ({"missed": {"high": {"standard": float("nan")}}}, "is no cost"),
        ({"missed": {"high": {"standard": float("inf")}}}, "is no cost"),
        ({"missed": {"high": {"standard": 10**400}}}, "is no cost"),
        ({"missed": {"high": {"standard": True}}}, "is no cost"),
        ({"missed": {"high": {"standard": "9"}}}, "is no cost"),
        ({"per_minute": "1"}, r"costs\.per_minute"),
        ({"unit": ""}, r"costs\.unit"),
        ({"unit": "a\nb"}, r"costs\.unit"),
        ({"averts": {"isolate_host": 1.2}}, r"costs\.averts\.isolate_host"),
        ({"averts": {"open_ticket": 0.2}}, r"costs\.averts\.open_ticket"),
        ({"outage": {"kill_process": {"hours": 2}}}, r"costs\.outage\.kill_process\.hours"),
        ({"minutes": {"coffee": 2}}, r"costs\.minutes\.coffee"),
    ],
)
def test_wrong_figures_name_themselves(given_: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Gate(costs=given_)


def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        CostModel.load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff[")
    with pytest.raises(SettingsError, match=r"bad\.toml"):
        CostModel.load(tmp_path / "bad.toml")


# expected costs


def test_the_arithmetic_is_the_documented_one() -> None:
    costs = model(
        missed={"high": {"standard": 1000}}, spread={"high": 0.1}, waiting={"approval": 2},
        minutes={"approval": 10, "undo": 20}, averts={"isolate_host": 0.5},
        outage={"isolate_host": {"standard": 25, "hours": 4}},
    )  # fmt: skip
    found = priced(costs, Odds(0.6, 0.3, 0.1), "isolate_host")
    # execute: if attack 100 + 500, if none 100 + 20; the open tenth falls on the attack, which costs more
    assert found.execute == pytest.approx(0.7 * 600 + 0.3 * 120)
    # ask: if attack 10 + 100 + 500 + 0.5 x 1000 x 0.1 x 2, if none 10
    assert found.ask == pytest.approx(0.7 * 710 + 0.3 * 10)
    assert found.recommend == pytest.approx(0.7 * 1000)
    assert found.cheapest == "execute"
    half = priced(costs, Odds(0.6, 0.3, 0.1), "isolate_host", left=0.5)
    assert half.recommend == pytest.approx(0.7 * 500)


def test_closing_is_weighed_by_what_is_missed() -> None:
    sure, unsure = Odds(0.0, 1.0, 0.0), Odds(0.05, 0.95, 0.0)
    assert priced(SHIPPED, sure, "close_alert").cheapest == "execute"
    assert priced(SHIPPED, unsure, "close_alert").cheapest == "ask"
    assert priced(SHIPPED, Odds(0.0, 0.9, 0.1), "close_alert").cheapest == "ask"  # what is open may be an attack
    idle = model(minutes={"open_alert": 1})
    assert priced(idle, unsure, "close_alert", "informational").cheapest == "execute"
    assert (
        priced(model(minutes={"open_alert": 0}, waiting={"open_alert": 0}), unsure, "close_alert").cheapest
        == "recommend"
    )


def test_waiting_costs_no_more_than_never() -> None:
    forever = model(waiting={"approval": 10_000})
    found = priced(forever, Odds(1.0, 0.0, 0.0), "isolate_host")
    question = forever.minute("approval") + forever.outage["isolate_host"]["standard"]
    assert found.ask == pytest.approx(forever.missed["high"]["standard"] + question)


costed = st.sampled_from([*CONTAINING, "close_alert"])
severities, tiers = st.sampled_from(SEVERITIES), st.sampled_from(TIERS)


def executes(found: Priced) -> bool:
    return found.cheapest == "execute"


@given(st.sampled_from(CONTAINING), shares, severities, tiers, figures, figures, st.floats(0, 1))
@settings(max_examples=300, deadline=None)
def test_a_dearer_outage_never_makes_containment_likelier(
    name: str, odds: Odds, severity: Any, tier: Any, one: float, other: float, left: float
) -> None:
    low, high = sorted((one, other))
    cheap, dear = (priced(model(outage={name: {tier: f}}), odds, name, severity, tier, left) for f in (low, high))
    assert executes(cheap) or not executes(dear) or close(cheap)


@given(st.sampled_from(CONTAINING), shares, severities, tiers, figures, figures)
@settings(max_examples=300, deadline=None)
def test_a_dearer_miss_never_makes_containment_less_likely(
    name: str, odds: Odds, severity: Any, tier: Any, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    cheap, dear = (priced(model(missed={severity: {tier: f}}), odds, name, severity, tier) for f in (low, high))
    assert not executes(cheap) or executes(dear) or close(dear)


@given(shares, severities, tiers, figures, figures)
@settings(max_examples=300, deadline=None)
def test_a_dearer_miss_never_makes_closing_likelier(
    odds: Odds, severity: Any, tier: Any, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    cheap, dear = (
        priced(model(missed={severity: {tier: f}}), odds, "close_alert", severity, tier) for f in (low, high)
    )
    assert executes(cheap) or not executes(dear) or close(cheap)


@given(costed, shares, severities, tiers, st.floats(0, 1e4), st.floats(0, 1e4))
@settings(max_examples=200, deadline=None)
def test_a_dearer_question_is_never_asked_sooner(
    name: str, odds: Odds, severity: Any, tier: Any, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    question = "closing" if name == "close_alert" else "approval"
    cheap, dear = (priced(model(minutes={question: f}), odds, name, severity, tier) for f in (low, high))
    assert cheap.cheapest == "ask" or dear.cheapest != "ask" or close(cheap)


def close(found: Priced) -> bool:
    """Whether two options cost the same but for rounding."""
    ordered = sorted(found)
    return ordered[1] - ordered[0] <= 1e-9 * max(1.0, ordered[2])


@given(costed, shares, severities, tiers, st.floats(1e-3, 1e3))
@settings(max_examples=200, deadline=None)
def test_only_proportions_matter(name: str, odds: Odds, severity: Any, tier: Any, factor: float) -> None:
    table = tomllib.loads((resources.files("aegis_agents.gate") / "costs.toml").read_text("utf-8"))
    scaled = {
        "per_minute": factor,
        "missed": {s: {t: v * factor for t, v in row.items()} for s, row in table["missed"].items()},
        "outage": {
            a: {k: v if k == "hours" else v * factor for k, v in row.items()} for a, row in table["outage"].items()
        },
    }
    plain, other = priced(SHIPPED, odds, name, severity, tier), priced(model(**scaled), odds, name, severity, tier)
    assert other == pytest.approx(tuple(cost * factor for cost in plain))
    assert plain.cheapest == other.cheapest or close(plain)


# the step


def ruling(
    name: str = "isolate_host", verdict: Verdict = "true_positive", asset: AssetFacts | None = None, **changes: Any
) -> Any:
    costs = CostModel.load(changes.pop("costs", None))
    return cost.check(request(name, verdict, **changes), context(name, asset, costs=costs))


def test_it_says_why_in_figures() -> None:
    found = ruling(confidence=0.5)
    assert (found.ceiling, found.rule) == ("ask", "cost.ask")
    numbers = found.numbers
    assert {"execute", "ask", "recommend", "unit", "cheapest", "model", "attack", "harmless", "open"} <= numbers.keys()
    assert numbers["ask"] < min(numbers["execute"], numbers["recommend"])
    assert f"{numbers['unit']} in expectation" in found.reason
    assert numbers["model"] == SHIPPED.version
    assert ruling(confidence=0.99).rule == "cost.execute"
    assert ruling(confidence=0.9).rule == "cost.execute"
    protected = ruling(confidence=0.9, asset=AssetFacts(tier="protected"))
    assert (protected.ceiling, protected.numbers["execute"] > protected.numbers["ask"]) == ("ask", True)


def test_an_attack_is_never_left_without_a_word() -> None:
    dear = {"outage": {"isolate_host": {"standard": 1e6}}}
    found = ruling(costs=dear)
    assert (found.ceiling, found.rule, found.numbers["cheapest"]) == ("ask", "cost.ask_attack", "recommend")


def test_records_are_priced_and_never_lowered() -> None:
    for name in ("open_ticket", "notify_owner", "add_watchlist", "snapshot_disk"):
        for verdict in ("true_positive", "benign_positive", "undetermined"):
            found = ruling(name, verdict, costs={"minutes": {"record": 1e9}, "per_minute": 1e3})
            assert (found.ceiling, found.rule) == ("execute", "cost.record")
            assert found.numbers["execute"] == 1e12


@pytest.mark.parametrize(
    "probabilities",
    [{}, {"true_positive": float("nan")}, {"true_positive": -0.1}, {"true_positive": 1.2}, {"true_positive": 0.9, "false_positive": 0.9}],
)  # fmt: skip
def test_no_probabilities_no_saving(probabilities: dict[Verdict, float]) -> None:
    odd = assessment().model_copy(update={"probabilities": probabilities})
    assert ruling(assessment=odd).rule == "cost.no_probabilities"
    assert open_gate().decide(request("isolate_host", assessment=odd)).verb in ("ask", "refuse")


def test_what_no_verdict_has_counts_as_open() -> None:
    half = assessment().model_copy(update={"probabilities": {"true_positive": 0.5}})
    assert ruling(assessment=half).numbers["open"] == 0.5


def test_the_decision_carries_the_figures() -> None:
    inputs = open_gate().decide(request("isolate_host")).inputs
    assert inputs["cost"] == "execute"
    assert all(isinstance(inputs[f"cost.{name}"], float) for name in ("execute", "ask", "recommend"))
    assert inputs["cost.model"] == SHIPPED.version
    asked = open_gate(costs={"outage": {"isolate_host": {"standard": 5000}}}).decide(request("isolate_host"))
    assert (asked.verb, asked.rule) == ("ask", "cost.ask_attack")
    approved = request("isolate_host", approved_by=("ann",))
    assert open_gate(costs={"outage": {"isolate_host": {"standard": 5000}}}).decide(approved).verb == "execute"


@given(st.sampled_from(sorted(TARGETS)), st.sampled_from(["true_positive", "benign_positive", "undetermined"]),
       st.floats(0, 1), figures, figures, st.floats(0, 1))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_it_never_raises_what_others_allow(
    name: str, verdict: Any, sure: float, outage: float, missed: float, left: float
) -> None:
    own = {
        "outage": {a: dict.fromkeys(TIERS, outage) for a in CONTAINING},
        "missed": {s: dict.fromkeys(TIERS, missed) for s in SEVERITIES},
    }
    gate, asked = open_gate(costs=own), request(name, verdict, confidence=sure, left=left)
    decision = gate.decide(asked)
    with mock.patch.dict(STEPS, {"cost": lambda request, context: allow("cost.away")}):
        without = gate.decide(asked)
    assert rank(decision.verb) <= rank(without.verb)
    if decision.inputs["cost"] == "execute":
        assert decision.verb == without.verb


# which first


def proposals(*names: str) -> list[ProposedAction]:
    return [action(name) for name in names]


def test_the_best_comes_first_and_leaves_less_to_the_next() -> None:
    pricer = Pricer(SHIPPED, assessment(confidence=0.9), lambda target: "standard")
    names = ("isolate_host", "block_ip", "disable_user", "revoke_sessions")
    ranked = pricer.best_first(proposals("open_ticket", *names))
    assert [r.action.action for r in ranked][-1] == "open_ticket"
    assert ranked[-1].priced is None
    worths = [r.priced.worth for r in ranked if r.priced]
    assert worths == sorted(worths, reverse=True)
    alone = {n: pricer.price(action(n), "standard") for n in names}
    assert ranked[0].action.action == max(names, key=lambda n: alone[n].worth)  # type: ignore[union-attr]
    for r in ranked[1:-1]:
        assert r.priced.worth < alone[r.action.action].worth  # type: ignore[union-attr]


def test_a_dear_alternative_goes_behind_a_cheap_one() -> None:
    costs = model(outage={"isolate_host": {"important": 5000}})
    pricer = Pricer(
        costs, assessment(confidence=0.95), lambda target: "important" if target.kind == "host" else "standard"
    )
    ranked = pricer.best_first(proposals("isolate_host", "disable_user", "block_ip"))
    assert [r.action.action for r in ranked] == ["disable_user", "block_ip", "isolate_host"]
    assert ranked[-1].priced is not None
    assert ranked[-1].priced.worth < 0


def test_what_is_done_already_makes_the_next_cost_more_than_it_saves() -> None:
    gate = open_gate(costs={"missed": {"high": {"standard": 600}}})
    assert gate.decide(request("isolate_host", left=1.0)).verb == "execute"
    later = gate.decide(request("isolate_host", left=0.1))
    assert (later.verb, later.rule, later.inputs["cost.left"]) == ("ask", "cost.ask_attack", 0.1)


def test_a_gate_prices_by_its_own_assets() -> None:
    gate = Gate(assets={"groups": {"lab": {"tier": "important", "hosts": ["web-*"]}}})
    asked = request("isolate_host")
    pricer = gate.pricer(asked.incident, asked.assessment, asked.now)
    (only,) = pricer.best_first([asked.action])
    assert only.priced == pricer.price(asked.action, "important")
    assert only.priced != pricer.price(asked.action, "standard")
    assert conclusion().severity == "high"
