"""All routes of the console."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from aegis_agents.server.console import actions, asking, cases, door, inbox, records, standing
from aegis_agents.server.console.rendering import static_file

_YEAR = "public, max-age=31536000, immutable"


def console_router() -> APIRouter:
    """The console: give it to `create_app(aegis, settings, routers=[console_router()])`."""
    router = APIRouter(include_in_schema=False)
    for module in (door, inbox, actions, cases, asking, records, standing):
        router.include_router(module.router)
    router.add_api_route("/static/{name}", static, methods=["GET"])
    return router


async def static(name: str) -> Response:
    """A static file: one of four."""
    found = static_file(name)
    if found is None:
        return Response("no such file", 404, media_type="text/plain")
    return Response(found[0], 200, {"Cache-Control": _YEAR}, found[1])
