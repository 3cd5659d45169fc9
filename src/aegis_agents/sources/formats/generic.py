"""Any JSON object: what it calls id, title and time is looked for under the names that products commonly use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aegis_agents.sources.format import Format, Head, get, techniques, text, when

NAME = "generic"

_ID: Final = (
    "alert_id", "alertId", "event_id", "eventId", "finding_id", "incident_id", "incidentId", "case_ref", "case_id",
    "uuid", "uid", "guid", "id", "_id", "Id", "ID", "reference", "ref", "number", "alert.id", "event.id", "data.id",
)  # fmt: skip
_TITLE: Final = (
    "title", "alert_title", "name", "alert_name", "rule_name", "ruleName", "rule.name", "rule", "signature", "subject",
    "summary", "event_name", "event_type", "eventType", "event", "message", "description", "category", "alert.title",
)  # fmt: skip
_TIME: Final = (
    "time", "timestamp", "@timestamp", "event_time", "eventTime", "occurred_at", "detected_at", "raised_at", "sent_at",
    "created_at", "createdAt", "created", "date", "ts", "start", "start_time", "first_seen", "event.time", "alert.time",
)  # fmt: skip


def detect(alert: Mapping[str, Any]) -> int:
    """1: it takes anything, after all others."""
    return 1


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title and time under common names, and the product's own claims."""
    return Head(
        native_id=text(alert, *_ID),
        title=text(alert, *_TITLE),
        observed_at=when(alert, *_TIME),
        severity=text(alert, "severity", "priority", "urgency", "level", "risk", "alert.severity"),
        confidence=text(alert, "confidence", "score", "risk_score"),
        verdict=text(alert, "verdict", "disposition", "classification"),
        techniques=techniques(
            get(alert, "techniques"),
            get(alert, "technique"),
            get(alert, "mitre"),
            get(alert, "attack"),
            get(alert, "tags"),
        ),
    )


FORMAT = Format(NAME, detect, head)
