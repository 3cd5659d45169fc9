"""A waiting action as an approver needs it: what, why, on which evidence, what it would touch, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from aegis_agents.aegis import Aegis
from aegis_agents.agents.journal_view import ENDORSED, approvers
from aegis_agents.ledger import JournalRow
from aegis_agents.records import CATALOGUE, Case, FactEvidence, Incident, Principal

MOST_EVIDENCE: Final = 12
MOST_TARGETS: Final = 200
_COUNTED: Final = {
    "hour": "actions", "tier": "on assets of this tier", "blast_radius": "targets touched", "hosts": "hosts",
    "accounts": "accounts", "addresses": "addresses", "closings": "alerts closed", "records": "records",
}  # fmt: skip


class Cases:
    """Cases and incidents, each read once for a page."""

    def __init__(self, aegis: Aegis) -> None:
        self._aegis = aegis
        self._read: dict[str, tuple[Case | None, Incident | None]] = {}
        self._yes: dict[str, list[dict[str, Any]]] = {}

    def of(self, incident_id: str) -> tuple[Case | None, Incident | None]:
        """The case of an incident, and the incident itself; None for what is not there (yet, or any more)."""
        if incident_id not in self._read:
            case = self._aegis.store.case(incident_id)
            incident = case.incident if case else None
            if incident is None:
                taken_in = self._aegis.store.intake(incident_id)
                incident = taken_in.incident if taken_in else None
            self._read[incident_id] = (case, incident)
        return self._read[incident_id]

    def said_yes(self, row: JournalRow) -> list[dict[str, Any]]:
        """Who said yes to an action before the last one, when and why; only what still counts."""
        if row.incident_id not in self._yes:
            entries = self._aegis.store.entries(incident_id=row.incident_id, kind=ENDORSED, limit=1_000)
            self._yes[row.incident_id] = [{**entry.body, "at": entry.at} for entry in entries if entry.body]
        said = [body for body in self._yes[row.incident_id] if body.get("action_id") == row.action_id]
        if not said:
            return []
        counted = set(approvers(self._aegis.store, row))
        first = {body["person"]: body for body in reversed(said) if body["person"] in counted}
        return [
            {"person": b["person"], "by": b["by"], "at": datetime.fromisoformat(b["at"]), "reason": b.get("reason", "")}
            for b in sorted(first.values(), key=lambda b: str(b["at"]))
        ]


def card(row: JournalRow, cases: Cases, who: Principal) -> dict[str, Any]:
    """All that a card of the inbox shows."""
    case, incident = cases.of(row.incident_id)
    spec, inputs = CATALOGUE[row.proposal.action], row.decision.inputs
    yes = cases.said_yes(row)
    tier = str(inputs.get("asset.tier") or "unknown")
    return {
        "row": row, "id": row.action_id, "action": row.proposal.action, "target": row.target, "spec": spec,
        "why": row.proposal.reason, "waits": row.decision.reason, "rule": row.decision.rule,
        "title": incident.title if incident else "", "source": incident.source if incident else "",
        "verdict": case.verdict if case else inputs.get("verdict"),
        "confidence": case.confidence if case else inputs.get("confidence"),
        "severity": case.severity if case else str(inputs.get("severity", "")),
        "evidence": evidence(row, case, incident), "tier": tier, "groups": str(inputs.get("asset.groups") or "").split(),
        "signs": str(inputs.get("asset.signs") or ""), "spent": spent(row),
        "targets": other_targets(row, incident), "yes": yes, "needed": int(inputs.get("approvals_needed") or 1),
        "mine": who.person in {said["person"] for said in yes}, "dangerous": is_dangerous(row),
    }  # fmt: skip


def is_dangerous(row: JournalRow) -> bool:
    """Whether it is asked twice: what can't be given back, and what touches a protected asset."""
    return row.effect == "destroy" or row.decision.inputs.get("asset.tier") == "protected"


def evidence(row: JournalRow, case: Case | None, incident: Incident | None) -> list[dict[str, Any]]:
    """What the proposal cites: facts with the weight they had, and passages; each really there."""
    weights = {e.id: e.weight for e in (case.evidence if case else ()) if isinstance(e, FactEvidence)}
    facts = {fact.id: fact for fact in (incident.facts if incident else ())}
    passages = {e.id: e for e in (case.evidence if case else ()) if not isinstance(e, FactEvidence)}
    found: list[dict[str, Any]] = []
    for cite in row.proposal.cites[:MOST_EVIDENCE]:
        if (fact := facts.get(cite)) is not None:
            told = {"name": fact.path, "text": fact.value, "weight": weights.get(cite), "trust": fact.trust}
            found.append({"id": cite, "kind": "fact"} | told)
        elif (passage := passages.get(cite)) is not None:
            told = {"name": passage.source, "text": passage.title, "weight": None, "trust": None}
            found.append({"id": cite, "kind": "passage"} | told)
    return found


def other_targets(row: JournalRow, incident: Incident | None) -> list[Any]:
    """The incident's other entities that this action can aim at."""
    takes = CATALOGUE[row.proposal.action].targets
    here = (row.target.kind, row.target.value)
    fitting = [e for e in (incident.entities if incident else ()) if e.kind in takes and (e.kind, e.value) != here]
    return fitting[:MOST_TARGETS]


def spent(row: JournalRow) -> list[tuple[str, int, int]]:
    """What of the hour's budgets was spent when it was decided: what is counted, so many, its limit."""
    inputs = row.decision.inputs
    found = []
    for key, said in _COUNTED.items():
        done, limit = inputs.get(f"budget.{key}"), inputs.get(f"budget.{key}.limit")
        if isinstance(done, int) and isinstance(limit, int):
            found.append((said, done, limit))
    return found


def steps(row: JournalRow) -> list[tuple[str, str, str]]:
    """The gate's steps: name, the most that it allowed, and its rule."""
    inputs = row.decision.inputs
    return [
        (name, str(inputs[name]), str(inputs[f"{name}.rule"]))
        for name in inputs
        if f"{name}.rule" in inputs and inputs[name] in ("execute", "ask", "recommend", "refuse")
    ]


def shared(group: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The evidence of one incident's cards together: what weighs most first, each once."""
    found = {e["id"]: e for c in group for e in c["evidence"] if e["weight"] is not None or e["kind"] == "passage"}
    return sorted(found.values() or group[0]["evidence"], key=lambda e: -abs(e["weight"] or 0.0))
