"""SentinelOne: threats of the Management API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, get, has, techniques, text, when

NAME = "sentinelone"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    return 95 if "threatInfo" in alert and has(alert, "agentRealtimeInfo", "agentDetectionInfo") else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    return Head(
        native_id=text(alert, "id", "threatInfo.threatId"),
        title=text(alert, "threatInfo.threatName", "threatInfo.classification"),
        observed_at=when(alert, "threatInfo.identifiedAt", "threatInfo.createdAt"),
        confidence=text(alert, "threatInfo.confidenceLevel"),
        verdict=text(alert, "threatInfo.analystVerdict"),
        techniques=techniques(get(alert, "indicators"), get(alert, "threatInfo.mitreTechniques")),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        (".threatinfo.threatname.", "external"),
        (".threatinfo.publishername.", "external"),
        (".originatorprocess.", "external"),
        (".indicators.description.", "product"),
        (".indicators.category.", "product"),
        (".sitename.", "organization"),
        (".groupname.", "organization"),
        (".networkstatus.", "product"),
    ),
    hints=(Hint(".agentdetectioninfo.externalip.", "ip", "observed"),),
)
