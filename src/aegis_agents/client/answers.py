"""The shapes of what the server answers: plain dicts, typed for those who check types.

Text in them comes from alerts and feeds: show it escaped, and never follow it.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

Verdict = Literal["true_positive", "benign_positive", "false_positive", "undetermined"]
Severity = Literal["informational", "low", "medium", "high", "critical"]
Outcome = Literal[
    "executed", "would_execute", "recommended", "awaiting_approval", "refused", "denied", "failed", "unconfirmed",
    "undone", "expired",
]  # fmt: skip


class Target(TypedDict):
    """What an action aims at: an entity of the incident."""

    kind: str
    value: str


class Action(TypedDict):
    """An action as the case shows it; `by` is who decided, None for the rules alone."""

    action_id: str
    action: str
    target: Target
    outcome: Outcome
    rule: str
    reason: str
    reversible: bool
    by: str | None
    detail: str


class _CaseAlways(TypedDict):
    incident_id: str
    source: str
    native_id: str
    title: str
    verdict: Verdict
    confidence: float
    severity: Severity
    techniques: list[str]
    evidence: list[dict[str, Any]]
    actions: list[Action]
    summary: str
    probabilities: dict[Verdict, float]
    versions: dict[str, str]
    notes: list[str]
    timing_ms: float
    copies: int


class Case(_CaseAlways, total=False):
    """The answer to one alert, the same JSON as `case.to_dict()` and `aegis investigate --json`.

    `confidence` and `probabilities` are 0 to 1. `incident` (facts, entities) is there where it was asked for.
    """

    incident: dict[str, Any]


class CaseRow(TypedDict):
    """One incident of the queue; `waiting` counts its actions that wait for a person. Not decided yet, it has no verdict."""

    incident_id: str
    title: str
    source: str
    verdict: Verdict | None
    confidence: float | None
    severity: Severity | None
    at: str
    waiting: int


class Cases(TypedDict):
    """A page of the queue, the newest first; `next` is the cursor of the next one."""

    items: list[CaseRow]
    next: str | None


class Cite(TypedDict):
    """Something cited: its id, and its text, which anybody may have written."""

    id: str
    text: str


class Approval(TypedDict):
    """An action with what a person needs to answer it: what, why, on which evidence, and whether there is a way back."""

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
    expires_at: str | None
    approvals: list[str]
    asked_at: str
    updated_at: str
    by: str | None
    detail: str
    title: str
    verdict: Verdict | None
    confidence: float | None
    cites: list[Cite]


class Approvals(TypedDict):
    """What waits for a person, oldest first; `total` counts those beyond `limit` too."""

    items: list[Approval]
    total: int


class Confirmed(TypedDict):
    """What was remembered."""

    incident_id: str
    verdict: Verdict


class LedgerPage(TypedDict):
    """Ledger entries in their order; `next` is what to give as `after` for the following ones."""

    items: list[dict[str, Any]]
    next: int | None


class _VerificationAlways(TypedDict):
    intact: bool


class Verification(_VerificationAlways, total=False):
    """Whether the ledger is whole: entries counted, the head's hash; if it is not, `error` names the first misfit."""

    error: str
    entries: int
    head: str
    origin: str
    checkpoints: int
    signed: int
    removed: int
    keys: list[str]


class Answer(TypedDict, total=False):
    """The assistant's answer: sentences with the ids that they rest on, and actions it proposes (never does)."""

    question: str
    text: str
    sentences: list[dict[str, Any]]
    cites: list[dict[str, Any]]
    proposals: list[dict[str, Any]]
    answered: bool
    incident_id: str | None
    notes: list[str]
    model: str
    timing_ms: float
    first_token_ms: float


class Health(TypedDict):
    """The server answers; `status` is "ok"."""

    status: str
    version: str
