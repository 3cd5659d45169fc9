"""What was earned, at the gate: what it opens, and what it can't."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import pytest
from gate_cases import assessment, conclusion, context, incident, open_gate, request
from hypothesis import given
from hypothesis import strategies as st

from aegis_agents.gate import NEVER, Gate, autonomy, counterfactual, risk
from aegis_agents.gate.autonomy import AutonomyMatrix, in_force
from aegis_agents.gate.earned.cells import CELLS, MOST_EARNED, NOTHING_EARNED, EarnedAutonomy, EarnedCell
from aegis_agents.gate.earned.rule import THRESHOLDS
from aegis_agents.gate.earned.trial import acts_at
from aegis_agents.gate.request import class_of, lowest
from aegis_agents.gate.risk import RiskTable
from aegis_agents.records import AUTONOMY_LEVELS, CATALOGUE, Fact, FactEvidence, Sentence

MEASURED = Fact(id="f1", path="network.remoteIp", value="203.0.113.9", trust="product")
"""What no attacker could have written: the counterfactual check has nothing to mask."""


def earned(level: str = "act_undo", *cells: str, threshold: float = 0.9) -> EarnedAutonomy:
    named = cells or ("block_ip/standard",)
    made = [
        EarnedCell.model_validate({"cell": c, "level": level, "threshold": threshold, "evidence": 7}) for c in named
    ]
    return EarnedAutonomy(cells={cell.cell: cell for cell in made})


def asked(name: str = "block_ip", verdict: Any = "true_positive", confidence: float = 0.99, **changes: Any) -> Any:
    """A request on facts of which none could be forged."""
    entities = tuple(e.model_copy(update={"facts": ("f1",) if e.kind == "ip" else ()}) for e in incident().entities)
    plain = incident().model_copy(update={"facts": (MEASURED,), "entities": entities})
    shown = FactEvidence(id="f1", path=MEASURED.path, value=MEASURED.value, weight=0.4, trust="product")
    drawn = conclusion(verdict, confidence, evidence=(shown,), sentences=(Sentence(text="It beacons.", cites=("f1",)),))
    given = {"incident": plain, "conclusion": drawn, "earned": earned("act")}
    return request(name, verdict, confidence=confidence, **(given | changes))


def test_what_was_earned_acts_and_says_by_what() -> None:
    decision = Gate(autonomy="act").decide(asked(earned=earned("act_undo")))
    assert (decision.verb, decision.rule) == ("execute", "gate.all_clear")
    inputs = decision.inputs
    assert (inputs["autonomy.source"], inputs["autonomy.level"], inputs["autonomy.evidence"]) == (
        "earned",
        "act_undo",
        7,
    )
    assert inputs["autonomy.earned"] == "block_ip/standard"
    assert (inputs["risk.rule"], inputs["risk.threshold"]) == ("risk.earned", 0.9)
    assert Gate(autonomy="act").decide(asked(earned=NOTHING_EARNED)).verb == "ask"


@pytest.mark.parametrize(("confidence", "verb"), [(0.9, "execute"), (0.8999, "ask"), (float("nan"), "refuse")])
def test_only_from_the_confidence_at_which_it_was_shown(confidence: float, verb: str) -> None:
    assert Gate(autonomy="act").decide(asked(confidence=confidence)).verb == verb


@pytest.mark.parametrize(
    ("gate", "rule"),
    [
        ({"autonomy": "ask"}, "autonomy.ask"),  # the ceiling
        ({"autonomy": "recommend"}, "autonomy.recommend"),
        ({"autonomy": "act", "matrix": {"block_ip": {"standard": "ask"}}}, "autonomy.ask"),  # the user's own cap
        ({"autonomy": "act", "matrix": {"contain": {"standard": "observe"}}}, "autonomy.observe"),
        ({"autonomy": "act", "risk": {"contain": 0.999}}, "risk.contain"),  # the user's own threshold
        ({"autonomy": "act", "risk": {"contain": NEVER}}, "risk.contain"),
    ],
)
def test_what_the_user_set_caps_what_was_earned(gate: dict[str, Any], rule: str) -> None:
    decision = Gate(**gate).decide(asked())
    assert decision.verb != "execute"
    assert decision.rule == rule


def test_the_users_own_threshold_wins_in_both_directions() -> None:
    assert Gate(autonomy="act", risk={"contain": 0.5}).decide(asked(confidence=0.6)).inputs["risk"] == "execute"


def test_a_user_who_sets_more_than_was_earned_needs_a_threshold_too() -> None:
    wide = {"autonomy": "act", "matrix": {"contain": {"standard": "act"}}}
    assert Gate(**wide).decide(asked(earned=earned("act_undo"))).rule == "risk.contain"
    assert Gate(**wide).decide(asked(earned=earned("act"))).verb == "execute"
    undo = {"autonomy": "act", "matrix": {"contain": {"standard": "act_undo"}}}
    assert Gate(**undo).decide(asked(earned=earned("act_undo"))).verb == "execute"


@pytest.mark.parametrize("name", ["kill_process", "revoke_sessions", "reset_password"])
def test_what_cant_be_given_back_earns_nothing(name: str) -> None:
    target = ("user", "j.doe") if name == "reset_password" else None
    forged = earned("act", f"{name}/standard", "destroy/standard")
    decision = Gate(autonomy="act").decide(asked(name, earned=forged, target=target))
    assert decision.verb == "ask"
    assert decision.inputs["autonomy.source"] == "shipped"


def test_protected_assets_stay_with_people() -> None:
    forged = earned("act", "block_ip/protected", "contain/protected", "block_ip/standard")
    gate = Gate(autonomy="act", assets={"groups": {"ot": {"ips": ["203.0.113.9"]}}})
    decision = gate.decide(asked(earned=forged))
    assert (decision.verb, decision.inputs["autonomy.source"]) == ("ask", "shipped")


def test_a_forged_level_beyond_what_can_be_earned_is_cut() -> None:
    forged = earned("act", "close_alert/standard")
    found = in_force(AutonomyMatrix({}), forged, "close_alert", "close_alert", "standard")
    assert found.level == "act_undo"


def test_evidence_for_one_action_opens_no_other() -> None:
    decision = Gate(autonomy="act").decide(asked(earned=earned("act", "block_domain/standard")))
    assert decision.verb == "ask"


def test_policy_budget_and_kill_switch_stand_over_it(tmp_path: Any) -> None:
    (tmp_path / "STOP").touch()
    assert Gate(autonomy="act", kill_switch=tmp_path / "STOP").decide(asked()).rule == "kill_switch.engaged"
    assert Gate(autonomy="act", budgets={"actions_per_hour": 0}).decide(asked()).rule == "budget.hour"
    rule = tmp_path / "no.cedar"
    rule.write_text('@id("mine.no")\nforbid(principal, action == Aegis::Action::"block_ip", resource);\n')
    assert Gate(rule, autonomy="act").decide(asked()).rule == "mine.no"


def test_what_hangs_on_an_attackers_text_stays_with_people() -> None:
    decision = Gate(autonomy="act").decide(
        request("block_ip", earned=earned("act"), reassess=lambda masked: assessment("false_positive"))
    )
    assert (decision.verb, decision.rule) == ("ask", "counterfactual.hangs_on_external")


def test_the_counterfactual_check_asks_for_the_earned_threshold() -> None:
    if "bound_of" not in inspect.getsource(counterfactual):
        pytest.skip("gate/counterfactual.py takes its threshold from the settings alone: it must ask risk.bound_of")
    decision = Gate(autonomy="act").decide(request("block_ip", earned=earned("act")))
    assert (decision.verb, decision.inputs["counterfactual"]) == ("execute", "execute")


@given(
    st.sampled_from(sorted(CATALOGUE)), st.sampled_from(["standard", "important", "protected"]),
    st.sampled_from(AUTONOMY_LEVELS), st.sampled_from(AUTONOMY_LEVELS), st.floats(0, 1), st.booleans(),
)  # fmt: skip
def test_earning_never_lowers_and_never_passes_the_ceiling(
    name: str, tier: Any, level: Any, ceiling: Any, threshold: float, by_class: bool
) -> None:
    row = "contain" if by_class else name
    found = EarnedAutonomy(
        cells={f"{row}/{tier}": EarnedCell(cell=f"{row}/{tier}", level=level, threshold=threshold, evidence=1)}
    )
    plain = request("isolate_host")
    step = replace(context(autonomy=ceiling, matrix=AutonomyMatrix({})), spec=CATALOGUE[name])
    step = replace(step, action_class=class_of(CATALOGUE[name]), asset=replace(step.asset, tier=tier))
    without = autonomy.check(plain, step).ceiling
    having = autonomy.check(plain.model_copy(update={"earned": found}), step)
    assert lowest([without, having.ceiling]) == without
    if having.ceiling == "execute" and without != "execute":
        assert name in MOST_EARNED
        assert tier != "protected"
        assert ceiling in ("act_undo", "act")


def test_the_risk_table_knows_what_the_user_gave() -> None:
    assert RiskTable.load(None).given == frozenset()
    assert RiskTable.load({"contain": 0.9}).given == {"contain"}
    bound = risk.bound_of(
        request("block_ip", earned=earned("act")),
        context("block_ip", risk=RiskTable.load(None), matrix=AutonomyMatrix({})),
    )
    assert bound == (0.9, "risk.earned")


def test_every_cell_names_an_action_and_a_tier() -> None:
    for cell in CELLS:
        name, _, tier = cell.partition("/")
        assert earned("act_undo", cell).find(name, "contain", tier) is not None
        assert earned("act_undo", f"contain/{tier}").find(name, "contain", tier) is not None


# the trial: would it have been done?


def test_a_trial_finds_the_highest_threshold_at_which_it_acts() -> None:
    gate = Gate(autonomy="ask")
    for confidence, highest in ((0.97, 0.9), (0.85, 0.8), (0.7, 0.7), (0.6, 0.0)):
        assert acts_at(gate, asked(confidence=confidence, earned=NOTHING_EARNED)) == highest
    assert highest == 0.0
    assert gate.decide(asked()).verb == "ask"  # the gate itself is as it was


def test_a_trial_counts_what_the_check_without_an_attackers_text_leaves() -> None:
    unsure = request("block_ip", reassess=lambda masked: assessment("true_positive", 0.75))
    assert acts_at(Gate(), unsure) < THRESHOLDS[0]
    turned = request("block_ip", reassess=lambda masked: assessment("false_positive"))
    assert acts_at(Gate(), turned) == 0.0


def test_a_trial_keeps_what_policy_and_rails_say(tmp_path: Any) -> None:
    rule = tmp_path / "no.cedar"
    rule.write_text('@id("mine.no")\nforbid(principal, action == Aegis::Action::"block_ip", resource);\n')
    assert acts_at(Gate(rule), asked()) == 0.0
    assert acts_at(Gate(assets={"groups": {"ot": {"ips": ["203.0.113.9"]}}}), asked()) == 0.0
    assert acts_at(Gate(), asked("block_ip", "false_positive")) == 0.0
    (tmp_path / "STOP").touch()
    assert acts_at(Gate(kill_switch=tmp_path / "STOP", budgets={"blast_radius": 5}), asked()) == 0.9  # of the moment


def test_the_facts_are_what_they_say() -> None:
    assert open_gate().decide(asked(earned=NOTHING_EARNED)).inputs["counterfactual.asked"] is False
