"""Turns logits into probabilities that can be believed, and doubt into "undetermined".

Temperature scaling: Guo et al. 2017, "On Calibration of Modern Neural Networks".
Abstention by a threshold: Chow 1970. Unequal costs: Elkan 2001. Thresholds that hold an
error rate with a finite-sample guarantee: Angelopoulos et al. 2021, "Learn then Test".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from aegis_agents.errors import InputError
from aegis_agents.records.base import Record
from aegis_agents.records.judgement import VERDICTS, Verdict

UNFITTED = "not yet"
"""What `fitted_on` says of weights whose calibration was cut off: they may neither ship nor be promoted."""


class Decided(NamedTuple):
    """A verdict and the probabilities behind it."""

    verdict: Verdict
    probabilities: dict[Verdict, float]


class Bound(NamedTuple):
    """Least shares at which an answer was shown to be wrong at most this often; None where none could be shown.

    `attack` is over alerts called attacks, `harmless` over those called harmless, whose facts settle which they are. The
    share is that of the side among the decided, p(attack) against p(benign) + p(false). Temperature and thresholds were fitted
    on the same families, three numbers that the bound does not account for.
    """

    tolerated: float
    attack: float | None
    harmless: float | None


class Calibration(Record):
    """How logits become a verdict.

    `temperature` divides the logits. "undetermined" is said when its own probability reaches
    `undetermined_above`. A missed attack costs `missed_attack_cost` times a false alarm, so
    that an attack is said as soon as its odds times that reach one. benign_positive and
    false_positive count together against true_positive, since mistaking one of them for the
    other harms nobody. `bounds` hold with probability `bounds_confidence` over the draw of the
    `bounds_families` families that they were measured on.
    """

    temperature: float = Field(gt=0)
    undetermined_above: float = Field(ge=0, le=1)
    missed_attack_cost: float = Field(default=1.0, gt=0)
    bounds: tuple[Bound, ...] = ()
    bounds_confidence: float = 0.9
    bounds_families: int = 0
    fitted_on: str = ""

    def bound(self, tolerated: float) -> Bound:
        """The loosest bound that is no looser than `tolerated`. Raises InputError if none is that strict."""
        found = [b for b in self.bounds if b.tolerated <= tolerated]
        if not found:
            known = ", ".join(f"{b.tolerated:g}" for b in self.bounds) or "none"
            raise InputError(
                f"no bound as strict as {tolerated:g} was measured", field="tolerated_error", fix=f"use one of: {known}"
            )
        return max(found, key=lambda b: b.tolerated)

    def decide(self, logits: ArrayLike, bound: Bound | None = None) -> Decided:
        """The verdict for logits in the order of VERDICTS; the four probabilities sum to 1.

        With a `bound`, what does not reach it is undetermined.
        """
        scaled = np.asarray(logits, np.float64) / self.temperature
        p = np.exp(scaled - scaled.max())
        p /= p.sum()
        probabilities = {v: float(p[i]) for i, v in enumerate(VERDICTS)}
        attack, harmless = p[0], p[1] + p[2]
        if p[3] >= self.undetermined_above:
            return Decided("undetermined", probabilities)
        is_attack = attack * self.missed_attack_cost >= harmless
        if bound is not None:
            least = bound.attack if is_attack else bound.harmless
            share = (attack if is_attack else harmless) / max(attack + harmless, 1e-12)
            if least is None or share < least:
                return Decided("undetermined", probabilities)
        if is_attack:
            return Decided("true_positive", probabilities)
        return Decided("benign_positive" if p[1] >= p[2] else "false_positive", probabilities)
