"""A server over an Aegis with a fake model, asked in-process; people of each role; a receiver of webhooks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from aegis_agents import Aegis
from aegis_agents.records import AEGIS
from aegis_agents.server.app import create_app
from aegis_agents.server.running import make_server
from aegis_agents.settings_server import ServerSettings
from tests.graph.conftest import ATTACK, FakeFirewall, FakeModel, firewall, intel_home, make

__all__ = ["ATTACK", "FakeModel", "firewall", "intel_home", "make"]

ROLE_NAMES = ("viewer", "analyst", "approver", "operator", "admin")


class Asker:
    """A client that holds a token."""

    def __init__(self, client: TestClient, token: str) -> None:
        self._client, self.token = client, token

    def __call__(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} | more.pop("headers", {})
        return self._client.request(method, path, headers=headers, **more)

    def get(self, path: str, **more: Any) -> Any:
        return self("GET", path, **more)

    def post(self, path: str, **more: Any) -> Any:
        return self("POST", path, **more)


class Rig:
    """A running server, the Aegis under it, and one person of each role."""

    def __init__(self, aegis: Aegis, client: TestClient, firewall: FakeFirewall) -> None:
        self.aegis, self.client, self.firewall = aegis, client, firewall
        self.parts = client.app.state.parts  # type: ignore[attr-defined]

    def token(self, name: str, *roles: Any) -> str:
        return self.aegis.store.add_token(name, roles, AEGIS, valid_for=timedelta(days=1))

    def person(self, name: str, *roles: Any) -> Asker:
        return Asker(self.client, self.token(name, *roles))

    def waiting(self, **alert: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """A case and one of its actions that wait."""
        case = self.aegis.investigate(ATTACK | alert).to_dict()
        action = next(a for a in case["actions"] if a["outcome"] == "awaiting_approval" and a["action"] == "block_ip")
        return case, action

    def entries(self, kind: str) -> list[dict[str, Any]]:
        return [e.body for e in self.aegis.store.entries(kind=kind, limit=1000) if e.body is not None]


@pytest.fixture
def serving(make: Callable[..., Aegis], firewall: FakeFirewall) -> Callable[..., Any]:
    """A context manager: a rig with these server settings (`settings` are the library's)."""

    @contextmanager
    def serve(settings: dict[str, Any] | None = None, **server: Any) -> Iterator[Rig]:
        aegis = make(**(settings or {}))
        app = create_app(aegis, ServerSettings(**server))
        with TestClient(app, raise_server_exceptions=False) as client:
            yield Rig(aegis, client, firewall)

    return serve


@pytest.fixture
def rig(serving: Callable[..., Any]) -> Iterator[Rig]:
    with serving() as made:
        yield made


@pytest.fixture
def listening() -> Callable[..., Any]:
    """A context manager: a server over an Aegis that really listens on loopback; answers its URL."""

    @contextmanager
    def listen(aegis: Aegis, **given: Any) -> Iterator[str]:
        settings = ServerSettings(port=0, **given)
        server = make_server(create_app(aegis, settings), settings)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            until = time.monotonic() + 20
            while not server.started and time.monotonic() < until:
                time.sleep(0.01)
            scheme = "https" if settings.tls_certificate else "http"
            host, port = server.servers[0].sockets[0].getsockname()[:2]
            yield f"{scheme}://{host}:{port}"
        finally:
            server.should_exit = True
            thread.join(30)

    return listen
