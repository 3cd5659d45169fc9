"""Runs the server: `aegis serve`."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import ssl
from functools import partial
from types import FrameType

import uvicorn
from fastapi import FastAPI

from aegis_agents.aegis import Aegis
from aegis_agents.errors import SettingsError
from aegis_agents.server import connections
from aegis_agents.server.app import create_app
from aegis_agents.server.connections import BoundedConnection
from aegis_agents.settings_server import ServerSettings


class _Server(uvicorn.Server):
    """Says that it is not ready any more as soon as it is told to stop."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._parts = app.state.parts

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. A handshake of TLS has as long as a request's head: asyncio would give it a minute, and it counts nowhere."""
        loop = asyncio.get_running_loop()
        if not self.config.is_ssl:
            await super().startup(sockets)
            return
        plain = loop.create_server
        loop.create_server = partial(plain, ssl_handshake_timeout=connections.HEAD_S)  # type: ignore[method-assign]
        try:
            await super().startup(sockets)
        finally:
            loop.create_server = plain  # type: ignore[method-assign]

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._parts.stopping = True
        super().handle_exit(sig, frame)


def make_server(app: FastAPI, settings: ServerSettings) -> uvicorn.Server:
    """The server of an application: where it listens, with TLS or behind the proxies that it trusts."""
    certificate = str(settings.tls_certificate) if settings.tls_certificate else None
    config = uvicorn.Config(
        app, http=BoundedConnection, host=settings.host, port=settings.port, ssl_certfile=certificate,
        ssl_keyfile=str(settings.tls_key) if settings.tls_key else None,
        # Without trusted proxies nobody's word is taken for where a request comes from.
        proxy_headers=bool(settings.trusted_proxies), forwarded_allow_ips=list(settings.trusted_proxies),
        limit_concurrency=settings.connections, timeout_graceful_shutdown=math.ceil(settings.drain_s),
        server_header=False, access_log=False, ws="none", lifespan="on", log_level="warning",
        loop="asyncio",  # uvloop's connections are not seen by what enforces `hardening.egress`
    )  # fmt: skip
    _check_tls(settings)
    return _Server(config, app)


def _check_tls(settings: ServerSettings) -> None:
    """Raises SettingsError for a certificate or key that can't be read; a passphrase is not asked for."""
    if settings.tls_certificate is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_certificate, settings.tls_key, password="")
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise SettingsError(
            f"server: tls_certificate and tls_key can't be used ({error}): give PEM files that fit, the key not encrypted"
        ) from error


def serve(aegis: Aegis, settings: ServerSettings, app: FastAPI | None = None) -> None:
    """Serve until SIGTERM or SIGINT: what is under way is finished, what was taken in and not decided is decided after
    the next start. Raises SettingsError.
    """
    server = make_server(app or create_app(aegis, settings), settings)
    # uvicorn raises the signal again once it has stopped; by then all is done, and the caller closes what is open.
    before = {sig: signal.signal(sig, _heard) for sig in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run()
    finally:
        for sig, handler in before.items():
            signal.signal(sig, handler)


def _heard(sig: int, frame: FrameType | None) -> None:
    """The signal was obeyed already."""
