"""Okta: events of the System Log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, has, text, when

NAME = "okta"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    if (
        isinstance(alert.get("eventType"), str)
        and has(alert, "published", "displayMessage", "debugContext", "actor") >= 3
    ):
        return 95
    return 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    return Head(
        native_id=text(alert, "uuid"),
        title=text(alert, "displayMessage", "eventType"),
        observed_at=when(alert, "published"),
        severity=text(alert, "severity"),
        confidence=text(alert, "debugContext.debugData.risk"),
        verdict=text(alert, "outcome.result"),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        (".rawuseragent.", "external"),
        (".useragent.", "external"),
        ("^.displaymessage.", "product"),
        (".outcome.", "product"),
        (".calendar.", "organization"),
        (".zone.", "organization"),
        (".debugdata.requesturi.", "external"),
        (".debugdata.url.", "external"),
        (".debugdata.", "product"),
        (".actor.displayname.", "external"),
        (".actor.", "product"),
        (".target.displayname.", "organization"),
        (".target.", "product"),
        (".securitycontext.", "product"),
        (".client.", "product"),
        (".authenticationcontext.", "product"),
    ),
    hints=(
        Hint(".actor.id.", None),
        Hint(".actor.type.", None),
        Hint(".actor.displayname.", None),
        Hint(".actor.alternateid.", "user", "subject"),
        Hint(".target.alternateid.", "user", "subject"),
        Hint(".target.", None),
        Hint(".client.device.", None),
        Hint(".client.ipaddress.", "ip", "actor"),
        Hint(".debugdata.device.", None),
    ),
)
