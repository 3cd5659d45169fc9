"""The bet against "errors are frequent": what it shows, and how rarely it shows what is not so."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_agents.gate.earned.evalue import BETS, further_needed, log_evalue, shown, upper_limit
from aegis_agents.gate.earned.rule import EarnRule
from aegis_agents.gate.risk import upper_bound

FEW = st.integers(0, 1000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, min(n, 20))))
COUNTS = st.integers(0, 3000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


def test_the_stake_is_all_placed() -> None:
    assert math.fsum(part for _, part in BETS) == pytest.approx(1)
    assert all(0 <= share < 1 for share, _ in BETS)
    assert log_evalue(0, 0, 0.01) == pytest.approx(0)


@pytest.mark.parametrize("rate", [0.005, 0.01, 0.02, 0.05])
@pytest.mark.parametrize("above", [1.0, 1.5, 5.0])
def test_one_more_campaign_gains_nothing_where_errors_are_that_frequent(rate: float, above: float) -> None:
    # the step by which the proof stands: the expected stake after one more, given what was seen
    for campaigns, errors in itertools.product((0, 10, 300, 2000), (0, 1, 3)):
        if errors > campaigns:
            continue
        now = math.exp(log_evalue(campaigns, errors, rate))
        wrong = math.exp(log_evalue(campaigns + 1, errors + 1, rate))
        right = math.exp(log_evalue(campaigns + 1, errors, rate))
        truth = rate * above
        assert truth * wrong + (1 - truth) * right <= now * (1 + 1e-12)


def test_never_fewer_than_an_exact_test_would_need() -> None:
    assert not shown(298, 0, 0.01, 0.05)
    assert math.ceil(math.log(0.05) / math.log1p(-0.01)) == 299
    rule = EarnRule(earn_doubt=0.05)
    assert further_needed(0, 0, rule.error("act"), rule.doubt(1)) == 764
    assert further_needed(0, 0, rule.error("act_undo"), rule.doubt(1)) == 381
    for rate in (0.01, 0.02, 0.05):
        fewest = math.ceil(math.log(0.05) / math.log1p(-rate))
        assert further_needed(0, 0, rate, 0.05) >= fewest


@given(COUNTS, st.floats(0.001, 0.2), st.floats(1e-6, 0.2))
def test_an_error_never_helps_and_a_right_one_never_hurts(counts: tuple[int, int], rate: float, doubt: float) -> None:
    campaigns, errors = counts
    assert log_evalue(campaigns + 1, errors + 1, rate) <= log_evalue(campaigns, errors, rate) + 1e-9
    assert log_evalue(campaigns + 1, errors, rate) >= log_evalue(campaigns, errors, rate) - 1e-9
    needed = further_needed(campaigns, errors, rate, doubt)
    assert shown(campaigns + needed, errors, rate, doubt)
    assert needed == 0 or not shown(campaigns + needed - 1, errors, rate, doubt)


@given(FEW, st.floats(1e-5, 0.2))
@settings(deadline=None)
def test_the_limit_is_where_the_test_turns_and_wider_than_one_look_allows(
    counts: tuple[int, int], doubt: float
) -> None:
    campaigns, errors = counts
    limit = upper_limit(campaigns, errors, doubt)
    assert limit >= upper_bound(errors, campaigns, doubt) - 1e-9  # Clopper-Pearson allows one look
    if limit < 0.999:
        assert shown(campaigns, errors, limit + 1e-6, doubt)


def test_impossible_counts() -> None:
    for campaigns, errors, rate in ((1, 2, 0.1), (1, -1, 0.1), (1, 0, 0.0), (1, 0, 1.0)):
        with pytest.raises(ValueError, match="errors in"):
            log_evalue(campaigns, errors, rate)


def _ever_passes(truth: float, rate: float, doubt: float, horizon: int) -> float:
    """The probability that a cell is ever let through, looked at after each campaign: summed exactly."""
    waiting, passed = {0: 1.0}, 0.0
    least: dict[int, int] = {}
    for campaigns in range(1, horizon + 1):
        moved: dict[int, float] = {}
        for errors, mass in waiting.items():
            for more, part in ((0, 1 - truth), (1, truth)):
                moved[errors + more] = moved.get(errors + more, 0.0) + mass * part
        for errors in list(moved):
            if errors not in least:
                least[errors] = errors + further_needed(errors, errors, rate, doubt)
            if campaigns >= least[errors]:
                passed += moved.pop(errors)
        waiting = {errors: mass for errors, mass in moved.items() if mass > 1e-15}
    return passed


@pytest.mark.parametrize(("truth", "most"), [(0.05, 0.05), (0.06, 0.03), (0.02, 1.0)])
def test_looking_after_each_review_lets_few_bad_cells_through(truth: float, most: float) -> None:
    passed = _ever_passes(truth, rate=0.05, doubt=0.05, horizon=1500)
    assert passed <= most
    if truth == 0.05:
        assert passed > 0.03  # nor is it much stricter than it promises
    if truth == 0.02:
        assert passed > 0.95  # a good cell gets there


def test_doubt_is_spent_once_over_all_tries() -> None:
    rule = EarnRule()
    tries = [rule.doubt(k) for k in range(1, 50)]
    assert all(later < earlier for earlier, later in itertools.pairwise(tries))
    assert math.fsum(tries) * 18 * 3 <= rule.earn_doubt + 1e-12
