"""Counting verdicts, against numbers worked out by hand."""

from __future__ import annotations

import pytest

from evals.counting import Answer, Share, count
from evals.real_input import plant


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


def test_the_interval_is_wilsons() -> None:
    low, high = Share(8, 10).interval
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert Share(0, 0).interval == (0.0, 1.0)
    assert str(Share(0, 0)) == "none"


def test_a_text_is_planted_into_the_longest_free_text_and_the_alert_stays() -> None:
    alert = {"id": "one", "a": {"b": ["short text", "a longer free text"]}}
    planted = plant(alert, "PLANTED")
    assert planted == {"id": "one", "a": {"b": ["short text", "a longer free text PLANTED"]}}
    assert alert["a"]["b"][1] == "a longer free text"  # type: ignore[index]
    assert plant({"id": 1}, "x") is None
