"""How verdicts are counted, everywhere, and how sure a share is.

detection = attacks answered true_positive; rejection = non-attacks answered benign_positive
or false_positive; undetermined counts as a miss in both, and coverage stands beside them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

HARMLESS = ("benign_positive", "false_positive")


class Share(NamedTuple):
    """k of n, with the 95 % Wilson interval (Wilson 1927)."""

    k: int
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound; (0, 1) for nothing."""
        if self.n == 0:
            return 0.0, 1.0
        z, p = 1.959964, self.k / self.n
        middle = (p + z * z / (2 * self.n)) / (1 + z * z / self.n)
        half = z * math.sqrt(p * (1 - p) / self.n + z * z / (4 * self.n**2)) / (1 + z * z / self.n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        if self.n == 0:
            return "none"
        low, high = self.interval
        return f"{self.k / self.n:.3f} ({self.k}/{self.n}, {low:.2f} to {high:.2f})"


class Answer(NamedTuple):
    """One judged alert: the truth and what was said."""

    truth: str
    said: str


class Counts(NamedTuple):
    """The four shares."""

    detection: Share
    rejection: Share
    coverage: Share
    kind: Share
    """Of rejected non-attacks, those whose benign/false split is right too."""


def count(answers: Iterable[Answer]) -> Counts:
    """Count answers; alerts whose truth is undetermined count for coverage alone."""
    found = list(answers)
    attacks = [a for a in found if a.truth == "true_positive"]
    others = [a for a in found if a.truth in HARMLESS]
    rejected = [a for a in others if a.said in HARMLESS]
    return Counts(
        Share(sum(a.said == "true_positive" for a in attacks), len(attacks)),
        Share(len(rejected), len(others)),
        Share(sum(a.said != "undetermined" for a in found), len(found)),
        Share(sum(a.said == a.truth for a in rejected), len(rejected)),
    )
