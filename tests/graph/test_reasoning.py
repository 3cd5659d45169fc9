"""Which techniques a conclusion names."""

from __future__ import annotations

import pytest

from aegis_agents.agents.reasoning import TECHNIQUE_GAP, named_techniques
from aegis_agents.records import Assessment, TechniqueScore, Verdict

NEAR, FAR = 0.6 - TECHNIQUE_GAP / 2, 0.6 - TECHNIQUE_GAP * 2


def assessed(*scores: tuple[str, float], verdict: Verdict = "true_positive") -> Assessment:
    return Assessment(
        verdict=verdict, confidence=0.9, severity="high", weights=(), model="test", facts_read=1, facts_skipped=0,
        probabilities={"true_positive": 0.9, "benign_positive": 0.05, "false_positive": 0.03, "undetermined": 0.02},
        techniques=tuple(TechniqueScore(technique=t, score=s) for t, s in scores),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("scores", "named"),
    [
        ((("T1003", 0.6), ("T1059", NEAR)), ("T1003", "T1059")),
        ((("T1003", 0.6), ("T1059", FAR)), ("T1003",)),
        ((("T1003", 0.15), ("T1059", 0.0)), ("T1003",)),
        ((("T1003.001", 0.6), ("T1003.002", 0.6), ("T1059", NEAR)), ("T1003.001", "T1059")),
        ((("T1003", 0.6), ("T1059", 0.6), ("T1098", 0.6), ("T1110", 0.6)), ("T1003", "T1059", "T1098")),
        ((("T1003", 0.2), ("T1059", 0.9)), ("T1059",)),
        ((), ()),
    ],
)
def test_the_likeliest_and_what_is_nearly_as_likely_is_named(
    scores: tuple[tuple[str, float], ...], named: tuple[str, ...]
) -> None:
    assert named_techniques(assessed(*scores)) == named


@pytest.mark.parametrize("verdict", ["benign_positive", "false_positive"])
def test_what_is_no_attack_has_no_technique(verdict: Verdict) -> None:
    assert named_techniques(assessed(("T1003", 0.9), verdict=verdict)) == ()


def test_what_may_be_an_attack_has_one() -> None:
    assert named_techniques(assessed(("T1003", 0.9), verdict="undetermined")) == ("T1003",)
