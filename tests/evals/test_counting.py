"""Counting verdicts, against numbers worked out by hand."""

from __future__ import annotations

import pytest

from aegis_agents.records import SEVERITIES
from evals.counting import Answer, Mean, Share, count, steps_apart


def test_undetermined_is_a_miss_in_both_and_counts_for_coverage() -> None:
    found = count(
        [
            Answer("true_positive", "true_positive"),
            Answer("true_positive", "undetermined"),
            Answer("true_positive", "benign_positive"),
            Answer("benign_positive", "false_positive"),
            Answer("false_positive", "false_positive"),
            Answer("false_positive", "undetermined"),
            Answer("false_positive", "true_positive"),
            Answer("undetermined", "true_positive"),
        ]
    )
    assert found.detection == Share(1, 3)
    assert found.rejection == Share(2, 4)
    assert found.coverage == Share(6, 8)
    assert found.kind == Share(1, 2)


def test_an_alert_that_ended_in_an_error_is_a_miss_and_not_left_out() -> None:
    found = count([Answer("true_positive", "error"), Answer("benign_positive", "error")])
    assert found == (Share(0, 1), Share(0, 1), Share(0, 2), Share(0, 0))


def test_the_interval_is_wilsons() -> None:
    low, high = Share(8, 10).interval
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert Share(0, 4).interval == (0.0, pytest.approx(0.4899, abs=1e-4))
    assert Share(0, 0).interval == (0.0, 1.0)


def test_a_share_is_shown_with_its_n_and_a_share_of_nothing_is_none() -> None:
    assert str(Share(8, 10)) == "0.800 (8/10, 0.49 to 0.94)"
    assert Share(8, 10).to_json() == {"share": 0.8, "k": 8, "n": 10, "low": 0.4902, "high": 0.9433}
    assert str(Share(0, 0)) == "none"
    assert Share(0, 0).to_json()["share"] is None


def test_the_mean_has_an_interval_that_holds_it_and_does_not_change_from_run_to_run() -> None:
    mean = Mean((0.0, 0.5, 1.0, 0.5))
    low, high = mean.interval
    assert mean.to_json()["mean"] == 0.5
    assert 0.0 <= low < 0.5 < high <= 1.0
    assert mean.interval == Mean((0.0, 0.5, 1.0, 0.5)).interval
    assert Mean((0.25,) * 5).interval == (0.25, 0.25)
    assert str(Mean(())) == "none"


def test_severities_are_apart_by_their_steps() -> None:
    assert steps_apart("low", "low", SEVERITIES) == 0
    assert steps_apart("low", "medium", SEVERITIES) == 1
    assert steps_apart("critical", "informational", SEVERITIES) == 4
