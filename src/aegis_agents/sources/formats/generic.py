"""Any JSON object: what it calls id, title and time is looked for under the names that products commonly use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from aegis_agents.sources.clock import parse_time
from aegis_agents.sources.format import Format, Head, get, techniques, text

NAME = "generic"
_TOGETHER: Final = re.compile(r"[@_ -]+")

_ID: Final = (
    "alert_id", "alertId", "event_id", "eventId", "finding_id", "incident_id", "incidentId", "case_ref", "case_id",
    "uuid", "uid", "guid", "id", "_id", "Id", "ID", "reference", "ref", "number", "alert.id", "event.id", "data.id",
)  # fmt: skip
_EVENT_ID: Final = frozenset({"event_id", "eventId", "event.id"})
_KIND_DIGITS: Final = 5
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
            "detectiontime",
            "raisedat",
            "sentat",
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
            "published",
        ]
    )
}
"""What products call the time of what happened, spelled together in lower case; the first of these wins."""
_WEAK_TIME: Final = {
    name: len(_TIME) + rank
    for rank, name in enumerate(["created", "date", "ts", "start", "starttime", "firstseen", "updatedat"])
}
"""What may as well be the time of something else; believed on the top level alone."""
_ANY_TIME: Final = _TIME | _WEAK_TIME
_AROUND: Final = frozenset(
    ["alert", "detection", "event", "finding", "incident", "properties", "system", "timecreated"]
)
"""Objects that are about what happened. Others hold records, requests and people, whose times are their own."""


def detect(alert: Mapping[str, Any]) -> int:
    """1: it takes anything, after all others."""
    return 1


def _is_of_its_kind(name: str, value: str) -> bool:
    """Whether an "event id" is that of a kind of event, as Windows has them (4625): alerts that share it are not one."""
    return name in _EVENT_ID and value.isdecimal() and len(value) <= _KIND_DIGITS


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title and time under common names, and the product's own claims."""
    return Head(
        native_id=next(
            (found for name in _ID if (found := text(alert, name)) and not _is_of_its_kind(name, found)), None
        ),
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
    names = _ANY_TIME
    while level:
        times: list[tuple[int, datetime]] = []
        below: list[Mapping[str, Any]] = []
        for node in level:
            for key, value in node.items():
                around, _, leaf = _TOGETHER.sub("", key).lower().rpartition(".")
                if isinstance(value, Mapping):
                    if leaf in _AROUND:
                        below.append(value)
                elif leaf in names and all(part in _AROUND for part in around.split(".") if part):
                    found = parse_time(value)
                    if found is not None:
                        times.append((names[leaf], found))
        if times:
            return min(times)[1]
        level, names = below, _TIME
    return None


FORMAT = Format(NAME, detect, head)
