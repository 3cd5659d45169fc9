"""The martingales: fair under what they assume, and quick where it does not hold, also late."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_agents.monitor.ranks import BINS, Ranks, lot
from aegis_agents.monitor.wager import P_BETS, Wager, mean_bets, p_bets, rounds


def test_each_bet_on_a_p_value_is_a_density() -> None:
    n = 200_000
    sums = [math.fsum(column) / n for column in zip(*(p_bets((i + 0.5) / n) for i in range(n)), strict=True)]
    assert len(sums) == P_BETS
    assert all(0.985 < total <= 1.0005 for total in sums), sums


@given(st.floats(0, 1), st.floats(0.01, 0.99), st.floats(-1, 0))
def test_a_bet_on_a_mean_is_fair_at_the_bound_and_never_negative(x: float, most: float, lowest: float) -> None:
    assert all(bet >= 0 for bet in mean_bets(x, most, lowest=lowest))
    assert all(bet >= 0 for bet in mean_bets(lowest, most, lowest=lowest))
    for won, lost in zip(mean_bets(1, most), mean_bets(0, most), strict=True):
        assert most * won + (1 - most) * lost == pytest.approx(1)


def test_the_stake_begins_at_one_and_is_fair_over_all_ways_it_can_go() -> None:
    """Exactly, over all 2^12 outcomes: the mean stake is 1 where x is right with the probability of the bound."""
    most, steps, total = 0.3, 12, 0.0
    assert Wager().value == 1.0
    for outcome in range(2**steps):
        bits = [outcome >> i & 1 for i in range(steps)]
        wager = Wager()
        for bit in bits:
            wager.step(mean_bets(bit, most))
        total += wager.value * math.prod(most if bit else 1 - most for bit in bits)
    assert total == pytest.approx(1.0)


def test_where_nothing_changes_it_seldom_speaks_up() -> None:
    wrong, runs = 0, 200
    for run in range(runs):
        rng, wager = random.Random(run), Wager()
        for _ in range(400):
            wager.step(p_bets(rng.random()))
        wrong += wager.shown(0.1)
    assert wrong <= 30  # at most 20 are expected; more than 30 have a probability below 1 %


@pytest.mark.parametrize("before", [0, 3000])
def test_a_late_change_is_found_nearly_as_soon_as_an_early_one(before: int) -> None:
    rng, wager = random.Random(3), Wager()
    for _ in range(before):
        wager.step(p_bets(rng.random()))
    assert not wager.shown(0.001)
    steps = 0
    while not wager.shown(0.001):
        wager.step(p_bets(rng.random() * 0.2))
        steps += 1
        assert steps < 60


def test_what_was_shown_stays_shown_and_nothing_overflows() -> None:
    wager = Wager()
    for _ in range(5000):
        wager.step(p_bets(0.0))
    assert math.isfinite(wager.value)
    assert wager.shown(1e-9)
    for _ in range(2000):
        wager.step(p_bets(0.5))
    assert wager.shown(1e-9)
    assert Wager.model_validate_json(wager.model_dump_json()) == wager


def test_all_tries_together_spend_no_more_than_the_doubt() -> None:
    assert math.fsum(rounds(0.05, k) for k in range(1, 100_000)) <= 0.05


def test_p_values_of_exchangeable_scores_are_uniform_also_with_ties() -> None:
    rng, ranks = random.Random(5), Ranks()
    values = [ranks.p_value(rng.choice((0.0, 0.2, 0.2, 0.9, 1.0)), rng.random()) for _ in range(4000)]
    for share in (0.1, 0.3, 0.5, 0.9):
        assert abs(sum(v <= share for v in values) / len(values) - share) < 0.03
    assert min(values) > 0


@given(st.floats(), st.floats(0, 1))
def test_any_score_has_a_p_value(score: float, chance: float) -> None:
    ranks = Ranks()
    assert 0 <= ranks.p_value(score, chance) <= 1
    assert sum(ranks.counts) == ranks.n == 1
    assert len(ranks.counts) == BINS


def test_a_lot_is_the_same_for_every_worker_and_another_for_another_seed() -> None:
    assert lot("seed", "words", "inc-1") == lot("seed", "words", "inc-1") != lot("other", "words", "inc-1")
    assert 0 <= lot("\ud800") < 1
