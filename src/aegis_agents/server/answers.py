"""JSON as the server sends it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response


def to_json(value: Any) -> bytes:
    """UTF-8 JSON; a lone surrogate becomes its escape, so that no alert's text can break an answer."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(to_json(value), status, dict(headers or {}), "application/json")
