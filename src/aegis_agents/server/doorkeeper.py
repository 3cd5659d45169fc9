"""Who comes in: counts by address, asks who it is, counts by person. Before a byte of the body is read.

It looks after the API and the figures. Other paths (the console, health) have doors of their own, or none.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from aegis_agents.errors import AegisError, IdentityError
from aegis_agents.server.answers import digest_of
from aegis_agents.server.parts import Parts
from aegis_agents.server.people import unauthorised
from aegis_agents.server.problems import Refused, problem_of, respond
from aegis_agents.server.rates import address_of
from aegis_agents.settings_server import is_loopback

_MOST_HOST = 64
"""Characters of an address: what a proxy passes on may be anything."""
_MOST_SEEN = 10_000
_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")


class Doorkeeper:
    """ASGI middleware; puts the Principal into the request's state."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app, self._parts = app, parts
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._let_in(scope)
        except AegisError as error:
            await respond(problem_of(error))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _let_in(self, scope: Scope) -> None:
        parts, path, headers = self._parts, scope["path"], Headers(scope=scope)
        address = address_of(host_of(scope))
        mark = digest_of(*headers.getlist("authorization"))
        asked = path.startswith("/v1/") or (path == "/metrics" and not _is_here(scope, headers))
        # Whoever came in before is counted as a person, where it is asked who they are: strangers at the same address must
        # not keep them out.
        if not asked or mark not in self._seen:
            parts.rates.address(address)
        _named_rightly(headers, parts.settings.hosts)
        if not asked:
            return
        token = bearer(headers)
        try:
            abroad = parts.people.abroad(token)
            who = await parts.workroom.ask_who(lambda: parts.people.authenticate(token), abroad=abroad)
        except IdentityError as error:
            self._seen.pop(mark, None)
            parts.rates.failed(address)
            raise unauthorised(str(error)) from error
        self._seen[mark] = None
        self._seen.move_to_end(mark)
        if len(self._seen) > _MOST_SEEN:
            self._seen.popitem(last=False)
        parts.rates.person(who.id)
        scope.setdefault("state", {})["principal"] = who


def host_of(scope: Scope) -> str:
    """The address that a request comes from, as the server or a trusted proxy says."""
    client = scope.get("client")
    return str(client[0])[:_MOST_HOST] if client else ""


def _named_rightly(headers: Headers, hosts: tuple[str, ...]) -> None:
    """Refuse (400) a request to another name than the server's."""
    given = headers.getlist("host")
    name = _host_name(given[0]) if len(given) == 1 else ""
    wanted = [host.lower() for host in hosts]
    if hosts and not any(name == host or (host.startswith("*.") and name.endswith(host[1:])) for host in wanted):
        raise Refused(400, "wrong_host", "this server has another name", field="Host")


def _host_name(given: str) -> str:
    """The name in a Host header, without its port; "" for what is none."""
    try:
        return (urlsplit(f"//{given}").hostname or "").lower()
    except ValueError:
        return ""


def bearer(headers: Headers) -> str:
    """The token of a request. Raises Refused (401)."""
    given = headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthorised("a token is needed: Authorization: Bearer ...")
    return token.strip()


def _is_here(scope: Scope, headers: Headers) -> bool:
    """Whether it comes from this machine itself, and not through something on it that passes others on."""
    if any(name in headers for name in _FORWARDED):
        return False
    try:  # a page in a browser here can have its own name point to this machine, but must say that name
        named = _host_name(headers.get("host", ""))
        return ipaddress.ip_address(host_of(scope)).is_loopback and is_loopback(named)
    except ValueError:
        return False
