"""How verdicts are counted, everywhere, and how sure a share is.

detection = attacks answered true_positive; rejection = non-attacks answered benign_positive
or false_positive; undetermined counts as a miss in both, and coverage stands beside them.
An alert that ended in an error said nothing: it is a miss in all three.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

HARMLESS = ("benign_positive", "false_positive")
ERROR = "error"
"""Said in place of a verdict where an alert could not be judged."""


class Share(NamedTuple):
    """k of n, with the 95 % Wilson interval (Wilson 1927)."""

    k: int
    n: int

    @classmethod
    def of(cls, hits: Iterable[bool]) -> Share:
        """How many of these are true."""
        found = list(hits)
        return cls(sum(found), len(found))

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound; (0, 1) for nothing."""
        if self.n == 0:
            return 0.0, 1.0
        z, p = 1.959964, self.k / self.n
        middle = (p + z * z / (2 * self.n)) / (1 + z * z / self.n)
        half = z * math.sqrt(p * (1 - p) / self.n + z * z / (4 * self.n**2)) / (1 + z * z / self.n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def to_json(self) -> dict[str, float | int | None]:
        """As numbers; a share of nothing is null."""
        low, high = self.interval
        share = round(self.k / self.n, 4) if self.n else None
        return {"share": share, "k": self.k, "n": self.n, "low": round(low, 4), "high": round(high, 4)}

    def __str__(self) -> str:
        if self.n == 0:
            return "none"
        low, high = self.interval
        return f"{self.k / self.n:.3f} ({self.k}/{self.n}, {low:.2f} to {high:.2f})"


class Mean(NamedTuple):
    """The mean of n shares, with a 95 % percentile bootstrap interval over them (Efron 1979; seeded)."""

    values: tuple[float, ...]

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound; (0, 1) for nothing."""
        if not self.values:
            return 0.0, 1.0
        draw = random.Random(0)
        means = sorted(statistics.fmean(draw.choices(self.values, k=len(self.values))) for _ in range(2000))
        return means[49], means[1949]

    def to_json(self) -> dict[str, float | int | None]:
        """As numbers; a mean of nothing is null."""
        low, high = self.interval
        mean = round(statistics.fmean(self.values), 4) if self.values else None
        return {"mean": mean, "n": len(self.values), "low": round(low, 4), "high": round(high, 4)}

    def __str__(self) -> str:
        if not self.values:
            return "none"
        low, high = self.interval
        return f"mean {statistics.fmean(self.values):.3f} (n {len(self.values)}, {low:.2f} to {high:.2f})"


class Answer(NamedTuple):
    """One alert: the truth, and what was said (a verdict, or ERROR)."""

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
    others = [a for a in found if a.truth in HARMLESS]
    rejected = [a for a in others if a.said in HARMLESS]
    return Counts(
        Share.of(a.said == "true_positive" for a in found if a.truth == "true_positive"),
        Share(len(rejected), len(others)),
        Share.of(a.said not in ("undetermined", ERROR) for a in found),
        Share.of(a.said == a.truth for a in rejected),
    )


def steps_apart(one: str, other: str, scale: Sequence[str]) -> int:
    """How far apart two values stand on an ordered scale."""
    return abs(scale.index(one) - scale.index(other))
