"""Actions: what waits, and what people say of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from starlette.responses import Response

from aegis_agents.ledger.queue import count_waiting, read_waiting
from aegis_agents.records import ActionReport, Principal
from aegis_agents.server.answers import answer
from aegis_agents.server.library import action_item
from aegis_agents.server.parts import Parts
from aegis_agents.server.routes.common import (
    IDEMPOTENCY_KEY,
    JSON_BODY,
    KNOWN_QUERY,
    ActionId,
    Analyst,
    Approver,
    IncidentId,
    Operator,
    TheParts,
    Viewer,
    problems,
)
from aegis_agents.server.shapes import ActionItem, ActionItems, ReasonGiven, TargetGiven, WishGiven

router = APIRouter(prefix="/v1", tags=["actions"], dependencies=KNOWN_QUERY)

Reason = Annotated[ReasonGiven | None, Body()]
_ANSWERING: dict[str, Any] = {
    "dependencies": JSON_BODY, "openapi_extra": {"parameters": [IDEMPOTENCY_KEY]},
}  # fmt: skip
_SAID = problems(400, 404, 408, 409, 413, 415, 422)
_DONE = problems(400, 404, 408, 409, 413, 415, 422, 502)


@router.get("/approvals", summary="What waits for a person", responses={200: {"model": ActionItems}, **problems(422)})
async def approvals(parts: TheParts, who: Viewer, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> Response:
    """Actions that wait, oldest first, each with why it waits, its evidence, its undo, and who said yes already."""

    def look() -> dict[str, Any]:
        items = [action_item(parts.aegis, row) for row in read_waiting(parts.database, limit=limit)]
        return {"items": items, "total": count_waiting(parts.database)}

    return answer(await parts.workroom.read(look))


@router.get("/actions/{action_id}", summary="An action", responses={200: {"model": ActionItem}, **problems(404, 422)})
async def one(action_id: ActionId, parts: TheParts, who: Viewer) -> Response:
    """One action, as it stands now."""
    return answer(await parts.workroom.read(lambda: action_item(parts.aegis, parts.aegis.store.action(action_id))))


async def _say(parts: Parts, request: Request, who: Principal, say: Callable[[], ActionReport]) -> Response:
    async def work() -> Response:
        report = await parts.workroom.act(say)
        return answer(report.model_dump(mode="json"))

    return await parts.idempotency.once(request, who, await request.body(), work)


@router.post(
    "/actions/{action_id}/approve", summary="Approve", responses={200: {"model": ActionReport}, **_DONE}, **_ANSWERING
)
async def approve(
    action_id: ActionId, request: Request, parts: TheParts, who: Approver, given: Reason = None
) -> Response:
    """It is done at once, unless policy wants another person too (then it goes on waiting) or the gate says no (409)."""
    why = given.reason if given else ""
    return await _say(parts, request, who, lambda: parts.aegis.approve(action_id, reason=why, token=who))


@router.post(
    "/actions/{action_id}/deny", summary="Deny", responses={200: {"model": ActionReport}, **_SAID}, **_ANSWERING
)
async def deny(action_id: ActionId, request: Request, parts: TheParts, who: Approver, given: Reason = None) -> Response:
    """It is not done. The first answer stands: who comes second gets 409."""
    why = given.reason if given else ""
    return await _say(parts, request, who, lambda: parts.aegis.deny(action_id, reason=why, token=who))


@router.post(
    "/actions/{action_id}/undo", summary="Take back", responses={200: {"model": ActionReport}, **_DONE}, **_ANSWERING
)
async def undo(action_id: ActionId, request: Request, parts: TheParts, who: Operator, given: Reason = None) -> Response:
    """What was done is taken back, if it can be."""
    why = given.reason if given else ""
    return await _say(parts, request, who, lambda: parts.aegis.undo(action_id, reason=why, token=who))


@router.post(
    "/actions/{action_id}/keep", summary="Keep", responses={200: {"model": ActionReport}, **_SAID}, **_ANSWERING
)
async def keep(action_id: ActionId, request: Request, parts: TheParts, who: Operator, given: Reason = None) -> Response:
    """What would lift itself stays until somebody takes it back."""
    why = given.reason if given else ""
    return await _say(parts, request, who, lambda: parts.aegis.keep(action_id, reason=why, token=who))


@router.post(
    "/actions/{action_id}/retarget", summary="Aim at another entity of the incident",
    responses={200: {"model": ActionItem}, **_SAID}, **_ANSWERING,
)  # fmt: skip
async def aim(action_id: ActionId, given: TargetGiven, request: Request, parts: TheParts, who: Approver) -> Response:
    """The waiting action is denied, and the same on the other entity waits in its place, if the gate lets it."""

    async def work() -> Response:
        def put() -> dict[str, Any]:
            new = parts.aegis.retarget(action_id, given.kind, given.value, reason=given.reason, token=who)
            return action_item(parts.aegis, parts.aegis.store.action(new.action_id))

        return answer(await parts.workroom.act(put))

    return await parts.idempotency.once(request, who, await request.body(), work)


@router.post(
    "/incidents/{incident_id}/actions", summary="Wish for an action", responses={200: {"model": ActionItem}, **_SAID},
    **_ANSWERING,
)  # fmt: skip
async def wish(incident_id: IncidentId, given: WishGiven, request: Request, parts: TheParts, who: Analyst) -> Response:
    """Put before the gate what Aegis did not propose itself. What the gate allows waits for an approver: nothing is done.

    Where the same waits or is in effect already, that is answered.
    """

    async def work() -> Response:
        def put() -> dict[str, Any]:
            made = parts.aegis.propose(
                incident_id, given.action, given.kind, given.value, reason=given.reason, token=who
            )
            return action_item(parts.aegis, parts.aegis.store.action(made.action_id))

        return answer(await parts.workroom.work(put))

    return await parts.idempotency.once(request, who, await request.body(), work)
