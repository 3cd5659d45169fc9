"""Splunk Enterprise Security: notable events and findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, get, has, techniques, text, when

NAME = "splunk_es"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    event_id = alert.get("event_id")
    if isinstance(event_id, str) and "@@notable@@" in event_id:
        return 97
    if has(alert, "search_name", "security_domain", "urgency", "rule_title", "rule_name", "notable_type") >= 3:
        return 90
    return 60 if has(alert, "search_name", "orig_sid", "_time", "orig_time", "risk_object") >= 3 else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    return Head(
        native_id=text(alert, "event_id", "finding_id", "event_hash"),
        title=text(alert, "rule_title", "rule_name", "search_name"),
        observed_at=when(alert, "_time", "orig_time", "info_search_time", "time"),
        severity=text(alert, "urgency", "severity"),
        confidence=text(alert, "risk_score"),
        verdict=text(alert, "disposition_label"),
        techniques=techniques(
            get(alert, "annotations"), get(alert, "annotations.mitre_attack"), get(alert, "mitre_technique_id")
        ),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        (".searchname.", "product"),
        (".ruletitle.", "product"),
        (".rulename.", "product"),
        (".ruledescription.", "product"),
        (".securitydomain.", "product"),
        (".user.", "product"),
        (".src.", "product"),
        (".dest.", "external"),
        (".usercategory.", "organization"),
        (".userenddate.", "organization"),
        (".country.", "product"),
        (".auth.", "product"),
        (".device.", "product"),
        (".devicecompliance.", "product"),
        (".annotations.", "product"),
        (".raw.", "external"),
    ),
    hints=(
        Hint(".owner.", None),
        Hint(".eventid.", None),
        Hint(".urlcategory.", None),
    ),
)
