"""Logits to verdicts."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from aegis_agents.errors import InputError
from aegis_agents.model.calibration import Bound, Calibration


def test_probabilities_sum_to_one_and_follow_the_logits() -> None:
    decided = Calibration(temperature=1.0, undetermined_above=1.0).decide([2.0, 0.0, 0.0, -1.0])
    assert math.isclose(sum(decided.probabilities.values()), 1.0)
    assert decided.verdict == "true_positive"
    assert decided.probabilities["true_positive"] > decided.probabilities["benign_positive"]


def test_temperature_softens() -> None:
    sharp = Calibration(temperature=0.5, undetermined_above=1.0).decide([2.0, 0.0, 0.0, 0.0])
    soft = Calibration(temperature=4.0, undetermined_above=1.0).decide([2.0, 0.0, 0.0, 0.0])
    assert sharp.probabilities["true_positive"] > soft.probabilities["true_positive"]


def test_undetermined_is_said_from_its_threshold_on() -> None:
    logits = [0.0, -2.0, -2.0, 0.5]
    assert Calibration(temperature=1.0, undetermined_above=0.5).decide(logits).verdict == "undetermined"
    assert Calibration(temperature=1.0, undetermined_above=0.9).decide(logits).verdict == "true_positive"


def test_a_missed_attack_may_cost_more_than_a_false_alarm() -> None:
    logits = [math.log(0.40), math.log(0.30), math.log(0.25), math.log(0.05)]
    even = Calibration(temperature=1.0, undetermined_above=0.5).decide(logits)
    careful = Calibration(temperature=1.0, undetermined_above=0.5, missed_attack_cost=1.5).decide(logits)
    assert (even.verdict, careful.verdict) == ("benign_positive", "true_positive")
    assert even.probabilities == careful.probabilities


def test_what_does_not_reach_its_bound_is_undetermined() -> None:
    calibration = Calibration(
        temperature=1.0,
        undetermined_above=0.9,
        bounds=(Bound(0.2, 0.7, None), Bound(0.1, 0.9, None)),
        bounds_families=50,
    )
    attack = [math.log(0.8), math.log(0.1), math.log(0.05), math.log(0.05)]
    harmless = [math.log(0.05), math.log(0.8), math.log(0.1), math.log(0.05)]
    assert calibration.decide(attack, calibration.bound(0.2)).verdict == "true_positive"
    assert calibration.decide(attack, calibration.bound(0.1)).verdict == "undetermined"
    assert calibration.bound(0.15).tolerated == 0.1, "the loosest that is no looser"
    assert calibration.decide(harmless, calibration.bound(0.2)).verdict == "undetermined", "nothing was shown for it"
    with pytest.raises(InputError, match="tolerated_error"):
        calibration.bound(0.01)


def test_both_ways_of_no_attack_count_together() -> None:
    # 0.4 attack against 0.3 + 0.3 harmless: calling it an attack would be the less likely side.
    logits = [math.log(0.4), math.log(0.29), math.log(0.3), math.log(0.01)]
    assert Calibration(temperature=1.0, undetermined_above=0.5).decide(logits).verdict == "false_positive"


@pytest.mark.parametrize(
    "wrong", [{"temperature": 0, "undetermined_above": 0.5}, {"temperature": 1, "undetermined_above": 1.5}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Calibration(**wrong)
