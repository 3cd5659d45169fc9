"""Server-sent events: the steps of an investigation, and an answer as it is worded."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

from pydantic import TypeAdapter
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import AppStatus
from starlette.requests import Request

from aegis_agents.errors import AegisError
from aegis_agents.server.answers import to_json
from aegis_agents.server.problems import Refused, problem_of

# An answer under way is finished within `drain_s`, streamed or not: sse_starlette would cut streams off at once.
AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]

_ANY: TypeAdapter[Any] = TypeAdapter(Any)
_PING_S = 15
_log = logging.getLogger("aegis.server")


def plain(value: Any) -> Any:
    """Records and what holds them, as JSON values."""
    return _ANY.dump_python(value, mode="json")


def wants_events(request: Request) -> bool:
    """Whether the client asks for a stream (Accept: text/event-stream)."""
    accepted = request.headers.get("accept", "")
    return any(part.partition(";")[0].strip().lower() == "text/event-stream" for part in accepted.split(","))


def event_stream(
    events: AsyncIterator[tuple[str, Any]], headers: Mapping[str, str] | None = None
) -> EventSourceResponse:
    """Named events with JSON data; an error on the way is the event `error`, a problem as everywhere."""

    async def sent() -> AsyncIterator[ServerSentEvent]:
        try:
            async for name, data in events:
                yield ServerSentEvent(data=to_json(plain(data)).decode(), event=name)
        except AegisError as error:
            yield _problem(problem_of(error))
        except Exception:  # noqa: BLE001 - a mistake of ours: the log has it, whoever reads gets an end and no details
            _log.exception("a stream broke")
            yield _problem(Refused(500, "internal", "something broke; the server's log says what"))

    return EventSourceResponse(sent(), headers=dict(headers or {}), ping=_PING_S)


def _problem(refused: Refused) -> ServerSentEvent:
    return ServerSentEvent(data=refused.problem.model_dump_json(exclude_none=True), event="error")
