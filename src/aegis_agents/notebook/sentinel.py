"""The shapes of msticpy and Microsoft Sentinel: SecurityAlert rows in and out, and entities as msticpy names them.

msticpy itself is not imported. Columns are those of Sentinel's SecurityAlert table, entity types and their
properties those of its entity reference (https://learn.microsoft.com/azure/sentinel/entities-reference), which
msticpy's `Entity.instantiate_entity` and `SecurityAlert` read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from aegis_agents.notebook.batch import investigate_frame, records, row_to_alert
from aegis_agents.notebook.framing import NUMBER, TEXT, TIME, frame, pandas
from aegis_agents.records import Case, Entity, Incident

if TYPE_CHECKING:
    import pandas as pd

    from aegis_agents.aegis import Aegis

SECURITY_ALERT: Final[Mapping[str, str]] = {
    "TimeGenerated": TIME, "StartTime": TIME, "EndTime": TIME, "DisplayName": TEXT, "AlertName": TEXT,
    "AlertSeverity": TEXT, "Description": TEXT, "ProviderName": TEXT, "VendorName": TEXT, "ProductName": TEXT,
    "SystemAlertId": TEXT, "VendorOriginalId": TEXT, "AlertType": TEXT, "ConfidenceLevel": TEXT,
    "ConfidenceScore": NUMBER, "Status": TEXT, "CompromisedEntity": TEXT, "Techniques": TEXT, "Entities": TEXT,
    "ExtendedProperties": TEXT, "Type": TEXT,
}  # fmt: skip
"""Columns of `security_alerts`: Sentinel's SecurityAlert table; Entities and ExtendedProperties are JSON text."""

ENTITY: Final[Mapping[str, str]] = {
    "TimeGenerated": TIME, "Type": TEXT, "Value": TEXT, "Role": TEXT, "SystemAlertId": TEXT, "Entity": TEXT,
}  # fmt: skip
"""Columns of `entities`; `Entity` is JSON text for msticpy's Entity.instantiate_entity."""

_SEVERITY: Final = {"informational": "Informational", "low": "Low", "medium": "Medium", "high": "High", "critical": "High"}  # fmt: skip
_HASHES: Final = {32: "MD5", 40: "SHA1", 64: "SHA256"}


def investigate_security_alerts(aegis: Aegis, alerts: pd.DataFrame) -> pd.DataFrame:
    """Investigate a frame of SecurityAlert rows (as msticpy's queries answer it); see `investigate_frame`.

    Entities are sorted by their type, so that a name is known for an account's or a file's; references between them
    ("$id", "$ref") number the entities of one row, say nothing, and are taken out.
    """
    pd = pandas()
    tidy = [alert_of(row_to_alert(row)) for row in records(alerts)]
    cells = pd.DataFrame({"alert": pd.Series(tidy, index=alerts.index, dtype="object")})
    return investigate_frame(aegis, cells, "alert")


_NAMED: Final = {
    "SystemAlertId": "alert_id", "AlertName": "title", "DisplayName": "title", "AlertDisplayName": "title",
    "AlertSeverity": "severity", "Severity": "severity", "StartTimeUtc": "TimeGenerated",
}  # fmt: skip
"""Columns under the names that any alert's are known by; the first that is there has the name."""


