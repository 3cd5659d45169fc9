"""CrowdStrike Falcon: alerts of the Alerts API (v2), and detection summaries before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, get, has, techniques, text, when

NAME = "crowdstrike"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    if "composite_id" in alert and ("aggregate_id" in alert or "cmdline" in alert or "product" in alert):
        return 95
    return 70 if has(alert, "composite_id", "pattern_disposition", "falcon_host_link", "behaviors.0.behavior_id") else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    return Head(
        native_id=text(alert, "composite_id", "detection_id", "id"),
        title=text(alert, "display_name", "name", "scenario"),
        observed_at=when(alert, "timestamp", "context_timestamp", "created_timestamp", "first_behavior"),
        severity=text(alert, "severity_name", "max_severity_displayname", "severity"),
        confidence=text(alert, "confidence", "max_confidence"),
        techniques=techniques(get(alert, "technique_id"), get(alert, "mitre_attack")),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        ("^.displayname.", "product"),
        ("^.name.", "product"),
        (".tactic.", "product"),
        (".technique.", "product"),
        (".sensornotes.", "product"),
        (".patterndispositiondescription.", "product"),
        (".driver.signature.", "product"),
        (".device.osversion.", "product"),
        (".device.system", "product"),
    ),
    hints=(
        Hint(".compositeid.", None),
        Hint(".aggregateid.", None),
        Hint(".parentdetails.filename.", "file", "observed"),
        Hint(".grandparentdetails.filename.", "file", "observed"),
    ),
)
