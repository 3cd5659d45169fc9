"""Many alerts at once: JSON Lines in, JSON Lines out, a line each, in order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import IO, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from aegis_agents.errors import AegisError, IdentityError
from aegis_agents.server.answers import to_json
from aegis_agents.server.doorkeeper import bearer
from aegis_agents.server.handing_over import APPLIED, PREFER, hand_over, read_message, wants_async
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
    },
    "parameters": [PREFER],
}  # fmt: skip
_CHUNK = 1_000_000
_AT_ONCE = 500
_Line = tuple[int, bytes, str | None]
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
        202: {
            "description": "With `Prefer: respond-async`: for each line that was taken in, its incident and how many copies it has.",
            "content": {
                _NDJSON: {"schema": {"type": "string"}, "example": '{"incident_id": "inc-1", "copies": 1, "state": "waiting"}\n'}
            },
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
    broke, send the batch again: what was decided answers its case. With `Prefer: respond-async` each line is answered
    once its alert is on disk, and decided later.
    """
    later = wants_async(request, parts, shadow=shadow)
    file = await parts.bodies.batch(request, who.id)
    given = _given(request, parts, file)
    if later:
        first = await _hand_over(parts, await _some(given), format, full_is_said=False)
        return StreamingResponse(_handed_over(parts, first, given, format), 202, APPLIED, _NDJSON)

    async def lines() -> AsyncIterator[bytes]:
        async for number, line, error in given:
            yield to_json(await _one(line, number) if error is None else {"error": error, "line": number}) + b"\n"

    async def _one(line: bytes, number: int) -> dict[str, Any]:
        try:
            return (await investigate(parts, line, format, shadow, patient=True)).case
        except AegisError as error:
            return _said(error, number)
        except Exception:  # noqa: BLE001 - a mistake of ours: the log has it, and the rest of the batch goes on
            _log.exception("line %d of the batch of request %s broke", number, request.state.request_id)
            return {"error": f"something broke; its number is {request.state.request_id}", "line": number}

    return StreamingResponse(lines(), media_type=_NDJSON)


async def _given(request: Request, parts: Parts, file: IO[bytes]) -> AsyncIterator[tuple[int, bytes, str | None]]:
    """The lines that are not blank: number, text, and what is wrong where it can't be an alert."""
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
                yield number, b"", ended
                return
        if not whole:
            yield number, b"", f"is longer than {parts.settings.body_bytes} bytes"
        elif line.strip(b"\xef\xbb\xbf \t\r\n"):
            yield number, line, None


async def _some(given: AsyncIterator[_Line]) -> list[_Line]:
    """The next lines, as many as are taken in at once."""
    some: list[_Line] = []
    size = 0
    async for one in given:
        some.append(one)
        size += len(one[1])
        if len(some) >= _AT_ONCE or size >= _CHUNK:
            break
    return some


async def _handed_over(
    parts: Parts, first: bytes, given: AsyncIterator[_Line], format: str | None
) -> AsyncIterator[bytes]:
    """The answers: each is given once its alert is on disk."""
    if first:
        yield first
    while some := await _some(given):
        yield await _hand_over(parts, some, format, full_is_said=True)


async def _hand_over(parts: Parts, some: list[_Line], format: str | None, *, full_is_said: bool) -> bytes:
    """Take lines in together and answer each. Raises Refused if the inbox is full, or says so of each line."""

    def work() -> bytes:
        answers: dict[int, dict[str, Any]] = {}
        messages = []
        for number, line, error in some:
            try:
                if error is not None:
                    answers[number] = {"error": error, "line": number}
                else:
                    messages.append((number, read_message(parts, line, format)))
            except AegisError as wrong:
                answers[number] = _said(wrong, number)
        try:
            done = hand_over(parts, [message for _, message in messages]) if messages else []
            answers |= {number: one.to_dict() for (number, _), one in zip(messages, done, strict=True)}
        except AegisError as wrong:
            if not full_is_said:
                raise
            answers |= {number: _said(wrong, number) for number, _ in messages}
        return b"".join(to_json(answers[number]) + b"\n" for number, _, _ in some)

    return await parts.workroom.read(work)


def _said(error: AegisError, number: int) -> dict[str, Any]:
    """A line that was not taken."""
    problem = problem_of(error).problem
    more = {"field": problem.field, "fix": problem.fix}
    return {"error": problem.detail, "line": number} | {k: v for k, v in more.items() if v}


async def _ended(request: Request, parts: Parts) -> str | None:
    """Why whoever sent the batch may not go on; None if they may. Where that can't be known it goes on."""
    token = bearer(request.headers)
    try:
        abroad = parts.people.abroad(token)
        who = await parts.workroom.ask_who(lambda: parts.people.authenticate(token), abroad=abroad)
    except IdentityError as error:
        return f"{error}; send the rest again"
    return None if "analyst" in who.roles else f"{who.id} is no analyst any more"
