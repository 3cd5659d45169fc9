"""Any JSON object: what it calls id, title and time is looked for under the names that products commonly use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from aegis_agents.sources.clock import parse_time
from aegis_agents.sources.format import Format, Head, get, techniques, text

NAME = "generic"
_TOGETHER: Final = re.compile(r"[^A-Za-z]+")

_ID: Final = (
    "alert_id", "alertId", "event_id", "eventId", "finding_id", "incident_id", "incidentId", "case_ref", "case_id",
    "uuid", "uid", "guid", "id", "_id", "Id", "ID", "reference", "ref", "number", "alert.id", "event.id", "data.id",
)  # fmt: skip
_TITLE: Final = (
    "title", "alert_title", "name", "alert_name", "rule_name", "ruleName", "rule.name", "rule", "signature", "subject",
    "summary", "event_name", "event_type", "eventType", "event", "message", "description", "category", "alert.title",
)  # fmt: skip
_TIME: Final = {
    name: rank
    for rank, name in enumerate(
        [
            "time",
            "timestamp",
            "eventtime",
            "timegenerated",
            "occurredat",
            "detectedat",
            "raisedat",
            "sentat",
            "published",
            "systemtime",
            "utctime",
            "messagetime",
            "clicktime",
            "threattime",
            "receivetime",
            "firstactivitydatetime",
            "firstactivitytimeutc",
            "starttimeutc",
            "firstobservedat",
            "createdat",
            "createddatetime",
            "createdtime",
            "createdtimeutc",
            "created",
            "updatedat",
            "date",
            "ts",
            "start",
            "starttime",
            "firstseen",
        ]
    )
}
"""What products call the time of what happened, spelled together in lower case; the first of these wins."""
_DEEPEST: Final = 3
_MOST_LOOKED_AT: Final = 2000


def detect(alert: Mapping[str, Any]) -> int:
    """1: it takes anything, after all others."""
    return 1


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title and time under common names, and the product's own claims."""
    return Head(
        native_id=text(alert, *_ID),
        title=text(alert, *_TITLE),
        observed_at=_observed_at(alert),
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


def _observed_at(alert: Mapping[str, Any]) -> datetime | None:
    """The time under the best name on the highest level that has one, whatever the order of the fields."""
    level: list[Mapping[str, Any]] = [alert]
    looked_at = 0
    for _ in range(_DEEPEST + 1):
        times, below = [], []
        for node in level:
            for key, value in node.items():
                looked_at += 1
                if looked_at > _MOST_LOOKED_AT:
                    return None
                if isinstance(value, Mapping):
                    below.append(value)
                elif (rank := _TIME.get(_TOGETHER.sub("", key).lower())) is not None and (found := parse_time(value)):
                    times.append((rank, found))
        if times:
            return min(times)[1]
        level = below
    return None


FORMAT = Format(NAME, detect, head)
