"""How rankings are scored, and whether one system beats another.

A query has one or more right ids. hit@k: a right one is among the first k rows; recall@k: the
share of the right ones among the first k; MRR: the mean of 1 / rank of the first right row. At base
level T1059.001 and T1059.003 are the same, but every row still takes a place of the first k.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evals.counting import Share

RESAMPLES = 1000
DEEPEST = 100
"""Rows of a ranking that count: a right one below is as good as missing."""

Level = Callable[[str], str]


class Scores(NamedTuple):
    """What each query got: whether a right row was first, among five; the share of the right ones among five; 1/rank."""

    hit1: NDArray[np.float64]
    hit5: NDArray[np.float64]
    recall5: NDArray[np.float64]
    reciprocal: NDArray[np.float64]


def score(rankings: Sequence[Sequence[str]], right: Sequence[Sequence[str]], level: Level) -> Scores:
    """Score the ranked ids of each query against its right ones, both taken through `level` first."""
    rows = []
    for ranking, wanted in zip(rankings, right, strict=True):
        said, truth = [level(i) for i in ranking[:DEEPEST]], {level(i) for i in wanted}
        rank = next((n for n, i in enumerate(said, 1) if i in truth), 0)
        found = len(truth & set(said[:5])) / len(truth)
        rows.append((rank == 1, 1 <= rank <= 5, found, 1 / rank if rank else 0.0))
    return Scores(*np.array(rows, np.float64).reshape(-1, 4).T)


def interval(values: NDArray[np.float64], seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of a mean (Efron 1979); (0, 1) for nothing."""
    if not len(values):
        return 0.0, 1.0
    draw = np.random.default_rng(seed)
    means = [values[draw.integers(len(values), size=len(values))].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def figures(scores: Scores) -> dict[str, Any]:
    """The figures of a system on a suite, each with its 95 % interval (Wilson for shares, else bootstrap)."""
    shares = {"hit@1": scores.hit1, "hit@5": scores.hit5}
    found: dict[str, Any] = {}
    for name, values in shares.items():
        low, high = Share(int(values.sum()), len(values)).interval
        found[name] = _figure(values, low, high)
    for name, values in {"recall@5": scores.recall5, "MRR": scores.reciprocal}.items():
        found[name] = _figure(values, *interval(values))
    return found


def _figure(values: NDArray[np.float64], low: float, high: float) -> dict[str, float]:
    return {
        "value": round(float(values.mean()) if len(values) else 0.0, 4),
        "low": round(low, 4),
        "high": round(high, 4),
    }


def exact_mcnemar(only_one: int, only_other: int) -> float:
    """Two-sided exact p of McNemar's test (1947) on the pairs on which two systems disagree."""
    n, k = only_one + only_other, min(only_one, only_other)
    return min(1.0, 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n) if n else 1.0


def versus(ours: Scores, other: Scores) -> dict[str, Any]:
    """Ours less the other's recall@5 with a paired bootstrap interval, and McNemar's p on hit@5."""
    gain = ours.recall5 - other.recall5
    low, high = interval(gain)
    mine, theirs = (ours.hit5 > other.hit5).sum(), (other.hit5 > ours.hit5).sum()
    return {
        "recall@5 gain": round(float(gain.mean()), 4), "low": round(low, 4), "high": round(high, 4),
        "only ours": int(mine), "only the other": int(theirs), "p": exact_mcnemar(int(mine), int(theirs)),
    }  # fmt: skip
