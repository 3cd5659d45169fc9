"""What goes in and out, as OpenAPI describes it; answers whose shape a record has are described by that record."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from aegis_agents.ledger import LedgerEntry
from aegis_agents.records import Case, Outcome, Passage, Severity, Target, Verdict
from aegis_agents.reviewing import AutonomyRow

FinalVerdict = Literal["true_positive", "benign_positive", "false_positive"]
MOST_REASON = 2_000


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReasonGiven(_Given):
    """Why; may be left out."""

    reason: str = Field(default="", max_length=MOST_REASON)


class VerdictGiven(_Given):
    """What an incident really was."""

    verdict: FinalVerdict


class TargetGiven(_Given):
    """Another entity of the same incident."""

    kind: str = Field(min_length=1, max_length=40, examples=["host"])
    value: str = Field(min_length=1, max_length=8_000, examples=["wks-042"])
    reason: str = Field(default="", max_length=MOST_REASON)


class WishGiven(_Given):
    """An action that a person wishes, on an entity of the incident."""

    action: str = Field(min_length=1, max_length=80, examples=["isolate_host"])
    kind: str = Field(min_length=1, max_length=40, examples=["host"])
    value: str = Field(min_length=1, max_length=8_000, examples=["wks-042"])
    reason: str = Field(default="", max_length=500)


class QuestionGiven(_Given):
    """A question in plain language; about one incident, if it is named."""

    question: str = Field(min_length=1, max_length=2_000, examples=["why was this closed?"])
    incident_id: str | None = Field(default=None, max_length=300)
    thread: str | None = Field(
        default=None, min_length=1, max_length=100, description="Questions with the same one are a conversation; each person has their own."
    )  # fmt: skip


class CaseAnswer(Case):
    """The case; `incident` (facts, entities) only where it was asked for."""


class HandedOverAnswer(BaseModel):
    """An alert that waits for a worker; `copies` alerts are one incident with it."""

    incident_id: str
    copies: int
    state: Literal["waiting"]


class QueueItem(BaseModel):
    """An incident in the queue; not decided yet, it has no verdict."""

    incident_id: str
    title: str
    source: str
    verdict: Verdict | None
    confidence: float | None
    severity: Severity | None
    at: datetime
    waiting: int


class QueueAnswer(BaseModel):
    """A page of the queue; `next` is the `cursor` of the next one."""

    items: list[QueueItem]
    next: str | None


class Cite(BaseModel):
    """Something cited, with its text, which anybody may have written."""

    id: str
    text: str


class ActionItem(BaseModel):
    """An action, with what a person needs to answer it."""

    action_id: str
    incident_id: str
    action: str
    target: Target
    outcome: Outcome
    reason: str
    rule: str
    why_waiting: str
    effect: str
    reversible: bool
    undo: str | None
    expires_at: datetime | None
    approvals: list[str]
    asked_at: datetime
    updated_at: datetime
    by: str | None
    detail: str
    title: str
    verdict: Verdict | None
    confidence: float | None
    cites: list[Cite]


class ActionItems(BaseModel):
    """Actions that wait, oldest first; `total` counts those beyond `limit` too."""

    items: list[ActionItem]
    total: int


class Confirmed(BaseModel):
    """What was remembered."""

    incident_id: str
    verdict: FinalVerdict


class LedgerPage(BaseModel):
    """Entries in order; `next` is the `after` of the next page."""

    items: list[LedgerEntry]
    next: int | None


class Verified(BaseModel):
    """Whether the ledger is whole; if not, `error` names the first entry that does not fit."""

    intact: bool
    error: str | None = None
    entries: int | None = None
    head: str | None = None
    origin: str | None = None
    checkpoints: int | None = None
    signed: int | None = None
    removed: int | None = None
    keys: list[str] | None = None


class AutonomyAnswer(BaseModel):
    """The matrix in force, and where each cell stands on the way to more."""

    mode: Literal["live", "shadow"]
    ceiling: str
    earn: str
    cells: list[AutonomyRow]
    standings: list[dict[str, Any]]


class TimerItem(BaseModel):
    """An action that lifts itself at `expires_at`."""

    action_id: str
    incident_id: str
    action: str
    target: Target
    expires_at: datetime | None


class Timers(BaseModel):
    """What will lift itself, the next first."""

    items: list[TimerItem]


class FeedItem(BaseModel):
    """A feed, and when it last worked."""

    name: str
    documents: int
    last_good: datetime | None
    last_tried: datetime | None
    last_error: str
    failures: int


class IntelStatus(BaseModel):
    """The intelligence in use."""

    snapshot: str
    corpora: dict[str, dict[str, int]]
    feeds: list[FeedItem]


class Passages(BaseModel):
    """What was found, best first."""

    items: list[Passage]


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok", "starting", "stopping"]
    version: str
