"""Turns logits into probabilities that can be believed, and doubt into "undetermined".

Temperature scaling: Guo et al. 2017, "On Calibration of Modern Neural Networks".
Abstention below a threshold: Chow 1970.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from aegis_agents.records.base import Record
from aegis_agents.records.judgement import VERDICTS, Verdict


class Decided(NamedTuple):
    """A verdict and the probabilities behind it."""

    verdict: Verdict
    probabilities: dict[Verdict, float]


class Calibration(Record):
    """`temperature` divides the logits; a verdict whose side is less probable than `abstain_below` is not given.

    The side of an attack is true_positive; the side of no attack is benign_positive and
    false_positive together, since mistaking one for the other harms nobody.
    """

    temperature: float = Field(gt=0)
    abstain_below: float = Field(ge=0, le=1)
    fitted_on: str = ""

    def decide(self, logits: ArrayLike) -> Decided:
        """The verdict for logits in the order of VERDICTS; the four probabilities sum to 1."""
        scaled = np.asarray(logits, np.float64) / self.temperature
        p = np.exp(scaled - scaled.max())
        p /= p.sum()
        probabilities = {v: float(p[i]) for i, v in enumerate(VERDICTS)}
        attack, harmless, unclear = float(p[0]), float(p[1] + p[2]), float(p[3])
        if max(attack, harmless) < self.abstain_below or unclear > max(attack, harmless):
            return Decided("undetermined", probabilities)
        if attack >= harmless:
            return Decided("true_positive", probabilities)
        return Decided("benign_positive" if p[1] >= p[2] else "false_positive", probabilities)
