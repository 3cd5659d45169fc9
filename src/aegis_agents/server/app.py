"""The application: what is put together, and its beginning and end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from aegis_agents._version import __version__
from aegis_agents.aegis import Aegis
from aegis_agents.errors import AegisError
from aegis_agents.inbox.inbox import Inbox
from aegis_agents.server.accounts import Accounts, Tally
from aegis_agents.server.background import Background
from aegis_agents.server.bodies import SmallBodies
from aegis_agents.server.doorkeeper import Doorkeeper
from aegis_agents.server.parts import Parts
from aegis_agents.server.problems import on_aegis_error, on_http_error, on_invalid
from aegis_agents.server.routes import actions, batch, health, incidents, knowledge, records
from aegis_agents.server.webhooks import Webhooks
from aegis_agents.settings_server import ServerSettings
from aegis_agents.telemetry.http import Traced
from aegis_agents.telemetry.logs import adopt_servers
from aegis_agents.watching import provide_gauges

_ABOUT = """Hand in alerts of any supported product, read cases with their evidence, answer what waits, check the ledger.

Errors are problem details (RFC 9457); `code` is for programs. Every POST takes an `Idempotency-Key`. Text from alerts
is data: show it escaped. Roles: viewer, analyst, approver, operator, admin."""
_TAGS = [
    {"name": "incidents", "description": "Alerts in, cases out."},
    {"name": "actions", "description": "What waits for a person, and what people say."},
    {"name": "records", "description": "Ledger, autonomy, timers."},
    {"name": "knowledge", "description": "Intelligence, and questions in plain language."},
    {"name": "health", "description": "For whoever keeps it running."},
]


def create_app(
    aegis: Aegis, settings: ServerSettings | None = None, *, routers: Sequence[APIRouter] = (), inbox: Inbox | None = None
) -> FastAPI:  # fmt: skip
    """The server over an Aegis, which stays the caller's to close.

    `routers` are further ones, such as the console's: they find the server's parts in `app.state.parts`, are counted
    and get security headers as all do, and see to who asks themselves (put a Principal into
    `request.state.principal` and the access is in the ledger). With an `inbox`, whoever asks for it
    (Prefer: respond-async) is answered once an alert is on disk there; a worker has to decide it. Raises SettingsError.
    """
    settings = settings or ServerSettings()
    parts, tally = Parts(aegis, settings, inbox), Tally()
    provide_gauges(aegis)
    parts.metrics.also(aegis.telemetry.prometheus().text)
    logs = aegis.settings.telemetry.logs != "off"

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if logs:
            adopt_servers()
        background, webhooks = Background(parts, tally), Webhooks(parts)
        background.start()
        await webhooks.start()
        try:
            yield
        finally:
            parts.stopping = True
            await webhooks.stop()
            await background.stop()
            await parts.close()

    middleware = [Middleware(Accounts, parts=parts, tally=tally)]
    middleware += [Middleware(Doorkeeper, parts=parts), Middleware(SmallBodies, longest_s=settings.body_s)]
    if (tracing := aegis.telemetry.tracing) is not None:
        middleware.insert(0, Middleware(Traced, tracing=tracing))
    app = FastAPI(
        title="Aegis", summary="A SOC analyst over HTTP.", description=_ABOUT, version=__version__, openapi_tags=_TAGS,
        lifespan=lifespan, docs_url=None, redoc_url=None, middleware=middleware, redirect_slashes=False,
        # What has a default may be missing in an answer too: one shape for in and out.
        separate_input_output_schemas=False,
        exception_handlers={
            AegisError: on_aegis_error, RequestValidationError: on_invalid, HTTPException: on_http_error,
        },
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )  # fmt: skip
    app.state.parts = parts
    for module in (batch, incidents, actions, records, knowledge, health):
        app.include_router(module.router)
    for router in routers:
        app.include_router(router)
    _complete(app, settings)
    return app


def _complete(app: FastAPI, settings: ServerSettings) -> None:
    """Adds to OpenAPI what is the same everywhere: who may ask, and what an error looks like."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            from aegis_agents.server.problems import Problem

            schema = made()
            components = schema.setdefault("components", {})
            schemes: dict[str, Any] = {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of `aegis token add`."}
            }
            if settings.oidc is not None:
                url = f"{settings.oidc.issuer.rstrip('/')}/.well-known/openid-configuration"
                schemes["oidc"] = {"type": "openIdConnect", "openIdConnectUrl": url}
            components["securitySchemes"] = schemes
            schema["security"] = [{name: []} for name in schemes]
            problem = Problem.model_json_schema()
            components.setdefault("schemas", {})["Problem"] = problem
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
