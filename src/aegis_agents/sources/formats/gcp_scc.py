"""Google Cloud Security Command Center: finding notifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, get, techniques, text, when

NAME = "gcp_scc"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    name = get(alert, "finding.name") or alert.get("name")
    if isinstance(name, str) and "/findings/" in name and name.startswith(("organizations/", "projects/", "folders/")):
        return 96
    return 70 if "notificationConfigName" in alert and "finding" in alert else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    finding = get(alert, "finding") or alert
    return Head(
        native_id=text(finding, "name"),
        title=text(finding, "category", "description"),
        observed_at=when(finding, "eventTime", "createTime"),
        severity=text(finding, "severity"),
        verdict=text(finding, "state"),
        techniques=techniques(get(finding, "mitreAttack")),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        (".securitymarks.", "organization"),
        (".category.", "product"),
        (".findingclass.", "product"),
        (".state.", "product"),
        (".finding.name.", "product"),
        (".notificationconfigname.", "product"),
        (".useragent.", "external"),
        (".methodname.", "product"),
        (".principalemail.", "product"),
        (".resource.displayname.", "product"),
        (".resource.type.", "product"),
        (".attempts.username.", "external"),
    ),
    hints=(
        Hint(".notificationconfigname.", None),
        Hint(".finding.name.", None),
        Hint(".category.", None),
        Hint(".methodname.", None),
        Hint(".resource.displayname.", "resource", "subject"),
        Hint(".resource.type.", None),
        Hint(".bindingdeltas.member.", "user", "subject"),
        Hint(".vmname.", "host", "subject"),
        Hint(".kubernetes.pods.name.", "pod", "subject"),
        Hint(".principalemail.", "user", "actor"),
        Hint(".securitymarks.marks.owner.", "user", "observed"),
        Hint(".attempts.sourceip.", "ip", "actor"),
    ),
)
