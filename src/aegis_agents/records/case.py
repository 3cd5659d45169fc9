"""The Case: what Aegis answers for one incident."""

from __future__ import annotations

from typing import Any

from aegis_agents.records.action import ActionReport
from aegis_agents.records.base import Record
from aegis_agents.records.incident import Incident
from aegis_agents.records.judgement import Evidence, Severity, Verdict


class Case(Record):
    """The answer to one alert.

    `confidence` is the calibrated probability of `verdict`, 0..1. `timing_ms` is
    the wall time of the whole decision in milliseconds. `copies` is how many alerts it stands for:
    more than one where the inbox folded copies into it. `to_dict()` is the JSON that CLI and HTTP answer.
    """

    incident_id: str
    source: str
    native_id: str
    title: str
    verdict: Verdict
    confidence: float
    severity: Severity
    techniques: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    actions: tuple[ActionReport, ...]
    summary: str
    probabilities: dict[Verdict, float]
    versions: dict[str, str]
    notes: tuple[str, ...] = ()
    timing_ms: float = 0.0
    copies: int = 1
    incident: Incident | None = None

    def to_dict(self) -> dict[str, Any]:
        """The case as JSON-safe values, without the incident's own facts."""
        return self.model_dump(mode="json", exclude={"incident"})

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """How notebooks show it: HTML, and text where there is none."""
        from aegis_agents import display

        case = self.to_dict()
        incident = self.incident.model_dump(mode="json") if self.incident else None
        return {"text/html": display.notebook(display.case_html(case, incident)), "text/plain": display.case_text(case)}
