"""What fell back asks a person, whatever else would allow; it can only lower, and leaves records alone."""

from __future__ import annotations

from typing import Any

import pytest
from gate_cases import OPEN, TARGETS, incident, open_gate, request
from hypothesis import given
from hypothesis import strategies as st

from aegis_agents.gate import Gate
from aegis_agents.gate.caution import NO_CAUTION, Caution, FellBack
from aegis_agents.gate.likeness import likeness, places, sketch, words_of
from aegis_agents.gate.request import VERBS, class_of
from aegis_agents.records import CATALOGUE, VERDICTS, Fact

SPECS = {str(name): spec for name, spec in CATALOGUE.items()}


def fallen(scope: str = "all", of: str = "", like: str = "") -> Caution:
    given = {"entry": 9, "scope": scope, "of": of, "like": like, "cause": "drift.sources", "reason": "it drifted"}
    return Caution(fallen=(FellBack.model_validate(given),))


def own_sketch(**changes: Any) -> str:
    return sketch(words_of(incident(**changes), chosen=True))


def test_what_would_run_asks_and_says_why() -> None:
    assert open_gate().decide(request()).verb == "execute"
    decision = open_gate().decide(request(caution=fallen()))
    assert (decision.verb, decision.rule) == ("ask", "caution.fell_back")
    assert "it drifted" in decision.reason
    assert "entry 9" in decision.reason
    assert (decision.inputs["caution.entry"], decision.inputs["caution.cause"]) == (9, "drift.sources")


def test_one_person_lifts_it_for_one_action() -> None:
    decision = open_gate().decide(request(caution=fallen(), approved_by=("ann",)))
    assert (decision.verb, decision.rule) == ("execute", "gate.approved")


def test_closing_is_lowered_and_records_are_not() -> None:
    closing = request("close_alert", "benign_positive", caution=fallen())
    assert open_gate().decide(closing).rule == "caution.fell_back"
    assert open_gate().decide(request("open_ticket", caution=fallen())).verb == "execute"


@pytest.mark.parametrize(
    ("caution", "verb"),
    [
        (fallen("source", "test"), "ask"),
        (fallen("source", "okta"), "execute"),
        (fallen("class", "contain"), "ask"),
        (fallen("class", "close_alert"), "execute"),
        (fallen("cluster", "test", own_sketch()), "ask"),
        (fallen("cluster", "okta", own_sketch()), "execute"),
        (fallen("cluster", "test", "0" * len(own_sketch())), "execute"),
        (fallen("cluster", "test", "no sketch"), "ask"),
        (fallen("cluster", "test", "ff"), "ask"),
        (Caution(unreadable="the database is away"), "ask"),
        (NO_CAUTION, "execute"),
    ],
)
def test_it_reaches_as_far_as_its_scope(caution: Caution, verb: str) -> None:
    assert open_gate().decide(request(caution=caution)).verb == verb


def test_unreadable_says_so() -> None:
    decision = open_gate().decide(request(caution=Caution(unreadable="gone")))
    assert decision.rule == "caution.unreadable"


@given(
    st.sampled_from([open_gate(), Gate(), open_gate(autonomy="recommend"), open_gate(risk=OPEN["risk"] | {"contain": 0.995})]),
    st.sampled_from(sorted(TARGETS)), st.sampled_from(VERDICTS), st.floats(0, 1), st.sampled_from([(), ("ann",)]),
    st.sampled_from([fallen(), fallen("source", "test"), fallen("class", "contain"), Caution(unreadable="x")]),
)  # fmt: skip
def test_it_can_only_lower_and_only_to_ask(
    gate: Gate, name: str, verdict: Any, sure: float, who: tuple[str, ...], caution: Caution
) -> None:
    before = gate.decide(request(name, verdict, confidence=sure, approved_by=who))
    after = gate.decide(request(name, verdict, confidence=sure, approved_by=who, caution=caution))
    assert VERBS.index(after.verb) <= VERBS.index(before.verb)
    if class_of(SPECS[name]) == "record" or before.verb in ("refuse", "recommend"):
        assert (after.verb, after.rule) == (before.verb, before.rule)
    elif not who and (caution.unreadable or caution.about(incident(), class_of(SPECS[name]))):
        assert after.verb != "execute"


def test_an_alert_stays_in_its_group_when_numbers_change_and_leaves_it_with_other_words() -> None:
    def told(text: str) -> str:
        return own_sketch(extra_facts=(Fact(id="x", path="process.args", value=text, trust="external"),))

    words = "run the quarterly report for the finance team and mail it to every manager of the branch"
    assert likeness(told(f"{words} 17 at 10.2.3.4"), told(f"{words} 99 at 192.0.2.7")) == 1.0
    assert likeness(told(words), told(words.replace("mail", "fax"))) > 0.6
    assert (
        likeness(told(words), told("delete shadow copies quietly, encrypt shares, drop a note, leave no trace")) < 0.5
    )
    assert likeness("", told(words)) == 0.0


def test_a_sketch_estimates_the_share_of_common_words() -> None:
    one, other = frozenset(range(0, 6000, 10)), frozenset(range(2000, 8000, 10))
    truth = len(one & other) / len(one | other)
    assert abs(likeness(sketch(one), sketch(other)) - truth) < 0.2
    with pytest.raises(ValueError, match="numbers"):
        places("ffffffff")


def test_a_huge_alert_is_sketched_within_bounds() -> None:
    text = " ".join(f"w{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676 % 26)}" for i in range(200_000))
    assert len(words_of(incident(extra_facts=(Fact(id="x", path="a", value=text, trust="external"),)))) <= 4_000
    assert own_sketch(extra_facts=(Fact(id="x", path="\ud800", value="lone \ud800 surrogate word", trust="external"),))
