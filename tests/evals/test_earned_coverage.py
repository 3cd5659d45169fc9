"""The simulation of earned autonomy, against what can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from evals.earned_coverage import NEVER, Share, exactly, first_passes, naive, ours


def test_the_first_campaign_that_passes_is_found() -> None:
    table = np.array([3, 5, NEVER])
    errors = np.array([[0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0]], bool)
    assert first_passes(errors, table).tolist() == [3, 5, NEVER]


def test_probabilities_are_summed_rightly() -> None:
    table = np.array([3, 5, NEVER])
    truth = 0.2
    by_hand = 0.8**3 + 3 * truth * 0.8**4  # none in three; else one in the first three, and none in the next two
    assert exactly(table, truth, 6) == pytest.approx(by_hand)


def test_the_tables_are_the_tests() -> None:
    assert naive(0.01, 0.05)[0] == 299
    assert ours(0.01, 0.05)[0] == 327
    assert ours(0.01, 0.05)[-1] == NEVER
    assert exactly(ours(0.01, 0.05), 0.01) <= 0.05 < exactly(naive(0.01, 0.05), 0.01)


def test_exact_intervals() -> None:
    low, high = Share(0, 100).interval
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 100))
