"""Falco: rule output as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, get, has, techniques, text, when

NAME = "falco"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    if isinstance(alert.get("output_fields"), Mapping) and has(alert, "rule", "priority", "output") >= 2:
        return 97
    return 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    tags = get(alert, "tags")
    return Head(
        native_id=text(alert, "uuid"),
        title=text(alert, "rule"),
        observed_at=when(alert, "time", "output_fields.evt.time"),
        severity=text(alert, "priority"),
        techniques=techniques(tags),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        ("^.rule.", "product"),
        ("^.priority.", "product"),
        ("^.tags.", "product"),
        ("^.output.", "external"),
        (".ka.auth", "product"),
        (".ka.user.name.", "product"),
        (".ka.user.groups.", "organization"),
        (".ka.useragent.", "external"),
        (".ka.sourceips.", "product"),
        (".ka.target.", "product"),
        (".outputfields.user.name.", "product"),
        ("^.hostname.", "product"),
        ("^.source.", "product"),
    ),
    hints=(
        Hint("^.rule.", None),
        Hint("^.tags.", None),
        Hint("^.source.", None),
        Hint(".k8s.pod.name.", "pod", "subject"),
        Hint(".ka.target.name.", "pod", "subject"),
        Hint(".ka.target.namespace.", None),
        Hint(".ka.user.groups.", None),
        Hint(".ka.user.name.", "user", "actor"),
        Hint(".k8s.ns.name.", None),
        Hint(".fd.sip.", "ip", "peer"),
        Hint(".fd.cip.", "ip", "actor"),
        Hint(".proc.pname.", None),
        Hint(".proc.aname", None),
    ),
)
