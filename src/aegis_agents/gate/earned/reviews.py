"""What the ledger holds of reviews: what was put before people, and what they said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final, Literal, Protocol

from pydantic import AwareDatetime, Field

from aegis_agents.gate.earned.campaigns import Vote
from aegis_agents.records.base import Record

SEED: Final = "review.seed"
OFFERED: Final = "review.offered"
GIVEN: Final = "review.given"
PROMOTED: Final = "autonomy.promoted"
DEMOTED: Final = "autonomy.demoted"
KINDS: Final = (SEED, OFFERED, GIVEN, PROMOTED, DEMOTED)
"""The kinds of ledger entry that earned autonomy is computed from. None of them may ever be removed."""

Answer = Literal["right", "wrong", "unclear"]
"""right: it would have been right to act; wrong: it would not; unclear: the facts don't say, which counts as an
error in the bound (such a decision is not one to make alone) and demotes nothing."""

AnswerSource = Literal["review", "undo", "confirm"]

MOST_NOTE: Final = 2_000
"""Characters of a reviewer's note."""


class Entry(Protocol):
    """A ledger entry, as far as it is read here; a body that was removed is None."""

    @property
    def seq(self) -> int: ...
    @property
    def at(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def body(self) -> Mapping[str, Any] | None: ...


class Reviewed(Record):
    """The decision that a review is about.

    `acts_at` is the highest threshold at which it would have been carried out alone; `under` the promotion
    that it was carried out under, None where a person was asked or nothing was done.
    """

    action_id: str
    incident_id: str
    cell: str
    model: str
    policy: str
    confidence: float
    acts_at: float = Field(ge=0, le=1)
    links: tuple[str, ...]
    decided_at: AwareDatetime
    under: int | None = None

    @property
    def day(self) -> str:
        """The day of the decision, UTC."""
        return self.decided_at.astimezone(UTC).date().isoformat()


class Offer(Reviewed):
    """A decision that was put before reviewers, blind or not; `to` is the person who asked for the next one."""

    blind: bool
    to: str
    principal: dict[str, str]


class Review(Reviewed):
    """What somebody said of a decision.

    `offered` says that Aegis chose it; what people choose themselves can show an error and nothing else. `generated` marks what did not really happen. `principal` is who said it, as ledger entries record
    people, `person` how people are told apart.
    """

    answer: Answer
    verdict: str | None = None
    source: AnswerSource = "review"
    offered: bool = False
    blind: bool = False
    generated: bool = False
    person: str
    principal: dict[str, str]
    note: str = ""

    def is_about(self, offer: Offer | None) -> bool:
        """Whether it is the answer to this offer and to nothing else."""
        return offer is not None and all(
            getattr(self, name) == getattr(offer, name) for name in (*Reviewed.model_fields, "blind") if name != "under"
        )

    @property
    def counts(self) -> bool:
        """Whether it may speak in favour."""
        return self.offered and not self.generated and self.source == "review" and self.person != "aegis"

    def vote(self, seq: int) -> Vote:
        """The review as it is counted."""
        return Vote(seq, self.links, self.acts_at, self.answer != "right", self.counts, self.blind, self.day)
