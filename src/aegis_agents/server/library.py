"""What the routes ask of the library, in the form that the API answers."""

from __future__ import annotations

from typing import Any

from aegis_agents.aegis import Aegis
from aegis_agents.agents.journal_view import approvers
from aegis_agents.ledger import JournalRow
from aegis_agents.records import CATALOGUE, Case, FactEvidence, Incident, Principal
from aegis_agents.server.answers import digest_of
from aegis_agents.server.people import sender

MOST_CITES = 20


def action_item(aegis: Aegis, row: JournalRow) -> dict[str, Any]:
    """An action as an approver needs it: what, at what, why, on which evidence, and whether there is a way back."""
    case = aegis.store.case(row.incident_id)
    incident = case.incident if case else None
    if incident is None:
        taken_in = aegis.store.intake(row.incident_id)
        incident = taken_in.incident if taken_in else None
    spec, report = CATALOGUE[row.proposal.action], row.report()
    return {
        "action_id": row.action_id, "incident_id": row.incident_id, "action": row.proposal.action,
        "target": row.target.model_dump(), "outcome": report.outcome, "reason": row.proposal.reason,
        "rule": row.decision.rule, "why_waiting": row.decision.reason, "effect": spec.effect,
        "reversible": spec.reversible, "undo": spec.undo,
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
        "approvals": list(approvers(aegis.store, row)), "asked_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(), "by": report.by, "detail": row.detail,
        "title": incident.title if incident else "", "verdict": case.verdict if case else None,
        "confidence": case.confidence if case else None, "cites": cites(row, case, incident),
    }  # fmt: skip


def cites(row: JournalRow, case: Case | None, incident: Incident | None) -> list[dict[str, str]]:
    """What a proposal cites, with its text: facts of the incident and passages of intelligence."""
    texts = {fact.id: f"{fact.path}: {fact.value}" for fact in (incident.facts if incident else ())}
    for evidence in case.evidence if case else ():
        said = f"{evidence.path}: {evidence.value}" if isinstance(evidence, FactEvidence) else evidence.title
        texts.setdefault(evidence.id, said)
    found = [{"id": cite, "text": texts[cite]} for cite in row.proposal.cites if cite in texts]
    return found[:MOST_CITES]


def conversation(who: Principal, thread: str | None) -> str | None:
    """The name of somebody's conversation: whoever else takes the same word has another one."""
    return None if thread is None else digest_of(sender(who), thread)
