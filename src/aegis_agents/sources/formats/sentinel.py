"""Microsoft Sentinel: incidents as its automation rules and playbooks send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, get, has, techniques, text, when

NAME = "sentinel"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    if get(alert, "object.properties.incidentNumber") is not None or alert.get("objectSchemaType") == "Incident":
        return 95
    return 85 if has(alert, "properties.incidentNumber", "properties.relatedAnalyticRuleIds") else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    root = alert if get(alert, "object") is None else get(alert, "object")
    techs = techniques(get(root, "properties.additionalData.techniques"), get(root, "properties.techniques"))
    return Head(
        native_id=text(root, "name", "id"),
        title=text(root, "properties.title"),
        observed_at=when(root, "properties.firstActivityTimeUtc", "properties.createdTimeUtc"),
        severity=text(root, "properties.severity"),
        verdict=text(root, "properties.classification"),
        techniques=techs,
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        (".customdetails.comment", "external"),
        (".object.properties.title.", "product"),
        (".kind.", "product"),
        (".workspacename.", "organization"),
        (".alertproductnames.", "product"),
        (".object.name.", "product"),
        (".relatedentities.properties.accountname.", "product"),
        (".relatedentities.properties.upnsuffix.", "product"),
    ),
    hints=(
        Hint(".workspacename.", None),
        Hint(".object.name.", None),
    ),
)
