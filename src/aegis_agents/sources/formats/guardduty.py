"""Amazon GuardDuty: findings, as its API or EventBridge give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, get, text, when

NAME = "guardduty"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    if get(alert, "service.serviceName") == "guardduty":
        return 97
    arn = alert.get("arn") or alert.get("Arn")
    return 95 if isinstance(arn, str) and ":guardduty:" in arn else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    return Head(
        native_id=text(alert, "id", "Id"),
        title=text(alert, "title", "Title", "type", "Type"),
        observed_at=when(alert, "service.eventLastSeen", "updatedAt", "createdAt", "CreatedAt"),
        severity=text(alert, "severity", "Severity"),
        confidence=text(alert, "confidence"),
        verdict=text(alert, "service.userFeedback"),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        ("^.title.", "product"),
        ("^.description.", "product"),
        (".servicename.", "product"),
        (".useragent.", "external"),
        (".requesturi.", "external"),
        (".domain.", "external"),
        (".kubernetesuserdetails.", "product"),
        (".tags.", "organization"),
        (".additionalinfo.", "external"),
        (".callertype.", "product"),
        (".api.", "product"),
        (".verb.", "product"),
        (".organization.", "product"),
        (".resource.", "product"),
    ),
    hints=(
        Hint("^.description.", None),
        Hint("^.title.", None),
        Hint(".service.servicename.", None),
        Hint(".awsapicallaction.servicename.", None),
        Hint(".instancedetails.instanceid.", "host", "subject"),
        Hint(".eksclusterdetails.name.", "resource", "subject"),
        Hint(".kubernetesworkloaddetails.name.", "pod", "subject"),
        Hint(".accesskeydetails.username.", "user", "actor"),
        Hint(".kubernetesuserdetails.username.", "user", "actor"),
        Hint(".groups.", None),
    ),
)
