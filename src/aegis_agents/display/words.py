"""Values of a case in words and numbers that can be trusted to be what they look like."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from aegis_agents.display.shown import fit

Json = Mapping[str, Any]
"""A record as JSON (`case.to_dict()`, `incident.model_dump(mode="json")`), or a part of one."""

VERDICTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "true_positive": ("True positive", "▲", "attack"),
    "benign_positive": ("Benign positive", "●", "calm"),
    "false_positive": ("False positive", "○", "calm2"),
    "undetermined": ("Undetermined", "◆", "open"),
}
"""Verdict → its name, its sign (colour is never all there is), and the tone it is drawn in."""

MEANING: Final[Mapping[str, str]] = {
    "true_positive": "an attack",
    "benign_positive": "it happened, and is allowed",
    "false_positive": "it did not happen as claimed",
    "undetermined": "the evidence does not decide",
}

OUTCOMES: Final[Mapping[str, tuple[str, str]]] = {
    "executed": ("done", "good"), "would_execute": ("would be done", "good"),
    "recommended": ("recommended", "plain"), "awaiting_approval": ("waits for a person", "open"),
    "refused": ("refused", "plain"), "denied": ("denied", "plain"), "failed": ("failed", "attack"),
    "unconfirmed": ("not confirmed", "open"), "undone": ("taken back", "plain"), "expired": ("lifted itself", "plain"),
}  # fmt: skip
"""Outcome → in words, and its tone."""

TRUST: Final[Mapping[str, str]] = {
    "external": "anybody could have written this",
    "product": "computed by the sensor",
    "organization": "the customer's own data",
}


def verdict_of(record: Json) -> tuple[str, str, str]:
    """Name, sign and tone of a record's verdict; one that is not known is shown as it is."""
    verdict = str(record.get("verdict"))
    return VERDICTS.get(verdict) or (fit(verdict, 30), "◆", "open")


def outcome_of(action: Json) -> tuple[str, str]:
    """An action's outcome in words, and its tone."""
    outcome = str(action.get("outcome"))
    return OUTCOMES.get(outcome) or (fit(outcome, 30), "plain")


def items(record: Json, key: str) -> list[Json]:
    """The mappings in a list of a record; what is missing or something else is left out."""
    found = record.get(key)
    return [i for i in found if isinstance(i, Mapping)] if isinstance(found, Iterable) and not isinstance(found, str | Mapping) else []  # fmt: skip


def child(record: Json, key: str) -> Json:
    """A mapping inside a record; empty where there is none."""
    found = record.get(key)
    return found if isinstance(found, Mapping) else {}


def words(record: Json, key: str) -> list[str]:
    """The texts in a list of a record."""
    found = record.get(key)
    return [str(i) for i in found] if isinstance(found, list | tuple) else []


def number(value: object, low: float = 0.0, high: float = 1.0) -> float:
    """A number within bounds; 0 (or `low`) for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return max(low, 0.0)
    return min(high, max(low, float(value)))


def percent(value: object) -> str:
    """A share as a percentage; never 100 % or 0 % for what only comes near."""
    share = number(value)
    if 0 < share < 0.001:
        return "<0.1 %"
    if 0.999 < share < 1:
        return ">99.9 %"
    return f"{share * 100:.1f} %" if share > 0.99 or share < 0.01 else f"{share * 100:.0f} %"


def moment(value: object) -> datetime | None:
    """A time of the JSON, in UTC; None for what is none. Without a zone it is UTC."""
    if not isinstance(value, str) or not 10 <= len(value) <= 40 or not value[:4].isdecimal():
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def clock(at: datetime) -> str:
    """A time to the second, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def when(value: object) -> str:
    """A time of the JSON to the second; what is none as it stands."""
    found = moment(value)
    return clock(found) if found else "" if value is None else str(value)


def duration(seconds: float) -> str:
    """How long, in the two largest units."""
    left = abs(seconds)
    if left < 1:
        return f"{left * 1000:.0f} ms"
    if left < 60:
        return f"{left:.0f} s"
    parts: list[str] = []
    for unit, size in (("y", 31_557_600), ("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size and len(parts) < 2:
            parts.append(f"{int(left // size)} {unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts)
