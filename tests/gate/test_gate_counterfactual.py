"""Masking what an attacker could have written."""

from __future__ import annotations

from typing import Any

import pytest
from gate_cases import assessment, incident, open_gate, request

from aegis_agents.gate.counterfactual import external_groups
from aegis_agents.records import Fact

GATE = open_gate()


def many(count: int) -> tuple[Fact, ...]:
    return tuple(Fact(id=f"x{n}", path=f"evidence[{n}].commandLine", value="x", trust="external") for n in range(count))


def test_groups_are_external_and_by_their_top_path() -> None:
    extra = (*many(1), Fact(id="x9", path="evidence[0].user.agent", value="y", trust="external"))
    groups = external_groups(incident(extra), 24)
    assert groups == [{"f2"}, {"f7"}, {"x0", "x9"}, {"f2", "f7", "x0", "x9"}]


@pytest.mark.parametrize("limit", [2, 3, 24])
def test_a_thousand_groups_cost_no_more(limit: int) -> None:
    groups = external_groups(incident(many(1000)), limit)
    assert len(groups) <= limit
    assert frozenset().union(*groups) == {"f2", "f7", *(f"x{n}" for n in range(1000))}


def test_it_runs_when_nothing_changes() -> None:
    asked: list[frozenset[str]] = []

    def again(masked: frozenset[str]) -> Any:
        asked.append(masked)
        return assessment()

    decision = GATE.decide(request("isolate_host", reassess=again))
    assert decision.inputs["counterfactual.rule"] == "counterfactual.holds"
    assert asked == [{"f2"}, {"f7"}, {"f2", "f7"}]


@pytest.mark.parametrize(("name", "verdict"), [("isolate_host", "true_positive"), ("close_alert", "benign_positive")])
def test_a_verdict_that_hangs_on_external_text_asks(name: str, verdict: Any) -> None:
    def again(masked: frozenset[str]) -> Any:
        return assessment("undetermined" if "f2" in masked else verdict)

    decision = GATE.decide(request(name, verdict, reassess=again))
    assert (decision.verb, decision.rule) == ("ask", "counterfactual.hangs_on_external")
    assert "f2" in decision.reason


def test_a_confidence_that_hangs_on_external_text_asks() -> None:
    def again(masked: frozenset[str]) -> Any:
        return assessment(confidence=0.5 if len(masked) > 1 else 0.99)

    assert GATE.decide(request("isolate_host", reassess=again)).rule == "counterfactual.hangs_on_external"


def test_not_a_number_asks() -> None:
    def again(masked: frozenset[str]) -> Any:
        return assessment().model_copy(update={"confidence": float("nan")})

    assert GATE.decide(request("isolate_host", reassess=again)).verb == "ask"


def test_nobody_to_ask_again_asks_a_person() -> None:
    assert GATE.decide(request("isolate_host", reassess=None)).rule == "counterfactual.unavailable"


def test_it_is_not_asked_where_nothing_would_run() -> None:
    def again(masked: frozenset[str]) -> Any:
        raise AssertionError("asked again for nothing")

    assert open_gate(autonomy="ask").decide(request("isolate_host", reassess=again)).verb == "ask"
    assert GATE.decide(request("open_ticket", reassess=again)).verb == "execute"


def test_a_small_limit_still_masks_everything() -> None:
    masked: set[str] = set()

    def again(group: frozenset[str]) -> Any:
        masked.update(group)
        return assessment()

    gate = open_gate(counterfactual_groups=2)
    assert gate.decide(request("isolate_host", incident=incident(many(50)), reassess=again)).verb == "execute"
    assert masked == {"f2", "f7", *(f"x{n}" for n in range(50))}
