"""What has to be shown before a cell may do more alone, fixed beforehand."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, model_validator

from aegis_agents.gate.earned.cells import CELLS
from aegis_agents.records import Autonomy
from aegis_agents.records.base import Record

Earn = Literal["off", "act_undo", "act"]

THRESHOLDS: Final = (0.9, 0.8, 0.7)
"""Confidences at which a cell can show that it errs rarely. Few and fixed beforehand: each costs evidence."""

VOTES_A_DAY: Final = 20
"""Most campaigns of one cell and day that count in its favour: a flood can't be evidence, whatever it varies."""

FIRST_TRY: Final = 0.8
AGAIN: Final = 0.2
"""The first try gets this share of the doubt, each further one a fifth of the one before; together never more
than all of it. Without this, a cell that begins anew after each error would be let through some day."""


class EarnRule(Record):
    """The settings of earned autonomy; all take part in every promotion.

    earn             the highest level that reviews may unlock; "off" unlocks nothing, and reviews are kept
    earn_error       most wrong actions among those done for good ("act"), as a share of campaigns
    earn_error_undo  the same where each action lifts itself unless a person keeps it ("act_undo")
    earn_doubt       most probability that, under one version of the model, any cell is ever let through that
                     errs more than that
    blind_share      least share of votes by reviewers who did not see what Aegis thought
    review_days      days without a review after which a cell asks again until there is one

    Being wrong for hours costs less than being wrong until somebody notices: so act_undo bears twice the error.
    """

    earn: Earn = "off"
    earn_error: float = Field(default=0.01, ge=1e-6, le=0.05)
    earn_error_undo: float = Field(default=0.02, ge=1e-6, le=0.05)
    earn_doubt: float = Field(default=0.05, ge=1e-9, le=0.05)
    blind_share: float = Field(default=0.3, ge=0, le=1)
    review_days: float = Field(default=30.0, gt=0, le=3650)

    @model_validator(mode="after")
    def _in_order(self) -> EarnRule:
        if self.earn_error_undo < self.earn_error:
            raise ValueError("earn_error_undo: what lifts itself can't have to be surer than what stays (earn_error)")
        return self

    def error(self, level: Autonomy) -> float:
        """The share of wrong actions that this level bears."""
        return self.earn_error if level == "act" else self.earn_error_undo

    def doubt(self, attempt: int) -> float:
        """The probability of a false promotion that one cell at one threshold may spend on its n-th try, from 1.

        Bonferroni over all cells and thresholds. The two levels share it: act is only tried at the threshold
        at which act_undo was shown, so that one false promotion comes before the other.
        """
        return self.earn_doubt / (len(CELLS) * len(THRESHOLDS)) * FIRST_TRY * float(AGAIN ** (attempt - 1))
