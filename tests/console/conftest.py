"""A console over an Aegis with a fake model, asked in-process by tabs that keep cookies as browsers do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from html import unescape
from http.cookies import SimpleCookie
from typing import Any

import pytest
from starlette.testclient import TestClient

from aegis_agents import Aegis
from aegis_agents.records import AEGIS
from aegis_agents.server.app import create_app
from aegis_agents.server.console import console_router
from aegis_agents.settings_server import ServerSettings
from tests.graph.conftest import ATTACK, FakeFirewall, FakeModel, firewall, intel_home, make

__all__ = ["ATTACK", "FakeModel", "firewall", "intel_home", "make"]


class Tab:
    """A browser's tab: its cookies, and the page that it shows."""

    def __init__(self, client: TestClient, token: str = "") -> None:
        self.client, self.token = client, token
        self.origin = str(client.base_url).rstrip("/")
        self.cookies: dict[str, str] = {}
        self.csrf = ""

    def __call__(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())} | more.pop("headers", {})
        self.client.cookies.clear()
        got = self.client.request(method, path, headers=headers, follow_redirects=False, **more)
        for line in got.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        if found := re.search(r'name="csrf" value="([^"]+)"', got.text):
            self.csrf = found[1]
        return got

    def get(self, path: str, **more: Any) -> Any:
        return self("GET", path, **more)

    def post(self, path: str, *, csrf: str | None = None, origin: str | None = None, **fields: str) -> Any:
        sent = {"csrf": self.csrf if csrf is None else csrf} | fields
        return self("POST", path, data=sent, headers={"Origin": self.origin if origin is None else origin})

    def sign_in(self, token: str | None = None, **more: str) -> Any:
        got = self.post("/login", token=token or self.token, **more)
        if got.status_code == 303:
            self.get("/help")
        return got

    def follow(self, got: Any) -> Any:
        assert got.status_code == 303, got.text
        return self.get(got.headers["location"])


class Rig:
    """A server with its console, and the Aegis under it."""

    def __init__(self, aegis: Aegis, client: TestClient, firewall: FakeFirewall) -> None:
        self.aegis, self.client, self.firewall = aegis, client, firewall

    def token(self, name: str, *roles: Any) -> str:
        return self.aegis.store.add_token(name, roles, AEGIS, valid_for=timedelta(days=1))

    def tab(self, name: str = "", *roles: Any) -> Tab:
        """A new tab; of somebody with these roles who has signed in, if a name is given."""
        tab = Tab(self.client, self.token(name, *roles) if name else "")
        if name:
            assert tab.sign_in().status_code == 303
        return tab

    def waiting(self, action: str = "block_ip", **alert: Any) -> str:
        """The id of an action that waits."""
        case = self.aegis.investigate(ATTACK | alert)
        return next(a.action_id for a in case.actions if a.action == action and a.outcome == "awaiting_approval")

    def entries(self, kind: str) -> list[dict[str, Any]]:
        return [e.body for e in self.aegis.store.entries(kind=kind, limit=1000) if e.body is not None]


@pytest.fixture
def consoles(make: Callable[..., Aegis], firewall: FakeFirewall) -> Callable[..., Any]:
    """A context manager: a rig with these settings of the server (`settings` are the library's)."""

    @contextmanager
    def open_one(
        settings: dict[str, Any] | None = None, url: str = "http://testserver", **server: Any
    ) -> Iterator[Rig]:
        aegis = make(**(settings or {}))
        app = create_app(aegis, ServerSettings(**server), routers=[console_router()])
        with TestClient(app, base_url=url, raise_server_exceptions=False) as client:
            yield Rig(aegis, client, firewall)

    return open_one


@pytest.fixture
def rig(consoles: Callable[..., Any]) -> Iterator[Rig]:
    with consoles() as made:
        yield made


@pytest.fixture
def executives(tmp_path: Any) -> dict[str, Any]:
    """Settings with a protected group: what is destroyed there needs two people."""
    assets = tmp_path / "assets.toml"
    assets.write_text('[groups.executives]\nusers = ["ceo*"]\n', "utf-8")
    return {"assets": assets}


def words_of(page: str) -> str:
    """What a page says, without its markup."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", page)))
