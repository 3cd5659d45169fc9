"""Test martingales: a stake that grows only if what was assumed does not hold.

By Ville's inequality (1939) a stake that begins at 1 and is fair under the assumption ever reaches 1/d with a
probability of at most d, whenever one looks. The stake is let out bit by bit over all time, so that a change in the
ten-thousandth case meets fresh stakes and not the ruins of old ones: a mixture of martingales over the time of the
change (Shiryaev and Roberts, with weights that add up to 1; Shin, Ramdas and Rinaldo 2022, arXiv:2203.03532). What is out
is spread over several bets, and moves between them (the Simple Jumper of Vovk et al. 2021, arXiv:2102.10439).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel

JUMP: Final = 0.01
"""Share of each bet's stake that moves to the others at each step."""
_TILTS: Final = (-1.6, 1.6)
_POWERS: Final = (0.35, 0.65)
P_BETS: Final = 1 + len(_TILTS) + 2 * len(_POWERS)
_SHARES: Final = (0.1, 0.25, 0.5, 0.8)
_LEAST_P: Final = 1e-6
_MOST: Final = 1e12
"""What is found needs no more; and a float must not overflow."""


def p_bets(p: float) -> tuple[float, ...]:
    """Bets on a p-value, each a density on 0..1: none, a tilt either way, many small ones, many large ones."""
    low, high = min(max(p, _LEAST_P), 1.0), min(max(1 - p, _LEAST_P), 1.0)
    return (
        1.0,
        *(1 + tilt * (p - 0.5) for tilt in _TILTS),
        *(k * low ** (k - 1) for k in _POWERS),
        *(k * high ** (k - 1) for k in _POWERS),
    )


def mean_bets(x: float, most: float, *, lowest: float = 0.0) -> tuple[float, ...]:
    """Bets that x, which is never below `lowest`, is on average above `most` (Waudby-Smith and Ramdas 2024)."""
    room = most - lowest
    return (1.0, *(1 + share * (x - most) / room for share in _SHARES))


class Wager(BaseModel):
    """One test martingale. `stakes` are what is out, by bet; `n` are the steps so far, `top` the most it was ever."""

    stakes: list[float] = []
    n: int = 0
    top: float = 1.0

    @property
    def value(self) -> float:
        """The stake now, that which is not out yet included; it begins at 1."""
        return math.fsum(self.stakes) + _kept(self.n)

    def step(self, bets: Sequence[float]) -> float:
        """Play one round; `bets` are what each bet is multiplied by. Answers the stake after it."""
        self.n += 1
        fresh = (_kept(self.n - 1) - _kept(self.n)) / len(bets)
        out = [stake + fresh for stake in self.stakes or [0.0] * len(bets)]
        moved = JUMP * math.fsum(out) / len(bets)
        out = [((1 - JUMP) * stake + moved) * bet for stake, bet in zip(out, bets, strict=True)]
        if (total := math.fsum(out)) > _MOST:
            out = [stake * _MOST / total for stake in out]
        self.stakes = out
        value = self.value
        self.top = max(self.top, value)
        return value

    def shown(self, doubt: float) -> bool:
        """Whether the assumption was ever refuted, but for a probability of `doubt`."""
        return self.top >= 1 / doubt


def _kept(n: int) -> float:
    """The part of the stake that is not out after n steps: it shrinks as 1/log n, so slowly that late changes pay."""
    return math.log(2) / math.log(n + 2)


def rounds(doubt: float, number: int) -> float:
    """The doubt that the `number`-th try (from 1) may spend, so that all tries together spend no more than `doubt`."""
    return doubt / (number * (number + 1))
