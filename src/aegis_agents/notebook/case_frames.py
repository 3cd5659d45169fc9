"""Cases, their evidence and actions, incidents and the ledger as DataFrames."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aegis_agents.notebook.framing import COUNT, FLAG, NUMBER, TEXT, TIME, frame
from aegis_agents.records import VERDICTS, ActionReport, Case, Incident

if TYPE_CHECKING:
    import pandas as pd

    from aegis_agents.ledger import JournalRow, LedgerEntry

CASES: Mapping[str, str] = {
    "incident_id": TEXT, "source": TEXT, "native_id": TEXT, "title": TEXT, "observed_at": TIME, "verdict": TEXT,
    "confidence": NUMBER, "severity": TEXT, "techniques": TEXT, "waiting": COUNT, "done": COUNT,
    **{f"p_{verdict}": NUMBER for verdict in VERDICTS}, "facts": COUNT, "timing_ms": NUMBER, "model": TEXT,
    "intel": TEXT, "summary": TEXT,
}  # fmt: skip
"""Columns of `cases`."""

EVIDENCE: Mapping[str, str] = {
    "incident_id": TEXT, "kind": TEXT, "id": TEXT, "path": TEXT, "value": TEXT, "weight": NUMBER, "written_by": TEXT,
    "source": TEXT, "title": TEXT, "score": NUMBER, "feed": TEXT, "trust": NUMBER, "tlp": TEXT, "snapshot": TEXT,
}  # fmt: skip
"""Columns of `evidence`."""

ACTIONS: Mapping[str, str] = {
    "action_id": TEXT, "incident_id": TEXT, "action": TEXT, "kind": TEXT, "target": TEXT, "outcome": TEXT, "rule": TEXT,
    "reason": TEXT, "reversible": FLAG, "by": TEXT, "detail": TEXT, "decided_at": TIME, "updated_at": TIME,
    "expires_at": TIME,
}  # fmt: skip
"""Columns of `actions`."""

FACTS: Mapping[str, str] = {
    "incident_id": TEXT, "id": TEXT, "path": TEXT, "value": TEXT, "written_by": TEXT, "derived": FLAG, "inputs": TEXT,
}  # fmt: skip
"""Columns of `facts`."""

ENTITIES: Mapping[str, str] = {"incident_id": TEXT, "kind": TEXT, "value": TEXT, "role": TEXT, "facts": TEXT}
"""Columns of `entities`."""

LEDGER: Mapping[str, str] = {
    "seq": COUNT, "at": TIME, "kind": TEXT, "incident_id": TEXT, "action_id": TEXT, "by": TEXT, "removed": FLAG,
    "body": TEXT, "hash": TEXT, "prev": TEXT,
}  # fmt: skip
"""Columns of `ledger`."""


def cases(found: Iterable[Case]) -> pd.DataFrame:
    """Cases, one row each, in their order.

    Columns: CASES. `confidence` and p_… are 0 to 1; `techniques` are ids with spaces between; `waiting` counts the
    actions that wait for a person, `done` those in effect.
    """
    return frame((case_row(case) for case in found), CASES)


def case_row(case: Case) -> dict[str, Any]:
    """A case as a row of `cases`."""
    outcomes = [action.outcome for action in case.actions]
    row = case.model_dump(include={"incident_id", "source", "native_id", "title", "verdict", "confidence", "severity", "timing_ms", "summary"})  # fmt: skip
    row |= {f"p_{verdict}": share for verdict, share in case.probabilities.items()}
    row |= {"techniques": " ".join(case.techniques), "waiting": outcomes.count("awaiting_approval")}
    row |= {"done": outcomes.count("executed"), "model": case.versions.get("model"), "intel": case.versions.get("intel")}  # fmt: skip
    if case.incident is not None:
        row |= {"observed_at": case.incident.observed_at, "facts": len(case.incident.facts)}
    return row


def evidence(found: Case | Iterable[Case]) -> pd.DataFrame:
    """What decided a case, or several, one row for each fact and passage.

    Columns: EVIDENCE. A fact has path, value, weight (-1 to 1, above 0 towards attack) and `written_by` (external:
    anybody could have written it); a passage has source, title, score, feed, trust, TLP and snapshot.
    """
    rows = []
    for case in _each(found):
        for item in case.evidence:
            row = item.model_dump() | {"incident_id": case.incident_id}
            if item.kind == "fact":
                row["written_by"] = row.pop("trust")
            rows.append(row)
    return frame(rows, EVIDENCE)


def actions(found: Case | Iterable[Case] | Iterable[JournalRow]) -> pd.DataFrame:
    """Actions of cases, or rows of the journal (`aegis.pending()`, `aegis.timers()`), one row each.

    Columns: ACTIONS. `outcome` is as in the public contract; times are there for rows of the journal alone.
    """
    rows: list[dict[str, Any]] = []
    for item in _each(found):
        if isinstance(item, Case):
            rows += [_action(report, item.incident_id) for report in item.actions]
        else:
            times = {"decided_at": item.created_at, "updated_at": item.updated_at, "expires_at": item.expires_at}
            rows.append(_action(item.report(), item.incident_id) | times)
    return frame(rows, ACTIONS)


def facts(incident: Incident) -> pd.DataFrame:
    """Every fact of an incident. Columns: FACTS; `inputs` are ids with spaces between."""
    rows = (f.model_dump() | {"incident_id": incident.id, "written_by": f.trust, "inputs": " ".join(f.inputs)} for f in incident.facts)  # fmt: skip
    return frame(rows, FACTS)


def entities(incident: Incident) -> pd.DataFrame:
    """Every entity of an incident. Columns: ENTITIES; `facts` are the ids that name it, with spaces between."""
    rows = (e.model_dump() | {"incident_id": incident.id, "facts": " ".join(e.facts)} for e in incident.entities)
    return frame(rows, ENTITIES)


def ledger(entries: Iterable[LedgerEntry]) -> pd.DataFrame:
    """Entries of the ledger (`aegis.store.entries()`), one row each, in their order.

    Columns: LEDGER. `body` is JSON text, missing where retention removed it (`removed`); `by` and `action_id` are
    taken out of it.
    """
    rows = []
    for entry in entries:
        body = entry.body or {}
        proposal = body.get("proposal")
        action = body.get("action_id") or (proposal.get("action_id") if isinstance(proposal, dict) else None)
        row = entry.model_dump(include={"seq", "at", "kind", "incident_id", "hash", "prev"})
        row |= {"removed": entry.body is None, "body": None if entry.body is None else json.dumps(entry.body, ensure_ascii=False)}  # fmt: skip
        by = body.get("by")
        rows.append(row | {"action_id": action, "by": by if isinstance(by, str) else None})
    return frame(rows, LEDGER)


def _action(report: ActionReport, incident_id: str) -> dict[str, Any]:
    target = {"kind": report.target.kind, "target": report.target.value}
    return report.model_dump(exclude={"target"}) | target | {"incident_id": incident_id}


def _each(found: Any) -> Iterable[Any]:
    return (found,) if isinstance(found, Case) else found
