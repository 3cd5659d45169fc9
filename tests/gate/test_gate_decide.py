"""The gate as a whole: order, knobs, and what must hold whatever is asked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from gate_cases import OPEN, SPECS, TARGETS, action, assessment, conclusion, incident, open_gate, request
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_agents import assembly
from aegis_agents.errors import SettingsError
from aegis_agents.gate import AssetRegister, Gate, Usage, killswitch
from aegis_agents.gate import gate as gate_module
from aegis_agents.gate.request import VERBS
from aegis_agents.records import AUTONOMY_LEVELS, VERDICTS, Fact, ProposedAction, Target, Verdict
from aegis_agents.settings import load_settings

PLAIN = Gate()
WIDE = open_gate()

actions = st.sampled_from(sorted(TARGETS))
verdicts = st.sampled_from(VERDICTS)
confidences = st.floats(0, 1)


def rank(verb: str) -> int:
    return [str(known) for known in VERBS].index(verb)


def test_the_widest_settings_let_a_sure_containment_run() -> None:
    decision = WIDE.decide(request("isolate_host", versions={"model": "m1"}))
    assert (decision.verb, decision.rule) == ("execute", "gate.all_clear")
    assert decision.versions == {"model": "m1", **WIDE.versions}
    assert decision.inputs["policy.rule"] == "permit.contain"
    assert decision.inputs["risk.threshold"] == 0.9
    assert (decision.inputs["asset.tier"], decision.inputs["asset.groups"]) == ("standard", "")


def test_an_asset_look_up_that_crashes_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> Any:
        raise RuntimeError

    gate = open_gate()
    monkeypatch.setattr(AssetRegister, "look_up", crash)
    assert gate.decide(request("isolate_host", approved_by=("a", "b"))).rule == "asset.crashed"


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_gate_that_is_given_nothing_executes_nothing_alone(name: str) -> None:
    verdict: Verdict = "false_positive" if name == "close_alert" else "true_positive"
    assert PLAIN.decide(request(name, verdict)).verb == "ask"


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_with_shipped_settings_only_tickets_notices_and_lists_run_alone(name: str, tmp_path: Path) -> None:
    verdict: Verdict = "false_positive" if name == "close_alert" else "true_positive"
    shipped = assembly.open_gate(load_settings(home=tmp_path), None)
    verb = shipped.decide(request(name, verdict)).verb
    assert verb == ("execute" if name in ("open_ticket", "notify_owner", "add_watchlist") else "ask")


@given(actions, verdicts, verdicts, confidences, st.lists(st.sampled_from(["ann", "bob"])))
@settings(max_examples=60, deadline=None)
def test_no_containment_without_an_attack(name: str, verdict: Any, said: Any, sure: float, who: list[str]) -> None:
    asked = request(name, verdict, confidence=sure, assessment=assessment(said, sure), approved_by=tuple(who))
    verb = WIDE.decide(asked).verb
    if SPECS[name].effect in ("contain", "destroy") and verdict != "true_positive":
        assert verb == "refuse"
    if name == "close_alert" and verdict not in ("benign_positive", "false_positive"):
        assert verb == "refuse"


@given(actions, st.text(min_size=1, max_size=20), st.sampled_from(["host", "ip", "user", "domain", "process", "alert"]))
@settings(max_examples=60, deadline=None)
def test_never_a_target_outside_the_incident(name: str, value: str, kind: Any) -> None:
    if incident().has_entity(kind, value) or value in ("inc-1", "native-1"):
        return
    asked = request(name, "true_positive", target=(kind, value), approved_by=("ann", "bob"))
    assert WIDE.decide(asked).verb == "refuse"


@given(actions, st.sampled_from(["dc-*", "web-*"]), st.sampled_from(["domain_controllers", "ot", "payments"]))
@settings(max_examples=30, deadline=None)
def test_protected_never_runs_alone(name: str, glob: str, group: str) -> None:
    gate = open_gate(assets={"groups": {group: {"hosts": [glob], "users": ["*"], "ips": ["203.0.113.0/24"]}}})
    decision = gate.decide(request(name))
    if (
        SPECS[name].effect in ("contain", "destroy")
        and name != "block_domain"
        and (glob == "web-*" or TARGETS[name][0] in ("user", "ip"))
    ):
        assert decision.verb == "ask"
        assert decision.rule == f"protected.{group}"


LOWERING: list[dict[str, Any]] = [
    *({"autonomy": level} for level in AUTONOMY_LEVELS),
    {"matrix": {}},
    {"matrix": {"contain": {"standard": "observe"}}},
    {"risk": {}},
    {"risk": {"contain": 0.999, "destroy": 0.999, "close_alert": 0.999}},
    {"budgets": {"actions_per_hour": 0, "records_per_hour": 0}},
    {"budgets": {"blast_radius": 0}},
    {"budgets": {"per_tier": {"standard": 0}}},
    {"assets": {"groups": {"ot": {"hosts": ["*"], "users": ["*"], "ips": ["0.0.0.0/0"]}}}},
    {"is_technique": lambda technique: False},
]


@given(actions, verdicts, confidences, st.sampled_from(LOWERING), st.lists(st.sampled_from(["ann", "bob"])))
@settings(max_examples=80, deadline=None)
def test_no_lowering_knob_ever_raises(
    name: str, verdict: Any, sure: float, knob: dict[str, Any], who: list[str]
) -> None:
    asked = request(name, verdict, confidence=sure, approved_by=tuple(who))
    assert rank(Gate(**(OPEN | knob)).decide(asked).verb) <= rank(WIDE.decide(asked).verb)


@pytest.mark.parametrize(
    "knob", [knob for knob in LOWERING if knob not in ({"autonomy": "act"}, {"autonomy": "act_undo"})]
)
def test_each_knob_changes_a_decision(knob: dict[str, Any]) -> None:
    assert Gate(**(OPEN | knob)).decide(request("isolate_host")).verb != "execute"


@pytest.mark.parametrize(
    ("level", "verb"), [("observe", "refuse"), ("recommend", "recommend"), ("ask", "ask"), ("act_undo", "execute")]
)
def test_autonomy_levels(level: str, verb: str) -> None:
    decision = open_gate(autonomy=level).decide(request("isolate_host"))
    assert decision.verb == verb
    if verb != "execute":
        assert decision.rule == f"autonomy.{level}"


def test_act_with_an_undo_window_needs_an_undo() -> None:
    # No destructive action has one; it is asked by policy as well, so look at the step's own answer.
    decision = open_gate(autonomy="act_undo").decide(request("revoke_sessions"))
    assert decision.inputs["autonomy"] == "ask"
    assert decision.inputs["autonomy.rule"] == "autonomy.act_undo"


def test_shadow_decides_as_live() -> None:
    live, shadow = WIDE, open_gate(mode="shadow")
    for name in TARGETS:
        one, other = live.decide(request(name)), shadow.decide(request(name))
        assert (one.verb, one.rule) == (other.verb, other.rule)
        assert (one.inputs["mode"], other.inputs["mode"]) == ("live", "shadow")


def test_the_rule_is_of_the_first_step_that_allows_least() -> None:
    gate = open_gate(autonomy="ask", risk={"contain": 1.0}, budgets={"actions_per_hour": 0})
    decision = gate.decide(request("isolate_host"))
    assert decision.rule == "autonomy.ask"
    assert (decision.inputs["risk"], decision.inputs["budget"]) == ("ask", "ask")


def test_a_person_lifts_ask_and_nothing_else() -> None:
    assert PLAIN.decide(request("isolate_host", approved_by=("ann",))).rule == "gate.approved"
    assert Gate(autonomy="recommend").decide(request("isolate_host", approved_by=("ann", "bob"))).verb == "recommend"
    assert PLAIN.decide(request("isolate_host", approved_by=(" ",))).verb == "ask"


def test_four_eyes_are_two_persons() -> None:
    gate = open_gate(assets={"groups": {"executives": {"users": ["j.doe"]}}})
    asked = gate.decide(request("revoke_sessions"))
    assert (asked.verb, asked.inputs["approvals_needed"]) == ("ask", 2)
    assert gate.decide(request("revoke_sessions", approved_by=("ann",))).verb == "ask"
    assert gate.decide(request("revoke_sessions", approved_by=("Ann", "ann "))).verb == "ask"
    assert gate.decide(request("revoke_sessions", approved_by=("ann", "bob"))).verb == "execute"


def test_destroying_needs_a_person_on_any_asset() -> None:
    assert WIDE.decide(request("kill_process")).rule == "people.destroy_needs_one"
    assert WIDE.decide(request("kill_process", approved_by=("ann",))).verb == "execute"


def test_the_kill_switch_stops_all_but_records(tmp_path: Path) -> None:
    switch = tmp_path / "STOP"
    gate = open_gate(kill_switch=switch)
    assert gate.decide(request("isolate_host")).verb == "execute"
    switch.touch()
    decision = gate.decide(request("isolate_host", approved_by=("ann", "bob")))
    assert (decision.verb, decision.rule) == ("refuse", "kill_switch.engaged")
    assert gate.decide(request("close_alert", "false_positive")).verb == "refuse"
    assert gate.decide(request("open_ticket")).verb == "execute"
    switch.unlink()
    assert gate.decide(request("isolate_host")).verb == "execute"


def test_a_kill_switch_engaged_while_deciding_still_stops(tmp_path: Path) -> None:
    switch = tmp_path / "STOP"

    def engage(masked: frozenset[str]) -> Any:
        switch.touch()
        return assessment()

    decision = open_gate(kill_switch=switch).decide(request("isolate_host", reassess=engage))
    assert (decision.verb, decision.inputs["kill_switch"]) == ("refuse", "execute")


def test_a_kill_switch_in_the_home_folder_is_the_one_that_a_person_touches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    gate = open_gate(kill_switch="~/KILL")
    assert gate.decide(request("isolate_host")).verb == "execute"
    (tmp_path / "KILL").touch()
    assert gate.decide(request("isolate_host")).rule == "kill_switch.engaged"
    assert killswitch.stopper(Path("~/KILL"))("isolate_host")


def test_a_kill_switch_that_cant_be_read_is_engaged(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    gate = open_gate(kill_switch=tmp_path / "file" / "STOP")  # its folder is a file
    assert gate.decide(request("isolate_host")).verb == "refuse"


@pytest.mark.parametrize("step", sorted(gate_module._AFTER_RAILS))
def test_a_step_that_crashes_refuses(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> Any:
        raise RuntimeError("out of order")

    monkeypatch.setattr(gate_module, "_AFTER_RAILS", {**gate_module._AFTER_RAILS, step: crash})
    decision = open_gate().decide(request("open_ticket", approved_by=("ann", "bob")))
    assert (decision.verb, decision.rule) == ("refuse", f"{step}.crashed")


def test_a_model_that_crashes_when_asked_again_refuses() -> None:
    def crash(masked: frozenset[str]) -> Any:
        raise ValueError("no")

    decision = WIDE.decide(request("isolate_host", reassess=crash))
    assert (decision.verb, decision.rule) == ("refuse", "counterfactual.crashed")


def test_a_technique_check_that_crashes_refuses() -> None:
    def crash(technique: str) -> bool:
        raise KeyError(technique)

    decision = open_gate(is_technique=crash).decide(request("isolate_host"))
    assert (decision.verb, decision.rule) == ("refuse", "grounding.techniques.crashed")


def test_an_unknown_action_is_refused() -> None:
    forged = ProposedAction.model_construct(
        action_id="x",
        action="format_disk",
        target=Target(kind="host", value="web-01"),
        reason="",
        cites=(),
        generation=0,
    )
    assert WIDE.decide(request("isolate_host").model_copy(update={"action": forged})).verb == "refuse"


@pytest.mark.parametrize(
    "forged",
    [
        {"conclusion": conclusion().model_copy(update={"confidence": float("nan")})},
        {"conclusion": conclusion().model_copy(update={"confidence": 7.0})},
        {"conclusion": conclusion().model_copy(update={"verdict": "true_positive\n"})},
        {"conclusion": conclusion().model_copy(update={"evidence": None})},
        {"action": action("isolate_host").model_copy(update={"cites": "f1"})},
        {"action": action("isolate_host").model_copy(update={"action_id": " "})},
        {"action": action("isolate_host").model_copy(update={"target": None})},
    ],
)
def test_a_record_that_lacks_its_form_is_refused(forged: dict[str, Any]) -> None:
    asked = request("isolate_host", approved_by=("ann", "bob")).model_copy(update=forged)
    assert WIDE.decide(asked).verb == "refuse"


@given(st.text(alphabet=st.characters(), max_size=30))
@settings(max_examples=40, deadline=None)
def test_any_text_as_a_target_gets_a_decision(value: str) -> None:
    base = incident()
    named = base.model_copy(
        update={
            "facts": (*base.facts, Fact(id="f99", path="x.y", value=value, trust="product")),
            "entities": (*base.entities, base.entities[0].model_copy(update={"value": value, "facts": ("f99",)})),
        }
    )
    decision = WIDE.decide(request("isolate_host", incident=named, target=("host", value)))
    assert decision.verb in VERBS


@pytest.mark.parametrize(
    ("knob", "says"),
    [
        ({"autonomy": "always"}, "autonomy"),
        ({"mode": "dry"}, "mode"),
        ({"matrix": {"nuke": {"standard": "act"}}}, "nuke"),
        ({"matrix": {"contain": {"gold": "act"}}}, "gold"),
        ({"matrix": {"contain": {"standard": "yes"}}}, "standard"),
        ({"matrix": {"contain": "act"}}, "contain"),
        ({"matrix": "/no/such/file.toml"}, "file.toml"),
        ({"risk": {"contain": 2}}, "contain"),
        ({"risk": {"contain": True}}, "contain"),
        ({"risk": {"other": 0.5}}, "other"),
        ({"budgets": {"actions_per_hour": -1}}, "actions_per_hour"),
        ({"budgets": {"per_tier": {"gold": 1}}}, "per_tier"),
        ({"budgets": {"spend": 1}}, "spend"),
        ({"assets": {"hosts": []}}, "hosts"),
        ({"assets": {"groups": {"ot": {"tier": "standard"}}}}, "ot.tier"),
        ({"assets": {"groups": {"lab": {"ips": ["ten"]}}}}, "lab.ips"),
        ({"counterfactual_groups": 1}, "counterfactual_groups"),
    ],
)
def test_wrong_settings_name_themselves(knob: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Gate(**knob)


def test_the_version_changes_with_the_settings(tmp_path: Path) -> None:
    gates = [
        Gate(), Gate(autonomy="act"), Gate(risk={"contain": 0.9}), Gate(budgets={"blast_radius": 1}),
        Gate(kill_switch=tmp_path / "s"), Gate(assets={"own_domains": ["a.example"]}), Gate(counterfactual_groups=9),
    ]  # fmt: skip
    assert len({gate.versions["gate"] for gate in gates}) == len(gates)
    assert Gate().versions == Gate().versions


def test_usage_unknown_asks() -> None:
    assert WIDE.decide(request("isolate_host", usage=None)).rule == "budget.unknown"


def test_the_journal_limits_what_runs_alone() -> None:
    def rule(**usage: Any) -> str:
        return WIDE.decide(request("isolate_host", usage=Usage(**usage))).rule

    assert rule(by_class={"contain": 19}, by_tier={"standard": 19}) == "gate.all_clear"
    assert rule(by_class={"contain": 12, "destroy": 8}) == "budget.hour"
    assert rule(by_tier={"standard": 20}) == "budget.tier"
    assert rule(targets=frozenset(f"host:h{n}" for n in range(10))) == "budget.blast_radius"
    assert rule(targets=frozenset({"host:web-01", *(f"hash:h{n}" for n in range(9))})) == "gate.all_clear"
    assert rule(targets=frozenset(f"host:h{n}" for n in range(5))) == "budget.hosts"
    assert rule(targets=frozenset({"host:web-01", *(f"host:h{n}" for n in range(4))})) == "gate.all_clear"
    assert rule(targets=frozenset({"user:a", "user:b", "ip:10.0.0.9", "pod:p", "host:h1"})) == "gate.all_clear"
    assert rule(targets=frozenset({"ip:10.0.0.8", "ip:10.0.0.9", "pod:p", "host:h1", "host:h2"})) == "budget.hosts"
    assert rule(failed=2, undone=1) == "budget.breaker"
    assert rule(by_class={"record": 999}) == "gate.all_clear"
    tickets = request("open_ticket", usage=Usage(by_class={"record": 1000}))
    assert WIDE.decide(tickets).rule == "budget.records"


def test_cells_from_a_file_and_the_nearest_row_wins(tmp_path: Path) -> None:
    path = tmp_path / "matrix.toml"
    path.write_text('[contain]\nstandard = "act"\n[block_ip]\nstandard = "recommend"\n[record]\nstandard = "observe"\n')
    gate = open_gate(matrix=path)
    assert gate.decide(request("isolate_host")).verb == "execute"
    assert gate.decide(request("block_ip")).verb == "recommend"
    assert gate.decide(request("open_ticket")).verb == "refuse"  # the user's class comes before the shipped action
    assert gate.decide(request("close_alert", "false_positive")).verb == "ask"  # it is no record here
    path.write_text("[contain")
    with pytest.raises(SettingsError, match=r"matrix\.toml"):
        Gate(matrix=path)


def test_deciding_is_quick() -> None:
    asked = request("isolate_host")
    WIDE.decide(asked)
    times = []
    for _ in range(50):
        started = time.thread_time()
        WIDE.decide(asked)
        times.append(time.thread_time() - started)
    assert sorted(times)[25] < 0.004  # measured: 0.4 ms; the bar is 4 ms at the median
