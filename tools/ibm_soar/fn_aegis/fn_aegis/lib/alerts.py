"""A SOAR incident and its artifacts as an alert, where the alert that it came from is not at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_FIELDS = {
    "IP Address": "ip_address", "DNS Name": "domain", "URL": "url", "Email Sender": "email_sender",
    "Email Recipient": "email_recipient", "Email Subject": "email_subject", "Malware MD5 Hash": "md5",
    "Malware SHA-1 Hash": "sha1", "Malware SHA-256 Hash": "sha256", "File Name": "file_name", "File Path": "file_path",
    "Process Name": "process_name", "Registry Key": "registry_key", "System Name": "hostname", "User Account": "username",
    "User Agent": "user_agent", "Port": "port", "String": "text",
}  # fmt: skip
"""Artifact types, and the name under which Aegis knows what they mean; others keep their own."""
_MOST = 500


def alert_of(incident: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The alert. It holds what does not change while people work on the incident, so that it is the same one again."""
    return {
        "product": "IBM SOAR",
        "id": f"soar-{int(incident['id'])}",
        "title": str(incident.get("name") or "untitled"),
        "description": _plain(incident.get("description")),
        "time": _time(incident.get("discovered_date")),
        "incident_types": [str(kind) for kind in incident.get("incident_type_ids") or ()],
        "artifacts": [_artifact(artifact) for artifact in list(artifacts)[:_MOST]],
    }


def _artifact(artifact: Mapping[str, Any]) -> dict[str, str]:
    kind = artifact.get("type")
    name = str(kind.get("name") if isinstance(kind, Mapping) else kind)
    said = {"type": name, _FIELDS.get(name, "value"): str(artifact.get("value"))}
    return said | ({"note": about} if (about := _plain(artifact.get("description"))) else {})


def _plain(text: Any) -> str:
    """Rich text is sent as {"format", "content"}."""
    if isinstance(text, Mapping):
        text = text.get("content")
    return str(text or "")


def _time(milliseconds: Any) -> str | None:
    if not isinstance(milliseconds, (int, float)):
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()
