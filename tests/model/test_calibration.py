"""Logits to verdicts."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from aegis_agents.model.calibration import Calibration


def test_probabilities_sum_to_one_and_follow_the_logits() -> None:
    decided = Calibration(temperature=1.0, abstain_below=0.0).decide([2.0, 0.0, 0.0, -1.0])
    assert math.isclose(sum(decided.probabilities.values()), 1.0)
    assert decided.verdict == "true_positive"
    assert decided.probabilities["true_positive"] > decided.probabilities["benign_positive"]


def test_temperature_softens() -> None:
    sharp = Calibration(temperature=0.5, abstain_below=0.0).decide([2.0, 0.0, 0.0, 0.0])
    soft = Calibration(temperature=4.0, abstain_below=0.0).decide([2.0, 0.0, 0.0, 0.0])
    assert sharp.probabilities["true_positive"] > soft.probabilities["true_positive"]


def test_abstains_below_the_threshold_and_not_above() -> None:
    logits = [0.3, 0.0, 0.0, 0.0]
    assert Calibration(temperature=1.0, abstain_below=0.9).decide(logits).verdict == "undetermined"
    assert Calibration(temperature=1.0, abstain_below=0.1).decide(logits).verdict != "undetermined"


def test_both_ways_of_no_attack_count_together() -> None:
    # 0.4 attack against 0.3 + 0.3 harmless: calling it an attack would be the less likely side.
    logits = [math.log(0.4), math.log(0.29), math.log(0.3), math.log(0.01)]
    assert Calibration(temperature=1.0, abstain_below=0.5).decide(logits).verdict == "false_positive"


@pytest.mark.parametrize("wrong", [{"temperature": 0, "abstain_below": 0.5}, {"temperature": 1, "abstain_below": 1.5}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Calibration(**wrong)
