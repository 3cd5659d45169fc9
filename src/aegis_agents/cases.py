"""Puts a Case together from what the graph found and what the journal says was done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aegis_agents.ledger import JournalRow
from aegis_agents.records import Assessment, Case, Conclusion, Incident


def build_case(
    state: Mapping[str, Any], rows: Sequence[JournalRow], versions: Mapping[str, str], elapsed_ms: float
) -> Case:
    """The case of a finished run of the graph."""
    incident: Incident = state["incident"]
    assessment: Assessment = state["assessment"]
    conclusion: Conclusion = state["conclusion"]
    return Case(
        incident_id=incident.id,
        source=incident.source,
        native_id=incident.native_id,
        title=incident.title,
        verdict=conclusion.verdict,
        confidence=conclusion.confidence,
        severity=conclusion.severity,
        techniques=conclusion.techniques,
        evidence=conclusion.evidence,
        actions=tuple(row.report() for row in rows),
        summary=conclusion.summary,
        probabilities=assessment.probabilities,
        versions=dict(versions),
        notes=(*incident.notes, *state.get("notes", ())),
        timing_ms=round(elapsed_ms, 2),
        incident=incident,
    )


def shadow_id(incident_id: str, versions: Mapping[str, str]) -> str:
    """A shadow run's own id: it never takes the place of the live case, and new versions decide anew."""
    pins = json.dumps(dict(versions), sort_keys=True)
    return f"{incident_id}-shadow-{hashlib.sha256(pins.encode()).hexdigest()[:8]}"
