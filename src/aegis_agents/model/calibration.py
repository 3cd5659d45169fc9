"""Turns logits into probabilities that can be believed, and doubt into "undetermined".

Temperature scaling: Guo et al. 2017, "On Calibration of Modern Neural Networks".
Abstention by a threshold: Chow 1970.
"""

from __future__ import annotations

import math
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
    """How logits become a verdict.

    `temperature` divides the logits. "undetermined" is said when its own probability reaches
    `undetermined_above`, and where harmlessness leads by less than `harmless_margin` in log-odds:
    calling an attack harmless costs more than one look in vain. benign_positive and
    false_positive count together against true_positive, since mistaking one of them for the
    other harms nobody.
    """

    temperature: float = Field(gt=0)
    undetermined_above: float = Field(ge=0, le=1)
    harmless_margin: float = Field(default=0.0, ge=0)
    fitted_on: str = ""

    def decide(self, logits: ArrayLike) -> Decided:
        """The verdict for logits in the order of VERDICTS; the four probabilities sum to 1."""
        scaled = np.asarray(logits, np.float64) / self.temperature
        p = np.exp(scaled - scaled.max())
        p /= p.sum()
        probabilities = {v: float(p[i]) for i, v in enumerate(VERDICTS)}
        attack, harmless = p[0], p[1] + p[2]
        if p[3] >= self.undetermined_above:
            return Decided("undetermined", probabilities)
        if attack >= harmless:
            return Decided("true_positive", probabilities)
        if harmless < attack * math.exp(self.harmless_margin):
            return Decided("undetermined", probabilities)
        return Decided("benign_positive" if p[1] >= p[2] else "false_positive", probabilities)
