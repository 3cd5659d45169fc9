"""Palo Alto Networks: THREAT logs, with the field names of Cortex Data Lake or of syslog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, has, text, when

NAME = "paloalto_threat"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    vendor = alert.get("VendorName") or alert.get("vendor_name")
    if isinstance(vendor, str) and "palo alto" in vendor.lower():
        return 97
    if has(alert, "ThreatID", "FromZone", "ToZone", "SequenceNo", "Subtype", "LogType") >= 4:
        return 90
    return 80 if has(alert, "threatid", "from", "to", "seqno", "subtype", "vsys") >= 4 else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    return Head(
        native_id=text(alert, "SequenceNo", "seqno", "LogUniqueID"),
        title=text(alert, "ThreatName", "threat_name", "threatid"),
        observed_at=when(alert, "TimeGenerated", "time_generated", "receive_time"),
        severity=text(alert, "Severity", "VendorSeverity", "severity"),
        verdict=text(alert, "Action", "action"),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        (".threatname.", "product"),
        (".rule.", "organization"),
        (".fromzone.", "organization"),
        (".tozone.", "organization"),
        (".sourceusergroup.", "organization"),
        (".application.", "product"),
        (".sourceuser.", "product"),
        (".subtype.", "product"),
        (".logtype.", "product"),
        (".vendorname.", "product"),
        (".sourcedeviceprofile.", "product"),
        (".zoneroute.", "organization"),
    ),
    hints=(
        Hint(".rule.", None),
        Hint(".vendorname.", None),
        Hint(".devicesn.", None),
        Hint(".sourceuser.", "user", "actor"),
        Hint(".sourcedevicehost.", "host", "subject"),
        Hint(".url.", "domain", "peer"),
        Hint(".filename.", "file", "subject"),
        Hint(".dnsquerytypes.", None),
    ),
)
