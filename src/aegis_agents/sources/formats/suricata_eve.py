"""Suricata: EVE JSON alert records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, get, has, techniques, text, when

NAME = "suricata_eve"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    if alert.get("event_type") == "alert" and has(alert, "alert.signature_id", "alert.signature", "flow_id"):
        return 97
    return 75 if has(alert, "flow_id", "event_type", "in_iface", "src_ip", "app_proto") >= 4 else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    return Head(
        native_id=text(alert, "flow_id"),  # the signature is what thousands of alerts share
        title=text(alert, "alert.signature"),
        observed_at=when(alert, "timestamp"),
        severity=text(alert, "alert.severity"),
        verdict=text(alert, "alert.action"),
        techniques=techniques(get(alert, "alert.metadata")),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        (".netinfo.", "organization"),
        (".hostnameinfo.", "organization"),
        (".alert.", "product"),
        (".http.status.", "product"),
        (".http.", "external"),
        (".tls.ja3", "product"),
        (".tls.", "external"),
        (".fileinfo.sha256.", "product"),
        (".fileinfo.magic.", "product"),
        (".fileinfo.state.", "product"),
        (".fileinfo.", "external"),
        (".dns.", "external"),
        (".smtp.", "external"),
        (".appproto.", "product"),
        ("^.host.", "product"),
        (".iniface.", "product"),
        (".payload", "external"),
    ),
    hints=(
        Hint(".alert.", None),
        Hint(".flowbits.", None),
        Hint(".netinfo.", None),
        Hint(".iniface.", None),
        Hint(".tls.ja3", None),
        Hint(".tls.subject.", None),
        Hint(".tls.issuerdn.", None),
        Hint(".fileinfo.magic.", None),
        Hint(".hostnameinfo.host.", "host", "subject"),
        Hint("^.host.", None),
    ),
)
