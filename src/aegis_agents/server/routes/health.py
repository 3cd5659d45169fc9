"""Whether the server lives, whether it is ready, and its figures."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from aegis_agents._version import __version__
from aegis_agents.ledger.queue import count_waiting
from aegis_agents.server.answers import answer
from aegis_agents.server.metrics import CONTENT_TYPE
from aegis_agents.server.routes.common import TheParts, problems
from aegis_agents.server.shapes import Health

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Alive", responses={200: {"model": Health}}, openapi_extra={"security": []})
async def alive(parts: TheParts) -> Response:
    """The process answers."""
    return answer({"status": "ok", "version": __version__})


@router.get(
    "/readyz", summary="Ready", openapi_extra={"security": []},
    responses={200: {"model": Health}, 503: {"model": Health, "description": "Starting or stopping."}},
)  # fmt: skip
async def ready(parts: TheParts) -> Response:
    """The model is loaded, and the server is not stopping."""
    status = "stopping" if parts.stopping else "ok" if parts.ready else "starting"
    return answer({"status": status, "version": __version__}, 200 if status == "ok" else 503)


@router.get(
    "/metrics", summary="Figures for Prometheus",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems()},
)  # fmt: skip
async def metrics(request: Request, parts: TheParts) -> Response:
    """With a token of any role; without one from this machine alone."""
    figures = parts.metrics
    figures.inside.set(parts.workroom.inside)
    figures.bodies.set(parts.bodies.held)
    figures.waiting.set(await parts.workroom.read(lambda: count_waiting(parts.database)))
    return Response(await parts.workroom.read(figures.text), media_type=CONTENT_TYPE)
