"""AWS Security Hub: findings in the AWS Security Finding Format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, get, has, techniques, text, when

NAME = "securityhub_asff"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    if "ProductArn" in alert and "SchemaVersion" in alert and "GeneratorId" in alert:
        return 97
    return 85 if has(alert, "AwsAccountId", "RecordState", "Severity.Label", "ProductArn") >= 3 else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    return Head(
        native_id=text(alert, "Id"),
        title=text(alert, "Title"),
        observed_at=when(alert, "LastObservedAt", "FirstObservedAt", "CreatedAt", "UpdatedAt"),
        severity=text(alert, "Severity.Label", "Severity.Normalized"),
        confidence=text(alert, "Confidence"),
        verdict=text(alert, "VerificationState"),
        techniques=techniques(get(alert, "Types")),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        (".severity.", "product"),
        ("^.title.", "product"),
        ("^.description.", "product"),
        (".types.", "product"),
        (".tags.", "organization"),
        (".userdefinedfields.", "organization"),
        (".useragent.", "external"),
        (".principal.", "external"),
        (".note.", "organization"),
    ),
    hints=(
        Hint(".generatorid.", None),
        Hint(".productarn.", None),
        Hint("^.title.", None),
        Hint("^.description.", None),
        Hint(".types.", None),
        Hint(".resources.details.principal.", "resource", "observed"),
    ),
)
