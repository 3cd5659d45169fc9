"""The shapes of what the server answers: plain dicts, typed for those who check types."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

Verdict = Literal["true_positive", "benign_positive", "false_positive", "undetermined"]


class Target(TypedDict):
    """What an action aims at: an entity of the incident."""

    kind: str
    value: str


class Action(TypedDict):
    """An action as the case shows it; `outcome` is "executed", "awaiting_approval", "refused" ..."""

    action_id: str
    action: str
    target: Target
    outcome: str
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
    severity: Literal["informational", "low", "medium", "high", "critical"]
    techniques: list[str]
    evidence: list[dict[str, Any]]
    actions: list[Action]
    summary: str
    probabilities: dict[Verdict, float]
    versions: dict[str, str]
    notes: list[str]
    timing_ms: float


class Case(_CaseAlways, total=False):
    """The answer to one alert, the same JSON as `case.to_dict()` and `aegis investigate --json`.

    `confidence` and `probabilities` are 0 to 1. `incident` (facts, entities) is there where it was asked for.
    """

    incident: dict[str, Any]


class CaseRow(TypedDict):
    """One case of the queue; `waiting` counts its actions that wait for a person."""

    incident_id: str
    title: str
    source: str
    verdict: Verdict
    confidence: float
    severity: str
    at: str
    waiting: int


class Cases(TypedDict):
    """A page of the queue, the newest first; `next` is the cursor of the next one."""

    items: list[CaseRow]
    next: str | None


class _ApprovalAlways(TypedDict):
    action_id: str
    incident_id: str
    action: str
    target: Target
    reason: str
    rule: str
    why_waiting: str
    reversible: bool


class Approval(_ApprovalAlways, total=False):
    """An action that waits for a person: what, why, on which evidence, and whether there is a way back."""

    undo: str | None
    asked_at: str
    expires_at: str | None
    approvals: list[str]
    title: str
    verdict: Verdict
    confidence: float
    cites: list[dict[str, Any]]


class Approvals(TypedDict):
    """What waits for a person, oldest first."""

    items: list[Approval]


class LedgerPage(TypedDict):
    """Ledger entries in their order; `next` is what to give as `after` for the following ones."""

    items: list[dict[str, Any]]
    next: int | None


class Verification(TypedDict, total=False):
    """Whether the ledger is whole: entries counted, the head's hash, and what is wrong with it."""

    ok: bool
    entries: int
    head: str
    detail: str


class Answer(TypedDict, total=False):
    """The assistant's answer: sentences with the ids that they rest on, and actions it proposes (never does)."""

    text: str
    sentences: list[dict[str, Any]]
    cites: list[dict[str, Any]]
    proposals: list[dict[str, Any]]
    model: str
    timing_ms: float
