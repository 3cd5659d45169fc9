"""Intelligence: how fresh it is, and what it says; and questions in plain language."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Protocol, cast

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from aegis_agents.errors import IntelError
from aegis_agents.intel import Intel
from aegis_agents.intel.feeds.state import STATES, FeedStates
from aegis_agents.server.answers import answer
from aegis_agents.server.events import event_stream, plain, wants_events
from aegis_agents.server.parts import Parts
from aegis_agents.server.problems import Refused
from aegis_agents.server.routes.common import IDEMPOTENCY_KEY, JSON_BODY, Analyst, TheParts, Viewer, problems
from aegis_agents.server.shapes import IntelStatus, Passages, QuestionGiven

router = APIRouter(prefix="/v1", tags=["knowledge"])


def _intel(parts: Parts) -> Intel:
    intel = parts.aegis.context.intel
    if intel is None:
        raise IntelError("this Aegis was made without intelligence")
    return intel


@router.get("/intel/status", summary="How fresh it is", responses={200: {"model": IntelStatus}, **problems()})
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


class _Asked(Protocol):
    """The part of the façade that answers questions."""

    def ask(self, question: str, case: str | None = None) -> Any: ...

    def ask_stream(self, question: str, case: str | None = None) -> Iterator[Any]: ...


_ANSWER: dict[str, Any] = {
    "description": "The answer, every sentence with what it cites. It never acts.",
    "content": {
        "application/json": {"schema": {"type": "object"}, "example": {"text": "It was closed ...", "cites": []}},
        "text/event-stream": {"schema": {"type": "string"}, "example": 'event: token\ndata: {"text": "It"}\n\n'},
    },
}


@router.post(
    "/ask", summary="Ask in plain language", dependencies=JSON_BODY,
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]}, responses={200: _ANSWER, **problems(404, 409, 413, 415, 422)},
)  # fmt: skip
async def ask(given: QuestionGiven, request: Request, parts: TheParts, who: Analyst) -> Response:
    """About a case, the queue or intelligence. With `Accept: text/event-stream`: events token, cite, and answer."""
    if not hasattr(parts.aegis, "ask"):
        raise Refused(503, "no_assistant", "this server has no assistant")
    asked = cast(_Asked, parts.aegis)
    if given.incident_id is not None:
        wanted = given.incident_id
        await parts.workroom.read(lambda: parts.aegis.case(wanted))
    if wants_events(request):
        return event_stream(_told(parts, asked, given))

    async def work() -> Response:
        found = await parts.workroom.work(lambda: asked.ask(given.question, given.incident_id))
        return answer(plain(found.to_dict()))

    return await parts.idempotency.once(request, who, await request.body(), work)


async def _told(parts: Parts, asked: _Asked, given: QuestionGiven) -> AsyncIterator[tuple[str, Any]]:
    async for event in parts.workroom.stream(lambda: asked.ask_stream(given.question, given.incident_id)):
        yield str(event.kind), event.to_dict()
