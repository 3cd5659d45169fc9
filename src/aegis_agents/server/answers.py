"""JSON as the server sends it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response


def to_json(value: Any) -> bytes:
    """UTF-8 JSON; a lone surrogate becomes its escape, so that no alert's text can break an answer."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(to_json(value), status, dict(headers or {}), "application/json")


def digest_of(*parts: str | bytes) -> str:
    """One word for several parts, which no other parts have: each is hashed with its length."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8) + raw)
    return digest.hexdigest()


def afterwards(request: Request, step: Callable[[], object]) -> None:
    """Have a step taken when the request is over, however it ended."""
    request.scope.setdefault("state", {}).setdefault("after", []).append(step)
