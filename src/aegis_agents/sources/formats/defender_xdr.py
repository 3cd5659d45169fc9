"""Microsoft Defender XDR: alerts of the Microsoft Graph security API (alerts_v2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, get, techniques, text, when

NAME = "defender_xdr"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    if "detectionSource" in alert and "serviceSource" in alert:
        return 95
    evidence = get(alert, "evidence.0.@odata.type")
    return 90 if isinstance(evidence, str) and "graph.security" in evidence else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    return Head(
        native_id=text(alert, "id", "providerAlertId"),
        title=text(alert, "title"),
        observed_at=when(alert, "firstActivityDateTime", "createdDateTime", "lastUpdateDateTime"),
        severity=text(alert, "severity"),
        verdict=text(alert, "determination", "classification"),
        techniques=techniques(get(alert, "mitreTechniques")),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        ("^.title.", "product"),
        ("^.servicesource.", "product"),
        (".category.", "product"),
        (".threatfamilyname.", "product"),
        (".odatatype.", "product"),
        (".authenticationdetail.", "product"),
        (".useraccount.displayname.", "external"),
        (".additionaldata.operation.", "product"),
    ),
    hints=(
        Hint(".evidence.displayname.", None),
        Hint(".incidentid.", None),
    ),
)
