"""The risk bound."""

from __future__ import annotations

import math
import random

import pytest
from gate_cases import context, request
from hypothesis import given
from hypothesis import strategies as st

from aegis_agents.gate import NEVER, risk, threshold_from_scores, upper_bound
from aegis_agents.gate.risk import RiskTable, binomial_cdf


def test_the_tail_is_exact() -> None:
    for errors, trials, rate in ((0, 10, 0.1), (3, 10, 0.3), (7, 40, 0.2)):
        exact = sum(math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(errors + 1))
        assert binomial_cdf(errors, trials, rate) == pytest.approx(exact, rel=1e-12)
    assert (binomial_cdf(5, 5, 0.5), binomial_cdf(0, 5, 1.0), binomial_cdf(0, 5, 0.0)) == (1.0, 0.0, 1.0)


def test_the_upper_bound_is_clopper_and_pearsons() -> None:
    assert upper_bound(0, 299, 0.05) == pytest.approx(1 - 0.05 ** (1 / 299), rel=1e-9)  # closed form without errors
    assert upper_bound(2, 50, 0.05) == pytest.approx(0.1206, abs=1e-4)  # published tables: one-sided 95 %
    assert (upper_bound(0, 0, 0.05), upper_bound(4, 4, 0.05)) == (1.0, 1.0)
    with pytest.raises(ValueError, match="errors"):
        upper_bound(5, 4, 0.05)


def test_zero_errors_need_299_decisions_for_one_percent() -> None:
    def certified(count: int) -> float:
        return threshold_from_scores([0.999] * count, [False] * count, 0.01, 0.05, starts=(0.9,))

    assert certified(298) == NEVER
    assert certified(299) == 0.5


def test_it_stops_where_errors_begin() -> None:
    scores = [0.97] * 2000 + [0.75] * 500
    wrong = [False] * 2000 + [True] * 250 + [False] * 250
    threshold = threshold_from_scores(scores, wrong, 0.02, 0.05)
    assert 0.75 < threshold <= 0.8


def test_more_certainty_asks_for_a_higher_threshold() -> None:
    rng = random.Random(7)
    scores = [rng.random() for _ in range(4000)]
    wrong = [rng.random() > score for score in scores]
    loose = threshold_from_scores(scores, wrong, 0.2, 0.1)
    strict = threshold_from_scores(scores, wrong, 0.05, 0.05)
    assert loose < strict


def test_the_promise_holds_over_repeated_samples() -> None:
    # P(wrong | score = s) = 1 - s, scores uniform: the true risk at threshold t is (1 - t) / 2.
    rng, broken, runs = random.Random(11), 0, 150
    alpha, delta = 0.1, 0.1
    for _ in range(runs):
        scores = [rng.random() for _ in range(300)]
        wrong = [rng.random() > score for score in scores]
        threshold = threshold_from_scores(scores, wrong, alpha, delta)
        broken += threshold <= 1 and (1 - threshold) / 2 > alpha
    assert broken / runs <= delta + 0.05


@pytest.mark.parametrize(
    ("scores", "wrong", "alpha", "delta"),
    [([0.5], [], 0.1, 0.1), ([], [], 0.0, 0.1), ([], [], 0.1, 1.0)],
)
def test_wrong_input(scores: list[float], wrong: list[bool], alpha: float, delta: float) -> None:
    with pytest.raises(ValueError, match=r".+"):
        threshold_from_scores(scores, wrong, alpha, delta)


def test_nothing_to_learn_from_is_never() -> None:
    assert threshold_from_scores([], [], 0.1, 0.1) == NEVER


def test_without_data_only_records_go_alone() -> None:
    table = RiskTable.load(None)
    assert table.thresholds == {"record": 0.0, "contain": NEVER, "destroy": NEVER, "close_alert": NEVER}
    assert risk.check(request("isolate_host", confidence=1.0), context(risk=table)).ceiling == "ask"


@given(st.floats(0, 1), st.floats(0, 1))
def test_confidence_below_the_threshold_asks(confidence: float, threshold: float) -> None:
    table = RiskTable.load({"contain": threshold})
    ruling = risk.check(request("isolate_host", confidence=confidence), context(risk=table))
    assert (ruling.ceiling == "execute") == (confidence >= threshold)
