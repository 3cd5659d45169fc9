"""AWS CloudTrail: records, bare or in the alert of a detection pipeline (event, alertContext)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, get, has, text, when

NAME = "cloudtrail"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    record = alert if "eventSource" in alert else alert.get("event")
    if isinstance(record, Mapping) and has(record, "eventSource", "eventName", "awsRegion", "userIdentity") >= 3:
        return 94
    return 60 if alert.get("logType") == "AWS.CloudTrail" else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    record = alert if "eventSource" in alert else get(alert, "event")
    return Head(
        native_id=text(alert, "alertId", "id") or text(record, "eventID"),
        title=text(alert, "title") or text(record, "eventName"),
        observed_at=when(record, "eventTime"),
        severity=text(alert, "severity"),
        verdict=text(record, "errorCode"),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        (".useragent.", "external"),
        (".requestparameters.", "external"),
        (".responseelements.", "external"),
        (".useridentity.arn.", "external"),
        (".rolesessionname.", "external"),
        (".useridentity.", "product"),
        (".eventname.", "product"),
        (".eventsource.", "product"),
        ("^.title.", "product"),
        (".ruleid.", "product"),
    ),
    hints=(
        Hint(".eventsource.", None),
        Hint(".eventsources.", None),
        Hint(".invokedby.", None),
        Hint(".excludemanagementeventsources.", None),
        Hint("^.title.", None),
        Hint(".useridentity.principalid.", None),
        Hint(".alertcontext.accountname.", None),
        Hint(".sessionissuer.username.", "user", "actor"),
        Hint(".ruleid.", None),
        Hint(".requestparameters.name.", "resource", "subject"),
    ),
)
