"""`aegis serve`: the HTTP API and the console."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import ValidationError

from aegis_agents.cli.spoken import SettingsFile, needs_extra, open_aegis, say, spoken_errors
from aegis_agents.errors import SettingsError
from aegis_agents.settings_server import ServerSettings


def serve(
    host: Annotated[str | None, typer.Option("--host", help="The address to listen on; 127.0.0.1 by default.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="The port; 8740 by default.")] = None,
    settings: SettingsFile = None,
) -> None:
    """Serve the HTTP API and the console, until it is told to stop; what is under way is finished first."""
    with spoken_errors(), needs_extra("server"), open_aegis(settings) as aegis:
        from aegis_agents.fleet.opening import worker_beside
        from aegis_agents.monitor.honeytokens import plant
        from aegis_agents.server.app import create_app
        from aegis_agents.server.console import console_router
        from aegis_agents.server.running import serve as run
        from aegis_agents.watching import route_logs

        listening = _listening(aegis.settings.server, host=host, port=port)
        route_logs(aegis.settings)
        if aegis.settings.monitor.honeytokens:
            plant(aegis.store, aegis.settings.home, falls=aegis.settings.monitor.fall_back)
        app = create_app(aegis, listening, routers=[console_router()], inbox=aegis.inbox)
        address = f"[{listening.host}]" if ":" in listening.host else listening.host
        scheme = "https" if listening.tls_certificate else "http"
        say(
            f"console and API on {scheme}://{address}:{listening.port}; sign in with a token (aegis token add NAME --role ROLE)"
        )
        with worker_beside(aegis):
            run(aegis, listening, app)


def _listening(settings: ServerSettings, **given: str | int | None) -> ServerSettings:
    """The settings with what the command line says, checked as a whole. Raises SettingsError."""
    try:
        return ServerSettings.model_validate(dict(settings) | {k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        wrong = "; ".join(e["msg"].removeprefix("Value error, ") for e in error.errors(include_url=False))
        raise SettingsError(f"server: {wrong}") from error
