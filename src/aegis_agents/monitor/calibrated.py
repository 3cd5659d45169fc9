"""Calibration over time: whether what is said with 0.9 is right nine times in ten, on the cases that people reviewed.

The test bets that confidence lies above what was right by more than is borne; its stake is fair or worse as long as it
does not, whatever the confidences are (e-values for forecasts: Arnold, Henzi and Ziegel 2023, doi:10.1080/07350015.2022.2096618, in
the bounded-mean form of Waudby-Smith and Ramdas 2024, arXiv:2010.09686). Beside it stands the expected calibration error
(Naeini et al. 2015) by month, with a bootstrap interval and with what a perfectly calibrated model would show on as few.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from pydantic import BaseModel

from aegis_agents.monitor.wager import Wager, mean_bets, rounds

BINS: Final = 10
LEAST: Final = 30
"""Reviewed campaigns below which a month's error is not told: it would be noise."""
_DRAWS: Final = 400


class Month(BaseModel):
    """Reviewed campaigns of a month by confidence: how many, the sum of confidence, how many were right."""

    counts: list[int] = [0] * BINS
    sure: list[float] = [0.0] * BINS
    right: list[int] = [0] * BINS

    def add(self, confidence: float, right: bool) -> None:
        """One more."""
        place = min(BINS - 1, int(confidence * BINS))
        self.counts[place] += 1
        self.sure[place] += confidence
        self.right[place] += right

    @property
    def n(self) -> int:
        """How many."""
        return sum(self.counts)


class Error(BaseModel):
    """The expected calibration error with its 95 % interval; `chance` is what perfect calibration would show."""

    n: int
    error: float | None = None
    low: float | None = None
    high: float | None = None
    chance: float | None = None


def error_of(month: Month) -> Error:
    """The error of a month; only `n` where there are too few."""
    if month.n < LEAST:
        return Error(n=month.n)
    counts = np.array(month.counts)
    sure = np.divide(month.sure, counts, out=np.zeros(BINS), where=counts > 0)
    share = np.divide(month.right, counts, out=np.zeros(BINS), where=counts > 0)
    draw = np.random.default_rng(0)
    drawn = draw.multinomial(month.n, counts / month.n, _DRAWS)
    again = np.divide(draw.binomial(drawn, share), drawn, out=np.zeros(drawn.shape), where=drawn > 0)
    perfect = np.divide(draw.binomial(counts, sure, (_DRAWS, BINS)), counts, out=np.zeros((_DRAWS, BINS)), where=counts > 0)  # fmt: skip
    spread = (np.abs(again - sure) * drawn).sum(axis=1) / month.n
    chance = float(((np.abs(perfect - sure) * counts).sum(axis=1) / month.n).mean())
    error = float((np.abs(share - sure) * counts).sum() / month.n)
    low, high = np.quantile(spread, (0.025, 0.975))
    return Error(n=month.n, error=error, low=float(low), high=float(high), chance=chance)


class Calibrated(BaseModel):
    """Calibration under one version of the model."""

    tries: int = 1
    wager: Wager = Wager()
    months: dict[str, Month] = {}
    sure: float = 0.0
    right: int = 0

    def add(self, confidence: float, right: bool, month: str, most: float) -> None:
        """One more reviewed campaign; `most` is how far confidence may lie above what is right."""
        self.months.setdefault(month, Month()).add(confidence, right)
        self.sure, self.right = self.sure + confidence, self.right + right
        self.wager.step(mean_bets(confidence - right, most, lowest=-1.0))

    @property
    def n(self) -> int:
        """Reviewed campaigns in this try."""
        return self.wager.n

    def doubt(self, whole: float) -> float:
        """What may be spent of the doubt in this try."""
        return rounds(whole, self.tries)

    def found(self, whole: float) -> bool:
        """Whether confidence was shown to be too high."""
        return self.wager.shown(self.doubt(whole))

    def again(self) -> Calibrated:
        """Begin anew; months stay."""
        return Calibrated(tries=self.tries + 1, months=self.months)
