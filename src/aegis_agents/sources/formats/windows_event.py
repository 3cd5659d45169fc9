"""Windows and Sysmon events: as XML turned into JSON (Event, System, EventData), or flat as log shippers send them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, get, has, techniques, text, when

NAME = "windows_event"

_SYSMON = MappingProxyType({
    "1": "process creation", "2": "file creation time changed", "3": "network connection", "5": "process terminated",
    "6": "driver loaded", "7": "image loaded", "8": "remote thread created", "9": "raw disk read",
    "10": "process accessed", "11": "file created", "12": "registry object added or deleted",
    "13": "registry value set", "14": "registry object renamed", "15": "file stream created", "17": "pipe created",
    "18": "pipe connected", "19": "WMI filter", "20": "WMI consumer", "21": "WMI binding", "22": "DNS query",
    "23": "file deleted", "25": "process tampering",
})  # fmt: skip
_SECURITY = MappingProxyType({
    "1102": "audit log cleared", "4624": "logon", "4625": "failed logon", "4648": "logon with explicit credentials",
    "4656": "handle requested", "4662": "directory object accessed", "4663": "object accessed",
    "4672": "special privileges assigned", "4688": "process creation", "4697": "service installed",
    "4698": "scheduled task created", "4701": "scheduled task disabled", "4720": "account created",
    "4728": "member added to group", "4768": "Kerberos ticket requested", "4769": "Kerberos service ticket requested",
    "4771": "Kerberos pre-authentication failed", "5140": "share accessed", "5145": "share object checked",
    "5156": "connection permitted",
})  # fmt: skip


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    event = alert.get("Event")
    if isinstance(event, Mapping) and get(event, "System.EventID") is not None:
        return 97
    if has(alert, "System.EventID", "System.Channel") == 2:
        return 95
    if "EventID" in alert and has(alert, "Channel", "Computer", "Hostname", "SourceName", "ProviderGuid", "Provider"):
        return 90
    return 85 if has(alert, "winlog.event_id", "winlog.channel") == 2 and get(alert, "kibana") is None else 0


def _event_id(event: Any) -> str:
    found = get(event, "System.EventID")
    found = get(event, "EventID") if found is None else found
    if isinstance(found, Mapping):
        found = found.get("#text", found.get("Value"))
    return str(found) if isinstance(found, int | str) else ""


def head(alert: Mapping[str, Any]) -> Head:
    """Id (channel, computer and record number), a name for the event, and its time."""
    event = get(alert, "Event") or alert
    number = _event_id(event) or text(alert, "winlog.event_id") or "?"
    channel = text(event, "System.Channel", "Channel", "winlog.channel") or "unknown log"
    names = _SYSMON if "Sysmon" in channel else _SECURITY if channel == "Security" else {}
    record = text(event, "System.EventRecordID", "EventRecordID", "RecordNumber")
    computer = text(event, "System.Computer", "Computer", "Hostname")
    about = names.get(number)
    rule = text(event, "EventData.RuleName", "RuleName")
    return Head(
        native_id=f"{channel}/{computer}/{record}" if record and computer else None,
        title=f"{channel} event {number}" + (f": {about}" if about else ""),
        observed_at=when(
            event,
            "EventData.UtcTime", "UtcTime", "System.TimeCreated.#attributes.SystemTime",
            "System.TimeCreated.SystemTime", "@timestamp", "TimeCreated", "EventTime",
        ),
        severity=text(event, "System.Level", "Level", "Severity"),
        techniques=techniques(rule),
    )  # fmt: skip


FORMAT = Format(
    NAME, detect, head,
    trust=(
        (".system.", "product"), (".channel.", "product"), (".sourcename.", "product"), (".hostname.", "product"),
        (".signaturestatus.", "product"), (".integritylevel.", "product"), (".grantedaccess.", "product"),
        (".calltrace.", "product"), (".hashes.", "product"), (".targetusername.", "external"),
        (".message.", "external"), (".accountname.", "product"),
        (".description.", "external"), (".product.", "external"), (".company.", "external"), (".title.", "external"),
        (".user.", "product"), (".parentuser.", "product"), (".subjectusername.", "product"),
        (".image.", "external"), (".details.", "external"), (".taskcontent.", "external"), (".rulename.", "product"),
    ),
    hints=(
        Hint(".message.", None), Hint(".fileversion.", None), Hint(".calltrace.", None), Hint(".accesslist.", None),
        Hint(".accounttype.", None), Hint(".sourcename.", None), Hint(".provider.", None), Hint(".taskname.", None),
        Hint(".domain.", None), Hint(".details.", None), Hint(".product.", None), Hint(".company.", None),
        Hint(".description.", None), Hint(".originalfilename.", None), Hint(".xmlns.", None), Hint(".channel.", None),
        Hint("^.host.", None), Hint(".targetobject.", None), Hint(".targetusername.", "user", "subject"),
        Hint(".taskcontent.", None),
    ),
)  # fmt: skip
