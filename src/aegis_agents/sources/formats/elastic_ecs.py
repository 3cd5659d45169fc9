"""Elastic Security: detection alerts in the Elastic Common Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, get, has, techniques, text, when

NAME = "elastic_ecs"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    if get(alert, "kibana.alert.uuid") is not None or get(alert, "kibana.alert.rule.name") is not None:
        return 98
    if has(alert, "signal.rule.name", "ecs.version") and "@timestamp" in alert:
        return 75
    return 60 if "@timestamp" in alert and has(alert, "event.kind", "event.category", "event.dataset") else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    rule = "kibana.alert.rule."
    return Head(
        native_id=text(alert, "kibana.alert.uuid", "signal.id", "_id", "event.id"),
        title=text(alert, rule + "name", "signal.rule.name", "rule.name", "event.action"),
        observed_at=when(alert, "kibana.alert.original_time", "@timestamp"),
        severity=text(alert, "kibana.alert.severity", "signal.rule.severity", "event.severity"),
        confidence=text(alert, "kibana.alert.risk_score", "event.risk_score"),
        verdict=text(alert, "kibana.alert.workflow_status"),
        techniques=techniques(
            get(alert, rule + "threat"), get(alert, "signal.rule.threat"), get(alert, "threat.technique")
        ),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        (".kibana.alert.", "product"),
        (".signal.rule.", "product"),
        (".event.kind.", "product"),
        (".event.category.", "product"),
        (".event.dataset.", "product"),
        (".event.action.", "product"),
        (".event.provider.", "product"),
        (".codesignature.status.", "product"),
        (".codesignature.trusted.", "product"),
        (".codesignature.exists.", "product"),
        (".dns.responsecode.", "product"),
        (".device.removable.", "external"),
        (".labels.useragent.", "external"),
        (".network.direction.", "product"),
    ),
    hints=(
        Hint(".kibana.alert.uuid.", None),
        Hint(".event.provider.", None),
        Hint(".sessionleader.", None),
        Hint(".kubernetes.pod.name.", "pod", "subject"),
    ),
)
