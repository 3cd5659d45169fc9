"""Canonical JSON, and the ids that make "at most once" possible."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticSerializationError

from aegis_agents.errors import InputError
from aegis_agents.records import ActionName, Target
from aegis_agents.records.base import Record

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical_json(value: Mapping[str, Any]) -> str:
    """One text for one value: sorted keys, no spaces, ASCII only (a lone surrogate can't break it), no NaN.

    Raises InputError if the value is not JSON.
    """
    try:
        return _CANONICAL.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"not JSON: {error}", field="body", fix="use strings, numbers, booleans, lists and dicts only"
        ) from error


def record_json(record: Record, field: str, *, exclude: set[str] | None = None) -> str:
    """A record as JSON text. Raises InputError where it holds what is no Unicode."""
    try:
        return record.model_dump_json(exclude=exclude)
    except PydanticSerializationError as error:
        raise InputError(f"can't be kept: {error}", field=field, fix="replace what is no valid Unicode") from error


def idempotency_key(incident_id: str, action: ActionName, target: Target, generation: int = 0) -> str:
    """SHA-256, as 64 hex digits, over incident, action, target and generation.

    The parts are joined as canonical JSON, so that no two different quadruples share one text.
    """
    parts = {"incident": incident_id, "action": action, "kind": target.kind, "value": target.value}
    return hashlib.sha256(canonical_json(parts | {"generation": generation}).encode()).hexdigest()


def action_id(incident_id: str, action: ActionName, target: Target, generation: int = 0) -> str:
    """The id of an action: "act-" and the first 16 hex digits of its idempotency key."""
    return id_of_key(idempotency_key(incident_id, action, target, generation))


def id_of_key(key: str) -> str:
    """The id of the action that has this idempotency key."""
    return "act-" + key[:16]
