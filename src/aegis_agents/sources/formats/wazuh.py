"""Wazuh: alerts as its manager writes them (alerts.json)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, get, has, techniques, text, when

NAME = "wazuh"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    if (
        isinstance(alert.get("rule"), Mapping)
        and has(alert, "agent", "manager", "decoder", "full_log", "syscheck") >= 2
    ):
        return 95
    return 60 if get(alert, "rule.firedtimes") is not None else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    return Head(
        native_id=text(alert, "id", "_id"),
        title=text(alert, "rule.description"),
        observed_at=when(alert, "timestamp", "@timestamp"),
        severity=text(alert, "rule.level"),
        techniques=techniques(get(alert, "rule.mitre.id")),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        (".rule.", "product"),
        (".decoder.", "product"),
        (".location.", "product"),
        (".manager.", "product"),
        (".agent.", "product"),
        (".syscheck.mode.", "product"),
        (".syscheck.event.", "product"),
        (".syscheck.perm", "product"),
        (".syscheck.size", "product"),
        (".syscheck.audit.process.", "external"),
        (".fulllog.", "external"),
        (".data.srcuser.", "external"),
        (".data.dstuser.", "external"),
        (".previousoutput.", "external"),
    ),
    hints=(
        Hint(".decoder.", None),
        Hint(".manager.", None),
        Hint(".location.", None),
        Hint(".rule.", None),
        Hint(".predecoder.hostname.", "host", "subject"),
        Hint(".syscheck.audit.process.name.", "process", "actor"),
        Hint(".data.srcip.", "ip", "actor"),
    ),
)
