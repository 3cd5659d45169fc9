"""Where a cell stands, and the promotion that its evidence bears out."""

from __future__ import annotations

from aegis_agents.records import Autonomy
from aegis_agents.records.base import Record


class Standing(Record):
    """Where a cell stands: what was shown, and what is missing until the next level.

    `bound` is the upper end of the confidence sequence for the error rate at `threshold`; `missing` how many
    more campaigns without an error would show enough; `missing_blind` how many of the votes must be blind
    still; `open` how many decisions were put before reviewers and not answered. `next` None: no more can be earned.
    """

    cell: str
    model: str
    level: Autonomy
    next: Autonomy | None
    threshold: float
    campaigns: int
    errors: int
    blind: int
    bound: float
    missing: int
    missing_blind: int
    open: int
    held_back: int
    attempt: int
    evidence: int | None
    asleep: bool
    doubted: int | None


class Promotion(Record):
    """A promotion that the evidence bears out: the body of its ledger entry. `evidence` are the reviews that counted."""

    cell: str
    model: str
    level: Autonomy
    was: Autonomy
    threshold: float
    campaigns: int
    errors: int
    blind: int
    bound: float
    log_evalue: float
    rate: float
    doubt: float
    attempt: int
    evidence: tuple[int, ...]
