"""What the routes share: dependencies by role, documented problems, parameters."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path, Request
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute

from aegis_agents.records import Principal
from aegis_agents.server.bodies import json_only
from aegis_agents.server.parts import Parts, parts_of
from aegis_agents.server.people import need
from aegis_agents.server.problems import Refused, documented


async def _parts(request: Request) -> Parts:
    return parts_of(request)  # a dependency that is no coroutine would run in a thread, milliseconds for nothing


TheParts = Annotated[Parts, Depends(_parts)]
Viewer = Annotated[Principal, Depends(need("viewer"))]
Analyst = Annotated[Principal, Depends(need("analyst"))]
Approver = Annotated[Principal, Depends(need("approver"))]
Operator = Annotated[Principal, Depends(need("operator"))]

IncidentId = Annotated[str, Path(min_length=1, max_length=300, description="As `incident_id` of the case.")]
ActionId = Annotated[str, Path(min_length=1, max_length=100, examples=["act-0123456789abcdef"])]
ANY_ACCESS = (401, 403, 429, 503)
JSON_BODY: list[Dependency] = [Depends(json_only)]


async def known_query(request: Request) -> None:
    """A dependency: a parameter that a route does not know is refused, since `?shaddow=true` must not act."""
    route = request.scope.get("route")
    known = {p.alias for p in route.dependant.query_params} if isinstance(route, APIRoute) else None
    for name in request.query_params:
        if known is not None and name not in known:
            fix = f"one of {', '.join(sorted(known))}" if known else "leave it out"
            raise Refused(422, "invalid_input", "there is no such parameter here", field=name[:40], fix=fix)


KNOWN_QUERY: list[Dependency] = [Depends(known_query)]

IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "description": "The same key again answers what was answered before, and does nothing twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
}  # fmt: skip


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These problems, and those that any request may meet."""
    return documented(*sorted({*statuses, *ANY_ACCESS}))
