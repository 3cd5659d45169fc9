"""From reports to figures with intervals: shares, calibration, risk and coverage."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np

from aegis_agents.evaluation.evaluators import HARMLESS, Judged
from aegis_agents.records import Assessment


class Share(NamedTuple):
    """k of n with the 95 % Wilson interval (Wilson 1927)."""

    k: int
    n: int

    def to_json(self) -> dict[str, Any]:
        """As numbers; a share of nothing is null."""
        from scipy.stats import binomtest

        if not self.n:
            return {"share": None, "k": 0, "n": 0, "low": 0.0, "high": 1.0}
        low, high = binomtest(self.k, self.n).proportion_ci(method="wilson")
        return {
            "share": round(self.k / self.n, 4),
            "k": self.k,
            "n": self.n,
            "low": round(low, 4),
            "high": round(high, 4),
        }


def share_of(hits: list[bool]) -> dict[str, Any]:
    """How many are true, as JSON."""
    return Share(sum(hits), len(hits)).to_json()


def verdict_figures(rows: list[tuple[Judged, Assessment]]) -> dict[str, Any]:
    """Detection, rejection, coverage, sure misses, minimal pairs."""
    attacks = [s for k, s in rows if k.verdict == "true_positive"]
    harmless = [s for k, s in rows if k.verdict in HARMLESS]
    open_ones = [s for k, s in rows if k.verdict == "undetermined"]
    pairs: dict[str, list[bool]] = defaultdict(list)
    for known, said in rows:
        if known.pair:
            right = said.verdict == known.verdict or (said.verdict in HARMLESS and known.verdict in HARMLESS)
            pairs[known.pair].append(right)
    found = {
        "alerts": len(rows), "families": len({k.family for k, _ in rows}),
        "detection": share_of([s.verdict == "true_positive" for s in attacks]),
        "rejection": share_of([s.verdict in HARMLESS for s in harmless]),
        "coverage": share_of([s.verdict != "undetermined" for _, s in rows]),
        "undetermined called so": share_of([s.verdict == "undetermined" for s in open_ones]),
        "attacks called harmless above 0.9": share_of([s.verdict in HARMLESS and s.confidence > 0.9 for s in attacks]),
    }  # fmt: skip
    if pairs:
        found["minimal pairs, both right"] = share_of([all(p) for p in pairs.values() if len(p) == 2])
    return found


class Bin(NamedTuple):
    """Answers of like confidence: their mean confidence, the share that was right, how many."""

    confidence: float
    right: float
    n: int


def attack_probability(said: Assessment) -> float:
    """p(attack) against p(harmless), which is what decides."""
    p = said.probabilities
    attack, rest = p["true_positive"], p["benign_positive"] + p["false_positive"]
    return attack / max(attack + rest, 1e-12)


def calibration_figures(rows: list[tuple[Judged, Assessment]], bins: int = 15) -> dict[str, Any]:
    """Of the decided question, attack or harmless: ECE in equal-width bins (Naeini et al. 2015), Brier, and the bins.

    The interval of the ECE is a bootstrap over families, since alerts of a family are alike.
    """
    from sklearn.metrics import brier_score_loss

    told = [(k, s) for k, s in rows if k.verdict != "undetermined"]
    attack = np.array([attack_probability(s) for _, s in told])
    truth = np.array([k.verdict == "true_positive" for k, _ in told])
    confidence, right = np.maximum(attack, 1 - attack), (attack >= 0.5) == truth
    by_family: dict[str, list[int]] = defaultdict(list)
    for row, (known, _) in enumerate(told):
        by_family[known.family].append(row)
    rng, names = np.random.default_rng(3), sorted(by_family)
    drawn = [np.concatenate([by_family[names[i]] for i in rng.integers(0, len(names), len(names))]) for _ in range(400)]
    spread = [_ece(confidence[d], right[d], bins)[0] for d in drawn]
    ece, found = _ece(confidence, right, bins)
    return {
        "alerts": len(told), "families": len(names), "ece": round(ece, 4),
        "ece low": round(float(np.percentile(spread, 2.5)), 4), "ece high": round(float(np.percentile(spread, 97.5)), 4),
        "brier": round(float(brier_score_loss(truth, attack)), 4), "bins": [b._asdict() for b in found],
    }  # fmt: skip


def _ece(confidence: Any, right: Any, bins: int) -> tuple[float, list[Bin]]:
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    found = [
        Bin(float(confidence[place == b].mean()), float(right[place == b].mean()), int((place == b).sum()))
        for b in range(bins) if (place == b).any()
    ]  # fmt: skip
    return sum(b.n * abs(b.confidence - b.right) for b in found) / max(1, len(confidence)), found
