"""How rarely a cell errs, in a form that stays true however often one looks.

For each error rate a that is borne, the null hypothesis "errors are as frequent as a, or more" is bet against:
a campaign without error multiplies the stake by (1 - q)/(1 - a), one with an error by q/a, for a q below a. If the
null is true the stake is a non-negative supermartingale, so by Ville's inequality (1939) it ever reaches 1/d with
probability d at most, whenever one looks and whatever makes one stop. This is the betting form of Waudby-Smith and
Ramdas (2024, arXiv:2010.09686) and the mixture of Howard, Ramdas, McAuliffe and Sekhon (2021, arXiv:1810.08240),
with a mixture of fixed bets. So it depends on counts alone, not on the order of what was seen.
"""

from __future__ import annotations

import math
from typing import Final

BETS: Final = ((0.0, 0.5), (0.1, 0.2), (0.25, 0.2), (0.5, 0.1))
"""(q as a share of the rate borne, its part of the stake). The first wins fastest without errors and is lost at the
first; the others bear some. Fixed beforehand."""


def log_evalue(campaigns: int, errors: int, rate: float) -> float:
    """The logarithm of the stake against "errors are as frequent as `rate`", after so many campaigns.

    ValueError for impossible counts or a rate outside 0..1.
    """
    if not 0 <= errors <= campaigns or not 0 < rate < 1:
        raise ValueError(f"{errors} errors in {campaigns} campaigns at rate {rate}")
    right = campaigns - errors
    logs = [
        math.log(part)
        + (errors * math.log(share) if errors else 0.0)
        + right * (math.log1p(-share * rate) - math.log1p(-rate))
        for share, part in BETS
        if share > 0 or not errors
    ]
    top = max(logs)
    return top + math.log(math.fsum(math.exp(value - top) for value in logs))


def shown(campaigns: int, errors: int, rate: float, doubt: float) -> bool:
    """Whether errors were shown to be rarer than `rate`, but for a probability of `doubt`."""
    return log_evalue(campaigns, errors, rate) >= -math.log(doubt)


def upper_limit(campaigns: int, errors: int, doubt: float) -> float:
    """The upper end of the confidence sequence for the error rate, 0..1: all higher rates are shown not to hold.

    It covers the true rate at all times together with probability 1 - `doubt` at least.
    """
    low, high = errors / campaigns if campaigns else 0.0, 1.0
    for _ in range(60):  # halving: 60 steps are beyond what a float holds
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if shown(campaigns, errors, middle, doubt):
            high = middle
        else:
            low = middle
    return high


def further_needed(campaigns: int, errors: int, rate: float, doubt: float) -> int:
    """How many more campaigns without an error would show it; 0 if it is shown."""
    low, high = 0, 1
    while not shown(campaigns + high, errors, rate, doubt):
        low, high = high, high * 2
    if shown(campaigns, errors, rate, doubt):
        return 0
    while high - low > 1:
        middle = (low + high) // 2
        if shown(campaigns + middle, errors, rate, doubt):
            high = middle
        else:
            low = middle
    return high
