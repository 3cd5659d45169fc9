"""Proofpoint TAP: message and click events of the SIEM API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, has, text, when

NAME = "proofpoint_tap"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    kinds = ("messagesDelivered", "messagesBlocked", "clicksPermitted", "clicksBlocked")
    if alert.get("eventType") in kinds:
        return 97
    return 85 if has(alert, "threatsInfoMap", "phishScore", "impostorScore", "GUID", "clickIP") >= 2 else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    click = has(alert, "clickTime", "clickIP") > 0
    return Head(
        native_id=text(alert, *(("id", "GUID") if click else ("GUID", "QID", "id"))),
        title=text(alert, "subject", "url"),
        observed_at=when(alert, "clickTime", "messageTime", "threatTime"),
        confidence=text(alert, "phishScore"),
        verdict=text(alert, "classification", "threatsInfoMap.0.classification"),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        (".headers.", "external"),
        (".threatsinfomap.threat.", "external"),
        (".messageparts.", "external"),
        (".threatsinfomap.", "product"),
        (".senderip.", "product"),
        (".clickip.", "product"),
        (".sender.", "external"),
        (".headerfrom.", "external"),
        (".headerreplyto.", "external"),
        (".recipient.", "product"),
        (".ccaddresses.", "external"),
        (".policyroutes.", "organization"),
        (".modulesrun.", "product"),
        (".quarantinefolder.", "product"),
        (".threaturl.", "product"),
        (".completelyrewritten.", "product"),
        (".eventtype.", "product"),
    ),
    hints=(
        Hint(".guid.", "message", "subject"),
        Hint(".messageid.", "message", "subject"),
        Hint(".recipient.", "email", "subject"),
        Hint(".ccaddresses.", "email", "observed"),
        Hint(".headerreplyto.", "email", "actor"),
        Hint(".clickip.", "ip", "subject"),
        Hint(".senderip.", "ip", "actor"),
        Hint(".filename.", "file", "subject"),
        Hint(".threatid.", None),
        Hint(".modulesrun.", None),
        Hint(".xmailer.", None),
    ),
)
