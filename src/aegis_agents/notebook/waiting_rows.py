"""What waits for a person, in the shape of `GET /v1/approvals`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aegis_agents.records import CATALOGUE, Case

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis
    from aegis_agents.ledger import JournalRow

MOST_SHOWN = 50
"""What a panel or a magic shows of them at once."""


def approval_rows(aegis: Aegis, waiting: Sequence[JournalRow] | None = None) -> list[dict[str, Any]]:
    """The actions that wait (or these of them), oldest first, each with what a person needs to decide."""
    from aegis_agents.agents.journal_view import approvers

    cases: dict[str, Case | None] = {}
    made = []
    for row in aegis.pending() if waiting is None else waiting:
        if row.incident_id not in cases:  # several actions of one incident read its case once
            cases[row.incident_id] = aegis.store.case(row.incident_id)
        made.append(_row(row, cases[row.incident_id], approvers(aegis.store, row)))
    return made


def _row(row: JournalRow, case: Case | None, said_yes: tuple[str, ...]) -> dict[str, Any]:
    facts = {f.id: f for f in case.incident.facts} if case and case.incident else {}
    spec = CATALOGUE[row.proposal.action]
    return {
        "action_id": row.action_id, "incident_id": row.incident_id, "action": row.proposal.action,
        "target": row.target.model_dump(), "reason": row.proposal.reason, "rule": row.decision.rule,
        "why_waiting": row.decision.reason, "reversible": spec.reversible, "undo": spec.undo,
        "asked_at": row.created_at.isoformat(), "approvals": [{"by": name} for name in said_yes],
        "title": case.title if case else "", "verdict": case.verdict if case else "undetermined",
        "confidence": case.confidence if case else 0.0,
        "cites": [{"id": c, "text": f"{facts[c].path} = {facts[c].value}"} for c in row.proposal.cites if c in facts],
    }  # fmt: skip
