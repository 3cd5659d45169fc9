"""GitHub: audit log entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, has, text, when

NAME = "github_audit"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    action = alert.get("action")
    if (
        isinstance(action, str)
        and "." in action
        and has(alert, "actor", "org", "repo", "_document_id", "created_at", "business") >= 3
    ):
        return 95
    return 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    return Head(
        native_id=text(alert, "_document_id", "document_id", "request_id"),
        title=text(alert, "action"),
        observed_at=when(alert, "@timestamp", "created_at"),
        severity=text(alert, "severity_label"),
        verdict=text(alert, "validity", "resolution"),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        (".comment.", "external"),
        (".actor.", "product"),
        (".org.", "product"),
        (".repo.", "product"),
        (".action.", "product"),
        (".visibility.", "product"),
        (".validity.", "product"),
        (".location.", "external"),
        (".labels.", "external"),
        (".severitylabel.", "product"),
        (".secrettypedisplayname.", "product"),
        (".secrettype.", "product"),
        (".operationtype.", "product"),
        (".commitauthor.", "external"),
        (".workflow", "external"),
        (".branch", "external"),
    ),
    hints=(
        Hint(".documentid.", None),
        Hint(".action.", None),
        Hint(".secrettype", None),
        Hint(".org.", None),
        Hint(".location.path.", "file", "observed"),
        Hint(".repo.", "repository", "subject"),
        Hint(".commitauthor.", "user", "observed"),
    ),
)
