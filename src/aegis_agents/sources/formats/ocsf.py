"""OCSF: Detection Finding and the other findings of the Open Cybersecurity Schema Framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, get, has, techniques, text, when

NAME = "ocsf"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    if has(alert, "class_uid", "category_uid", "type_uid", "metadata.product") >= 3:
        return 97
    return 80 if "class_uid" in alert and has(alert, "finding_info", "finding", "metadata") else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    return Head(
        native_id=text(alert, "finding_info.uid", "finding.uid", "metadata.uid"),
        title=text(alert, "finding_info.title", "finding.title", "message", "class_name"),
        observed_at=when(alert, "time", "time_dt", "finding_info.created_time", "start_time"),
        severity=text(alert, "severity", "severity_id"),
        confidence=text(alert, "confidence", "confidence_score"),
        verdict=text(alert, "verdict", "disposition", "status"),
        techniques=techniques(get(alert, "finding_info.attacks"), get(alert, "attacks")),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        (".findinginfo.", "product"),
        (".metadata.", "product"),
        (".classname.", "product"),
        (".evidences.actor.user.", "product"),
        (".evidences.device.", "product"),
        (".algorithm.", "product"),
        (".hashes.", "product"),
        (".resources.type.", "product"),
        (".resources.owner.", "organization"),
        (".resources.name.", "external"),
    ),
    hints=(
        Hint(".findinginfo.", None),
        Hint(".metadata.", None),
        Hint(".dstendpoint.hostname.", "domain", "peer"),
        Hint(".srcendpoint.hostname.", "host", "subject"),
        Hint(".device.hostname.", "host", "subject"),
        Hint(".actor.user.name.", "user", "actor"),
        Hint(".resources.name.", "resource", "subject"),
        Hint(".resources.owner.name.", "user", "observed"),
        Hint(".process.file.path.", "file", "subject"),
        Hint(".parentprocess.name.", "process", "observed"),
    ),
)
