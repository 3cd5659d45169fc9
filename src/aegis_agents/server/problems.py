"""Errors as RFC 9457 problem details: what went wrong, in which field, and what to do about it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from aegis_agents.errors import (
    ActionError,
    AegisError,
    AlreadyDecided,
    ConnectorError,
    IdentityError,
    InputError,
    IntelError,
    LedgerError,
    LedgerTampered,
    LimitExceeded,
    ModelError,
    NotReversible,
    StoreError,
    TransientConnectorError,
    UnknownAction,
)

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 408: "Request Timeout", 409: "Conflict", 413: "Content Too Large",
    415: "Unsupported Media Type", 422: "Unprocessable Content", 429: "Too Many Requests",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
}  # fmt: skip


class Problem(BaseModel):
    """An error. `code` is for programs and stays; `detail` is for people and may be worded anew."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    field: str | None = None
    fix: str | None = None


class Refused(AegisError):
    """The server itself says no: status, code, and how many seconds to wait before trying again."""

    def __init__(
        self, status: int, code: str, detail: str, *, field: str | None = None, fix: str | None = None,
        retry_after: int | None = None, headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(detail)
        self.problem = Problem(
            title=_TITLES.get(status, "Error"), status=status, detail=detail, code=code, field=field, fix=fix
        )
        self.headers = dict(headers or {}) | ({} if retry_after is None else {"Retry-After": str(max(1, retry_after))})


# The first that fits counts: subclasses before their bases.
_KNOWN: tuple[tuple[type[AegisError], int, str], ...] = (
    (LimitExceeded, 413, "too_large"),
    (InputError, 422, "invalid_input"),
    (IdentityError, 403, "forbidden"),
    (UnknownAction, 404, "not_found"),
    (AlreadyDecided, 409, "already_decided"),
    (NotReversible, 409, "not_reversible"),
    (TransientConnectorError, 503, "connector_busy"),
    (ConnectorError, 502, "connector_failed"),
    (ActionError, 409, "not_allowed"),
    (LedgerTampered, 503, "ledger_tampered"),
    (StoreError, 503, "store_unavailable"),
    (LedgerError, 503, "ledger_unavailable"),
    (ModelError, 503, "model_unavailable"),
    (IntelError, 503, "intel_unavailable"),
)
_RETRY_S = {503: 5}
_OURS = frozenset({"store_unavailable", "ledger_unavailable", "model_unavailable", "intel_unavailable"})
"""Whose words name files and hosts of the server: its log is told, and whoever asks is not."""
_log = logging.getLogger("aegis.server")


def problem_of(error: AegisError) -> Refused:
    """An error of the library as the server answers it."""
    if isinstance(error, Refused):
        return error
    for kind, status, code in _KNOWN:
        if isinstance(error, kind):
            field = error.field if isinstance(error, InputError) else None
            fix = error.fix if isinstance(error, InputError) else None
            text = error.message if isinstance(error, InputError) else str(error)
            if field == "incident_id" and kind is InputError:  # it names none
                status, code = 404, "not_found"
            if status == 503 and code in _OURS:
                _log.error("%s: %s", code, error)
                text = "it can't be done at the moment; the server's log says why"
            return Refused(status, code, text, field=field, fix=fix, retry_after=_RETRY_S.get(status))
    _log.error("%s: %s", type(error).__name__, error)
    return Refused(500, "internal", "something is set wrongly on the server; its log says what")


def respond(refused: Refused) -> Response:
    """The answer to it."""
    body = refused.problem.model_dump(exclude_none=True)
    text = json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Response(text, refused.problem.status, refused.headers, MEDIA_TYPE)


async def on_aegis_error(request: Request, error: Exception) -> Response:
    """Handler for what the library raises on purpose."""
    assert isinstance(error, AegisError)  # noqa: S101 - registered for these alone
    return respond(problem_of(error))


async def on_invalid(request: Request, error: Exception) -> Response:
    """Handler for parameters and bodies that are not what the API asks for; what was sent is not sent back."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for these alone
    said = error.errors()
    where = ".".join(str(part) for part in said[0]["loc"][1:]) if said else None
    detail = "; ".join(str(e["msg"]) for e in said[:3]) or "the request is not what the API asks for"
    return respond(Refused(422, "invalid_input", detail, field=where or None))


async def on_http_error(request: Request, error: Exception) -> Response:
    """Handler for what the framework refuses: no such route, no such method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these alone
    codes = {
        404: "no_such_route",
        405: "method_not_allowed",
        408: "body_timeout",
        413: "too_large",
        400: "invalid_input",
    }
    code = codes.get(error.status_code, "refused")
    return respond(Refused(error.status_code, code, str(error.detail), headers=error.headers))


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: these statuses answer a problem."""
    return {
        status: {
            "description": _TITLES[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": _EXAMPLES[status]}},
            **({"headers": _RETRY_AFTER} if status in (429, 503) else {}),
        }
        for status in statuses
    }


_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}}


def _example(status: int, code: str, detail: str, **more: str) -> dict[str, Any]:
    return {"type": "about:blank", "title": _TITLES[status], "status": status, "detail": detail, "code": code} | more


_EXAMPLES: dict[int, dict[str, Any]] = {
    400: _example(400, "body_cut_off", "the body ended before its end"),
    401: _example(401, "unauthorised", "a token is needed: Authorization: Bearer ..."),
    403: _example(403, "forbidden", "token:bob is no approver: it has viewer"),
    404: _example(404, "not_found", "no action has the id 'act-0123456789abcdef'"),
    408: _example(408, "body_timeout", "the body took more than 30 seconds"),
    409: _example(409, "already_decided", "act-0123456789abcdef was approved by alice at 2026-11-26T09:00:00+00:00"),
    413: _example(413, "too_large", "the body is longer than 5000000 bytes", fix="send less at once"),
    415: _example(415, "unsupported_media_type", "send application/json"),
    422: _example(422, "invalid_input", "the alert is an array, not a JSON object", fix="give one alert as {...}"),
    429: _example(429, "rate_limited", "more than 6000/minute; wait a little"),
    502: _example(502, "connector_failed", "the system that acts said no"),
    503: _example(503, "busy", "all workers are busy; try again"),
}
