"""The risk bound: acting alone needs a confidence at which errors are proven rare.

Thresholds come from labelled outcomes by Learn then Test (Angelopoulos, Bates,
Candès, Jordan, Lei 2021, arXiv:2110.01052) with exact binomial tails, which is the
Clopper-Pearson upper bound (1934) used as a test. Where the user names no threshold,
that of the cell's reviewed decisions is taken (see gate.earned); without such data the
threshold is above 1, and a person decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from aegis_agents.errors import SettingsError
from aegis_agents.gate.autonomy import level_of
from aegis_agents.gate.request import ACTION_CLASSES, ActionClass, GateRequest, Ruling, allow
from aegis_agents.records import AUTONOMY_LEVELS

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext

NEVER: Final = 1.01
"""A threshold that no probability reaches."""

GRID: Final = tuple(round(0.995 - 0.005 * step, 3) for step in range(100))
"""Thresholds that are tried, from 0.995 down to 0.5. Fixed beforehand: choosing them after seeing the outcomes
would void the guarantee."""

STARTS: Final = (0.99, 0.95, 0.9, 0.8)
"""Where the sequences of tests begin; `delta` is shared among them."""


@dataclass(frozen=True)
class RiskTable:
    """The least confidence at which each class of action may go without a person; `given` are the user's own."""

    thresholds: Mapping[ActionClass, float]
    given: frozenset[ActionClass] = frozenset()

    @classmethod
    def load(cls, source: Mapping[str, float] | None) -> RiskTable:
        """The table, with the shipped thresholds where the user names none; SettingsError for unknown or negative."""
        thresholds: dict[ActionClass, float] = dict.fromkeys(ACTION_CLASSES, NEVER)
        thresholds["record"] = 0.0  # a record rests on no verdict: it is how a person is told
        given: set[ActionClass] = set()
        for name, value in (source or {}).items():
            if name not in thresholds:
                raise SettingsError(f"risk.{name}: no such class; classes are {', '.join(ACTION_CLASSES)}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= NEVER:
                raise SettingsError(f"risk.{name}: {value!r} is no threshold; give 0 to 1, or {NEVER} for never")
            named = next(known for known in ACTION_CLASSES if known == name)
            thresholds[named] = float(value)
            given.add(named)
        return cls(thresholds, frozenset(given))


class Bound(NamedTuple):
    """The least confidence for acting alone, and the rule that it comes from."""

    threshold: float
    rule: str


def bound_of(request: GateRequest, context: GateContext) -> Bound:
    """The threshold for this action: the user's own, else that of what was earned, else the shipped one.

    What was earned holds up to the level at which it was earned: a user who sets more needs a threshold too.
    """
    table, name = context.settings.risk, context.action_class
    if name not in table.given:
        earned = request.earned.find(context.spec.name, name, context.asset.tier)
        _, level = level_of(request, context)
        if earned is not None and AUTONOMY_LEVELS.index(level) <= AUTONOMY_LEVELS.index(earned.level):
            return Bound(earned.threshold, "risk.earned")
    return Bound(table.thresholds[name], f"risk.{name}")


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Lower to ask where the calibrated confidence is below the threshold."""
    threshold, rule = bound_of(request, context)
    confidence = request.conclusion.confidence
    numbers = {"confidence": confidence, "threshold": threshold}
    if confidence >= threshold:  # written so that a NaN fails
        return allow(rule, **numbers)
    if threshold > 1:
        reason = f"no calibration data bounds the error of {context.action_class} actions"
    else:
        reason = f"confidence {confidence:.3f} is below the bound {threshold:.3f}"
    return Ruling("ask", rule, reason, numbers=numbers)


def binomial_cdf(errors: int, trials: int, rate: float) -> float:
    """P(X <= errors) for X ~ Binomial(trials, rate), in logarithms so that it neither over- nor underflows."""
    if errors >= trials or rate <= 0:
        return 1.0
    if rate >= 1:
        return 0.0
    log_p, log_q = math.log(rate), math.log1p(-rate)
    terms = (
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * log_p + (trials - k) * log_q
        for k in range(errors + 1)
    )
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def upper_bound(errors: int, trials: int, delta: float) -> float:
    """Clopper-Pearson: the error rate that is exceeded with probability at most `delta`; 1.0 without trials."""
    if not 0 <= errors <= trials:
        raise ValueError(f"errors must lie in 0..trials, got {errors} of {trials}")
    if errors == trials:
        return 1.0
    low, high = errors / trials, 1.0
    for _ in range(60):  # halving: 60 steps are beyond what a float holds
        middle = (low + high) / 2
        if binomial_cdf(errors, trials, middle) > delta:
            low = middle
        else:
            high = middle
    return high


def threshold_from_scores(
    scores: Sequence[float],
    wrong: Sequence[bool],
    alpha: float,
    delta: float,
    *,
    grid: Sequence[float] = GRID,
    starts: Sequence[float] = STARTS,
) -> float:
    """The lowest threshold whose error rate among decisions at or above it is at most `alpha`.

    Holds with probability at least 1 - `delta` over the calibration sample, for
    independent decisions (one a campaign, not one a duplicate). From each start the
    grid is walked downwards, each threshold tested at delta / len(starts), until one
    fails: fixed-sequence testing with several starts. Returns NEVER when none
    passes; zero errors need 299 decisions for alpha 0.01, delta 0.05 and one start.
    ValueError for empty or unequal input and for alpha or delta outside 0..1.
    """
    if len(scores) != len(wrong):
        raise ValueError(f"{len(scores)} scores but {len(wrong)} outcomes")
    if not (0 < alpha < 1 and 0 < delta < 1) or not starts:
        raise ValueError("alpha and delta must lie between 0 and 1, and at least one start is needed")
    walk, best = sorted(set(grid), reverse=True), NEVER
    for start in starts:
        for threshold in (value for value in walk if value <= start):
            chosen = [bad for score, bad in zip(scores, wrong, strict=True) if score >= threshold]
            if binomial_cdf(sum(chosen), len(chosen), alpha) > delta / len(starts):
                break
            best = min(best, threshold)
    return best
