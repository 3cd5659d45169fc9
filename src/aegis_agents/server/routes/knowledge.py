"""Intelligence: how fresh it is, and what it says; and questions in plain language."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from aegis_agents.errors import IntelError
from aegis_agents.intel import Intel
from aegis_agents.intel.feeds.state import STATES, FeedStates
from aegis_agents.server.answers import answer
from aegis_agents.server.events import event_stream, wants_events
from aegis_agents.server.library import conversation
from aegis_agents.server.parts import Parts
from aegis_agents.server.routes.common import (
    IDEMPOTENCY_KEY,
    JSON_BODY,
    KNOWN_QUERY,
    Analyst,
    TheParts,
    Viewer,
    problems,
)
from aegis_agents.server.shapes import IntelStatus, Passages, QuestionGiven

router = APIRouter(prefix="/v1", tags=["knowledge"], dependencies=KNOWN_QUERY)


def _intel(parts: Parts) -> Intel:
    intel = parts.aegis.context.intel
    if intel is None:
        raise IntelError("this Aegis was made without intelligence")
    return intel


@router.get("/intel/status", summary="How fresh it is", responses={200: {"model": IntelStatus}, **problems(422)})
async def status(parts: TheParts, who: Viewer) -> Response:
    """The snapshot in use, what it holds by corpus and feed, and when each feed last worked."""

    def look() -> dict[str, Any]:
        intel = _intel(parts)
        counts = intel.counts()
        held: dict[str, int] = {}
        for feeds in counts.values():
            for feed, number in feeds.items():
                held[feed] = held.get(feed, 0) + number
        file = parts.aegis.settings.home / "intel" / STATES
        states = FeedStates(file).all() if file.exists() else []
        feeds_shown = [
            {
                "name": s.name, "documents": held.get(s.name, 0), "last_error": s.last_error, "failures": s.failures,
                "last_good": s.last_good.isoformat() if s.last_good else None,
                "last_tried": s.last_tried.isoformat() if s.last_tried else None,
            }
            for s in states
        ]  # fmt: skip
        return {"snapshot": intel.snapshot_id, "corpora": counts, "feeds": feeds_shown}

    return answer(await parts.workroom.read(look))


@router.get("/intel/search", summary="Search it", responses={200: {"model": Passages}, **problems(422)})
async def search(
    parts: TheParts, who: Viewer,
    q: Annotated[str, Query(min_length=1, max_length=2_000, examples=["lsass dumped by comsvcs"])],
    k: Annotated[int, Query(ge=1, le=50)] = 5,
) -> Response:  # fmt: skip
    """The passages that fit best, by ids in the query, meaning and words."""
    found = await parts.workroom.work(lambda: _intel(parts).search(query=q, k=k))
    return answer({"items": [passage.model_dump(mode="json") for passage in found]})


_ANSWER: dict[str, Any] = {
    "description": "The answer, every sentence with what it cites. It never acts.",
    "content": {
        "application/json": {"schema": {"type": "object"}, "example": {"text": "It was closed ...", "cites": []}},
        "text/event-stream": {"schema": {"type": "string"}, "example": 'event: token\ndata: {"text": "It"}\n\n'},
    },
}


@router.post(
    "/ask", summary="Ask in plain language", dependencies=JSON_BODY,
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]}, responses={200: _ANSWER, **problems(400, 404, 408, 409, 413, 415, 422)},
)  # fmt: skip
async def ask(given: QuestionGiven, request: Request, parts: TheParts, who: Analyst) -> Response:
    """About a case, the queue or intelligence. With `Accept: text/event-stream`: events token, cite, and answer."""
    about, thread = given.incident_id, conversation(who, given.thread)
    if about is not None:
        await parts.workroom.read(lambda: parts.aegis.case(about))
    if wants_events(request):
        return event_stream(_told(parts, given, thread))

    async def work() -> Response:
        found = await parts.workroom.work(lambda: parts.aegis.ask(given.question, about, thread=thread))
        return answer(_in_their_words(found.to_dict(), given))

    return await parts.idempotency.once(request, who, await request.body(), work)


async def _told(parts: Parts, given: QuestionGiven, thread: str | None) -> AsyncIterator[tuple[str, Any]]:
    ask = parts.aegis.ask_stream
    async for event in parts.workroom.stream(lambda: ask(given.question, given.incident_id, thread=thread)):
        said = event.to_dict()
        yield event.kind, _in_their_words(said, given) if event.kind == "answer" else said


def _in_their_words(said: dict[str, Any], given: QuestionGiven) -> dict[str, Any]:
    """An answer that calls the conversation what the one who asked does."""
    return said | {"thread": given.thread}
