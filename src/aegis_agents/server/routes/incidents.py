"""Incidents: hand in an alert, read its case, list the queue, say what it really was."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from aegis_agents.errors import InputError
from aegis_agents.ledger.queue import MOST_ROWS, QueueState, read_queue
from aegis_agents.records import Verdict
from aegis_agents.server.answers import answer
from aegis_agents.server.events import event_stream, wants_events
from aegis_agents.server.handing_over import PREFER, accept, still_waiting, wants_async
from aegis_agents.server.investigating import Format, investigate, steps
from aegis_agents.server.routes.common import (
    IDEMPOTENCY_KEY,
    JSON_BODY,
    KNOWN_QUERY,
    Analyst,
    IncidentId,
    TheParts,
    Viewer,
    problems,
)
from aegis_agents.server.shapes import CaseAnswer, Confirmed, HandedOverAnswer, QueueAnswer, VerdictGiven

router = APIRouter(prefix="/v1/incidents", tags=["incidents"], dependencies=KNOWN_QUERY)

_ALERT = {
    "requestBody": {
        "required": True,
        "description": "One alert as its product writes it; the format is detected.",
        "content": {
            "application/json": {
                "schema": {"type": "object", "additionalProperties": True},
                "example": {
                    "event_id": "a-1", "title": "Beacon", "hostname": "wks-041", "source_ip": "10.1.2.3",
                    "destination_ip": "203.0.113.9",
                },
            }
        },
    },
    "parameters": [IDEMPOTENCY_KEY, PREFER],
}  # fmt: skip
_EVENTS = {
    "text/event-stream": {
        "schema": {"type": "string"},
        "example": 'event: triage\ndata: {"assessment": {"verdict": "true_positive"}}\n\nevent: case\ndata: {"incident_id": "..."}\n\n',
    }
}


@router.post(
    "", status_code=201, openapi_extra=_ALERT, summary="Hand in an alert",
    responses={
        200: {"model": CaseAnswer, "description": "That incident was there before: its case.", "content": _EVENTS},
        201: {"model": CaseAnswer, "description": "The case."},
        202: {"model": HandedOverAnswer, "description": "With `Prefer: respond-async`: it is on disk, and waits."},
        **problems(400, 408, 409, 413, 415, 422),
    },
)  # fmt: skip
async def hand_in(
    request: Request, parts: TheParts, who: Analyst, format: Format = None,
    shadow: Annotated[bool, Query(description="Decide as if live and touch nothing.")] = False,
) -> Response:  # fmt: skip
    """Judge one alert, and do or ask for what follows. The same alert again answers its case: nothing is done twice.

    With `Accept: text/event-stream` each agent's step is an event as it finishes, and the last one, `case`, is the case.
    With `Prefer: respond-async` it is answered once the alert is on disk, and decided later: ask for its case.
    """
    alert = await parts.bodies.alert(request)
    if wants_events(request):
        return event_stream(steps(parts, alert, format, shadow))
    later = wants_async(request, parts, shadow=shadow)

    async def work() -> Response:
        if later:
            return await accept(parts, alert.body, format)
        done = await investigate(parts, alert.body, format, shadow)
        return answer(done.case, 201 if done.new else 200)

    return await parts.idempotency.once(request, who, alert.body, work)


@router.get(
    "", summary="The queue", responses={200: {"model": QueueAnswer}, **problems(422)},
)  # fmt: skip
async def queue(
    parts: TheParts, who: Viewer,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 50,
    cursor: Annotated[str | None, Query(max_length=1_000, description="`next` of the page before.")] = None,
    verdict: Annotated[Verdict | None, Query()] = None,
    state: Annotated[QueueState | None, Query(description="waiting: for a person; open: not decided yet.")] = None,
) -> Response:  # fmt: skip
    """Incidents, newest first, page by page. What comes in meanwhile shifts no page."""

    def look() -> Response:
        page = read_queue(parts.database, limit=limit, after=cursor, verdict=verdict, state=state)
        return answer(page.model_dump(mode="json"))

    return await parts.workroom.read(look)


@router.get(
    "/{incident_id}", summary="A case",
    responses={
        200: {"model": CaseAnswer},
        202: {"model": HandedOverAnswer, "description": "It was taken in, and waits for a worker."},
        **problems(404, 422),
    },
)  # fmt: skip
async def one(
    incident_id: IncidentId, parts: TheParts, who: Viewer,
    include: Annotated[Literal["incident"] | None, Query(description="incident: its facts and entities too.")] = None,
) -> Response:  # fmt: skip
    """The case of an incident, its actions as they stand now."""

    def look() -> Response:
        try:
            case = parts.aegis.case(incident_id)
        except InputError as error:
            return still_waiting(parts, incident_id, error)
        found = case.to_dict()
        if include == "incident" and case.incident is not None:
            found["incident"] = case.incident.model_dump(mode="json")
        return answer(found)

    return await parts.workroom.read(look)


@router.post(
    "/{incident_id}/confirm", summary="Say what it really was", dependencies=JSON_BODY,
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
    responses={200: {"model": Confirmed}, **problems(400, 404, 408, 409, 413, 415, 422)},
)  # fmt: skip
async def confirm(
    incident_id: IncidentId, given: VerdictGiven, request: Request, parts: TheParts, who: Analyst
) -> Response:
    """Similar incidents are judged with that from now on; what was decided against it counts as wrong."""

    async def work() -> Response:
        await parts.workroom.work(lambda: parts.aegis.confirm(incident_id, given.verdict, token=who))
        return answer({"incident_id": incident_id, "verdict": given.verdict})

    return await parts.idempotency.once(request, who, await request.body(), work)
