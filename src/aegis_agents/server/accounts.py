"""Every access, in the ledger: no answer leaves before its entry is committed.

Who is authenticated gets an entry each. What was refused to anybody else is counted, and summarised at most once a
minute, so that nobody who has no token can fill the disk. Also here, since every request passes: figures, security
headers, the request's id, and what to answer when something breaks.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aegis_agents.errors import AegisError
from aegis_agents.records import Principal
from aegis_agents.server.doorkeeper import host_of
from aegis_agents.server.parts import Parts
from aegis_agents.server.problems import Refused, problem_of, respond
from aegis_agents.server.rates import address_of

ACCESS = "access"
"""Ledger entry: somebody who is known asked for something, and what they were answered."""
REFUSED = "access.refused"
"""Ledger entry: how often nobody who is known was refused, in about a minute."""
_MOST_ADDRESSES = 1_000
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)
_log = logging.getLogger("aegis.server")


class Accounts:
    """ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp, parts: Parts, tally: Tally) -> None:
        self._app, self._parts, self._tally = app, parts, tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        answer = _Answer(self._parts, self._tally, scope, send)
        state["request_id"] = answer.request_id
        try:
            await self._app(scope, receive, answer.send)
        except AegisError as error:
            await answer.say(problem_of(error), receive)
        except Exception:  # noqa: BLE001 - a mistake of ours: the log has it, whoever asked gets no details
            _log.exception("request %s broke", answer.request_id)
            await answer.say(Refused(500, "internal", f"something broke; its number is {answer.request_id}"), receive)
        finally:
            for step in state.get("after", ()):
                step()


class _Answer:
    """One answer on its way out."""

    def __init__(self, parts: Parts, tally: Tally, scope: Scope, send: Send) -> None:
        self._parts, self._tally, self._scope, self._send = parts, tally, scope, send
        self._begun, self._started, self._replaced = time.perf_counter(), False, False
        self.request_id = uuid.uuid4().hex[:16]

    async def say(self, refused: Refused, receive: Receive) -> None:
        """Answer an error, unless the answer has begun: then it is cut off."""
        if self._started:
            raise refused
        await respond(refused)(self._scope, receive, self.send)

    async def send(self, message: Message) -> None:
        """Passed to the application as `send`."""
        if message["type"] == "http.response.start" and not self._started:
            try:
                await self._enter(message["status"])
            except AegisError as error:
                # Not in the ledger: not done, as far as whoever asks can know. Asking again is safe.
                self._started = self._replaced = True
                return await self._instead(problem_of(error))
            self._started = True
            self._complete(message)
        if not self._replaced:
            await self._send(message)

    def _complete(self, message: Message) -> None:
        """What every answer's head has."""
        headers = MutableHeaders(scope=message)
        for name, value in _HEADERS:
            headers.setdefault(name, value)
        if self._scope.get("scheme") == "https":
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        headers["X-Request-Id"] = self.request_id

    async def _instead(self, refused: Refused) -> None:
        async def nothing() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._complete(message)
            await self._send(message)

        await respond(refused)(self._scope, nothing, send)

    async def _enter(self, status: int) -> None:
        scope, state = self._scope, self._scope["state"]
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = _template(scope)
        metrics = self._parts.metrics
        metrics.requests.labels(method, route, str(status)).inc()
        metrics.seconds.labels(method, route).observe(time.perf_counter() - self._begun)
        who, changes = state.get("principal"), state.pop("changes", [])
        if isinstance(who, Principal):
            body: dict[str, Any] = {
                "principal": who.entry(), "method": method, "route": route, "status": status,
                "address": host_of(scope), "request": self.request_id,
            }  # fmt: skip
            if status < 400 and scope.get("path_params"):
                body["ids"] = {k: str(v)[:200] for k, v in scope["path_params"].items()}
            store = self._parts.aegis.store
            await self._parts.scribe.write(*changes, lambda: store.append(ACCESS, None, body))
        elif status in (401, 403, 429):
            self._tally.count(status, address_of(host_of(scope)))


def _template(scope: Scope) -> str:
    """The route's own words ("/v1/incidents/{incident_id}"): paths are anybody's, and without end."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else "none"


class Tally:
    """Counts what nobody who is known was refused."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._addresses: Counter[str] = Counter()

    def count(self, status: int, address: str) -> None:
        """Count one refusal; of many addresses only the first thousand are told apart."""
        self._counts[str(status)] += 1
        if address in self._addresses or len(self._addresses) < _MOST_ADDRESSES:
            self._addresses[address] += 1

    def summary(self) -> dict[str, Any] | None:
        """What there was since the last summary; None if nothing."""
        if not self._counts:
            return None
        counts, self._counts = self._counts, Counter()
        addresses, self._addresses = self._addresses, Counter()
        return {"counts": dict(counts), "addresses": len(addresses), "most": dict(addresses.most_common(10))}
