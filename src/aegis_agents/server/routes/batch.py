"""Many alerts at once: JSON Lines in, JSON Lines out, a line each, in order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from aegis_agents.errors import AegisError, IdentityError
from aegis_agents.server.answers import to_json
from aegis_agents.server.doorkeeper import bearer
from aegis_agents.server.investigating import Format, investigate
from aegis_agents.server.parts import Parts
from aegis_agents.server.problems import problem_of
from aegis_agents.server.routes.common import KNOWN_QUERY, Analyst, TheParts, problems

router = APIRouter(prefix="/v1/incidents", tags=["incidents"], dependencies=KNOWN_QUERY)

_NDJSON = "application/x-ndjson"
_LINES = '{"event_id": "a-1", "title": "Beacon"}\n{"event_id": "a-2", "title": "Beacon"}\n'
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True, "description": "An alert a line.",
        "content": {_NDJSON: {"schema": {"type": "string"}, "example": _LINES}},
    }
}  # fmt: skip
_CHUNK = 1_000_000
LOOK_AGAIN_S = 5.0
"""A batch may take hours: so often it is looked whether who sent it still may."""
_log = logging.getLogger("aegis.server")


@router.post(
    "/batch", summary="Hand in many alerts", openapi_extra=_BODY,
    responses={
        200: {
            "description": "A case a line, in the order of the alerts; for a line that can't be read: error and line.",
            "content": {_NDJSON: {"schema": {"type": "string"}, "example": '{"error": "...", "line": 2}\n'}},
        },
        **problems(400, 408, 413, 415, 422),
    },
    response_class=StreamingResponse,
)  # fmt: skip
async def batch(
    request: Request, parts: TheParts, who: Analyst, format: Format = None,
    shadow: Annotated[bool, Query(description="Decide as if live and touch nothing.")] = False,
) -> StreamingResponse:  # fmt: skip
    """One alert after the other; a bad line is answered as such, and the rest goes on.

    The batch is read whole before the first answer. What was answered was decided and is kept; after a connection that
    broke, send the batch again: what was decided answers its case.
    """
    file = await parts.bodies.batch(request, who.id)

    async def lines() -> AsyncIterator[bytes]:
        number, looked = 0, time.monotonic()
        while line := await asyncio.to_thread(file.readline, parts.settings.body_bytes + 1):
            number += 1
            whole = line.endswith(b"\n") or len(line) <= parts.settings.body_bytes
            while not line.endswith(b"\n") and (rest := await asyncio.to_thread(file.readline, _CHUNK)):
                whole = whole and not rest
                if rest.endswith(b"\n"):
                    break
            if time.monotonic() - looked >= LOOK_AGAIN_S:
                looked = time.monotonic()
                if (ended := await _ended(request, parts)) is not None:
                    yield to_json({"error": ended, "line": number}) + b"\n"
                    return
            if line.strip(b"\xef\xbb\xbf \t\r\n") or not whole:
                yield to_json(await _one(line, number, whole)) + b"\n"

    async def _one(line: bytes, number: int, whole: bool) -> dict[str, Any]:
        if not whole:
            return {"error": f"is longer than {parts.settings.body_bytes} bytes", "line": number}
        try:
            return (await investigate(parts, line, format, shadow, patient=True)).case
        except AegisError as error:
            problem = problem_of(error).problem
            more = {"field": problem.field, "fix": problem.fix}
            return {"error": problem.detail, "line": number} | {k: v for k, v in more.items() if v}
        except Exception:  # noqa: BLE001 - a mistake of ours: the log has it, and the rest of the batch goes on
            _log.exception("line %d of the batch of request %s broke", number, request.state.request_id)
            return {"error": f"something broke; its number is {request.state.request_id}", "line": number}

    return StreamingResponse(lines(), media_type=_NDJSON)


async def _ended(request: Request, parts: Parts) -> str | None:
    """Why whoever sent the batch may not go on; None if they may. Where that can't be known it goes on."""
    token = bearer(request.headers)
    try:
        abroad = parts.people.abroad(token)
        who = await parts.workroom.ask_who(lambda: parts.people.authenticate(token), abroad=abroad)
    except IdentityError as error:
        return f"{error}; send the rest again"
    return None if "analyst" in who.roles else f"{who.id} is no analyst any more"