def alert_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of SecurityAlert as an alert that `investigate` takes."""
    alert: dict[str, Any] = {}
    for name, value in row.items():
        known = _NAMED.get(name, name)
        alert[known if known not in alert and (known == name or known not in row) else name] = value
    listed = alert.get("Entities")
    if isinstance(listed, list):
        sorted_out: dict[str, list[Any]] = {}
        for entity in listed:
            kind = str(entity.get("Type", "other")).casefold() if isinstance(entity, Mapping) else "other"
            sorted_out.setdefault(kind if _KIND.fullmatch(kind) else "other", []).append(_tidy(entity, kind))
        alert["Entities"] = sorted_out
    return alert


_KIND: Final = re.compile(r"[a-z][a-z-]{1,31}")


def _tidy(entity: Any, kind: str) -> Any:
    tidy = _without_references(entity)
    if kind == "filehash" and isinstance(tidy, dict) and isinstance(tidy.get("Value"), str):
        algorithm = str(tidy.get("Algorithm", "")).casefold()
        tidy[algorithm if algorithm in ("md5", "sha1", "sha256") else "hash"] = tidy.pop("Value")
    return tidy


def _without_references(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_references(v) for k, v in value.items() if k not in ("$id", "$ref") and not _reference(v)}
    return [_without_references(v) for v in value if not _reference(v)] if isinstance(value, list) else value


def _reference(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"$ref"}


def security_alerts(found: Iterable[Case]) -> pd.DataFrame:
    """Cases as SecurityAlert rows, for msticpy's SecurityAlert, timelines and pivots.

    Columns: SECURITY_ALERT. The verdict, its probability and the evidence are in ExtendedProperties; Sentinel knows no
    severity above High. `TimeGenerated` is when it happened, missing where the alert does not say.
    """
    rows = []
    for case in found:
        incident = case.incident
        at = incident.observed_at if incident else None
        extended = {
            "Verdict": case.verdict, "Confidence": f"{case.confidence:.4f}", "Severity": case.severity,
            "Evidence": "; ".join(f"{e.path} = {e.value}" for e in case.evidence if e.kind == "fact"),
            "Model": case.versions.get("model", ""),
        }  # fmt: skip
        rows.append({
            "TimeGenerated": at, "StartTime": at, "EndTime": at, "DisplayName": case.title, "AlertName": case.title,
            "AlertSeverity": _SEVERITY[case.severity], "Description": case.summary, "ProviderName": case.source,
            "VendorName": "Aegis Agents", "ProductName": "Aegis Agents", "SystemAlertId": case.incident_id,
            "VendorOriginalId": case.native_id, "AlertType": case.verdict, "Status": "New",
            "ConfidenceLevel": "High" if case.confidence >= 0.9 else "Low" if case.confidence < 0.5 else "Medium",
            "ConfidenceScore": case.confidence, "Techniques": json.dumps(list(case.techniques)),
            "CompromisedEntity": _compromised(incident), "Type": "SecurityAlert",
            "Entities": json.dumps([{"$id": str(n), **e} for n, e in enumerate(_entities(incident), 1)]),
            "ExtendedProperties": json.dumps(extended),
        })  # fmt: skip
    return frame(rows, SECURITY_ALERT)


def entities(found: Incident | Case) -> pd.DataFrame:
    """The entities of an incident under msticpy's types, one row each. Columns: ENTITY."""
    incident = found.incident if isinstance(found, Case) else found
    if incident is None:
        return frame([], ENTITY)
    rows = []
    for entity in incident.entities:
        if (made := as_entity(entity)) is not None:
            rows.append({
                "TimeGenerated": incident.observed_at, "Type": made["Type"], "Value": entity.value,
                "Role": entity.role, "SystemAlertId": incident.id, "Entity": json.dumps(made),
            })  # fmt: skip
    return frame(rows, ENTITY)


def as_entity(entity: Entity) -> dict[str, Any] | None:
    """An entity as a dict of Sentinel's entity reference; None for what it has no type for."""
    make = _MAKERS.get(entity.kind)
    return make(entity.value) if make else None


def _account(value: str) -> dict[str, Any]:
    domain, slash, name = value.rpartition("\\")
    name, _, suffix = name.partition("@")
    found = {"Type": "account", "Name": name} | ({"NTDomain": domain} if slash else {})
    return found | ({"UPNSuffix": suffix} if suffix else {})


def _host(value: str) -> dict[str, Any]:
    name, _, domain = value.partition(".")
    return {"Type": "host", "HostName": name} | ({"DnsDomain": domain} if domain else {})


def _hash(value: str) -> dict[str, Any]:
    return {"Type": "filehash", "Algorithm": _HASHES.get(len(value), "Unknown"), "Value": value}


def _file(value: str) -> dict[str, Any]:
    at = max(value.rfind("\\"), value.rfind("/"))
    return {"Type": "file", "Name": value[at + 1 :]} | ({"Directory": value[:at]} if at > 0 else {})


_MAKERS: Final[Mapping[str, Callable[[str], dict[str, Any]]]] = {
    "host": _host,
    "user": _account,
    "ip": lambda v: {"Type": "ip", "Address": v},
    "domain": lambda v: {"Type": "dns", "DomainName": v},
    "url": lambda v: {"Type": "url", "Url": v},
    "hash": _hash,
    "email": lambda v: {"Type": "mailbox", "MailboxPrimaryAddress": v},
    "message": lambda v: {"Type": "mail-message", "NetworkMessageId": v},
    "file": _file,
    "process": lambda v: {"Type": "process", "ImageFile": _file(v)},
    "resource": lambda v: {"Type": "azure-resource", "ResourceId": v},
}


def _entities(incident: Incident | None) -> list[dict[str, Any]]:
    return [made for e in incident.entities if (made := as_entity(e)) is not None] if incident else []


def _compromised(incident: Incident | None) -> str | None:
    """The host, or else the account, that the alert is about."""
    subjects = [e for e in incident.entities if e.role in ("subject", "actor")] if incident else []
    return next((e.value for kind in ("host", "user") for e in subjects if e.kind == kind), None)
