"""Request bodies: how long they may be, together and each, how long they may take, and what type they must have."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import IO

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aegis_agents.server.answers import afterwards
from aegis_agents.server.problems import Refused
from aegis_agents.settings_server import ServerSettings

SMALL_BYTES = 16_384
"""Longest body of anything but an alert."""
LARGE = frozenset({"/v1/incidents", "/v1/incidents/batch"})
_SPOOL = 1_000_000


class Held:
    """An alert's bytes, which count as held until the request is over, or whoever they were lent to gives them back."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies, self._counted, self._lent = bodies, 0, False
        self.body = b""

    def count(self, length: int) -> None:
        """Count bytes that came. Raises Refused (503) if too many are held already."""
        self._bodies.count(length)
        self._counted += length

    def lend(self) -> Callable[[], None]:
        """Let work keep them that may outlast the request; answers what it calls at its end."""
        self._lent = True
        return self._give_back

    def over(self) -> None:
        """The request is over."""
        if not self._lent:
            self._give_back()

    def _give_back(self) -> None:
        self._bodies.held -= self._counted
        self._counted = 0


class Bodies:
    """Reads bodies within limits; `held` bytes are in memory now, of all clients together."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._batches: Counter[str] = Counter()
        self.held = 0

    def count(self, length: int) -> None:
        """Hold so many bytes more. Raises Refused (503)."""
        if self.held + length > self._settings.bodies_bytes:
            raise Refused(503, "busy", "too much is being sent at once", retry_after=2)
        self.held += length

    async def alert(self, request: Request) -> Held:
        """An alert's bytes. Raises Refused (400, 408, 413, 415, 503)."""
        typed(request, "application/json")
        held, body = Held(self), bytearray()
        afterwards(request, held.over)
        async for chunk in self._chunks(request, self._settings.body_bytes):
            held.count(len(chunk))
            body += chunk
        held.body = bytes(body)
        return held

    async def batch(self, request: Request, who: str) -> IO[bytes]:
        """A batch's lines, in a temporary file that is gone when the request is over.

        Nobody has more than half of the batches that there may be at once. Raises Refused (400, 408, 413, 415, 503).
        """
        typed(request, "application/x-ndjson", "application/jsonl", "application/json-seq")
        most = self._settings.batches
        if self._batches.total() >= most or self._batches[who] >= (most + 1) // 2:
            raise Refused(503, "busy", "too many batches are under way", retry_after=10)
        self._batches[who] += 1
        file = tempfile.SpooledTemporaryFile(max_size=_SPOOL)  # noqa: SIM115 - closed when the request is over

        def over() -> None:
            file.close()
            self._batches[who] -= 1
            self._batches += Counter()  # forget who has none

        afterwards(request, over)
        async for chunk in self._chunks(request, self._settings.batch_bytes):
            await asyncio.to_thread(file.write, chunk)
        file.seek(0)
        return file

    async def _chunks(self, request: Request, most: int) -> AsyncIterator[bytes]:
        said = request.headers.get("content-length", "")
        if said.isdecimal() and int(said[:20]) > most:
            raise _too_long(most)
        length, until = 0, asyncio.get_running_loop().time() + self._settings.body_s
        stream = request.stream()
        try:
            while True:
                async with asyncio.timeout_at(until):  # around each wait, not around what is done with a chunk
                    chunk = await anext(stream, None)
                if chunk is None:
                    return
                length += len(chunk)
                if length > most:
                    raise _too_long(most)
                yield chunk
        except TimeoutError as error:
            raise Refused(408, "body_timeout", f"the body took more than {self._settings.body_s:g} seconds") from error
        except ClientDisconnect as error:
            raise Refused(400, "body_cut_off", "the body ended before its end") from error


class SmallBodies:
    """ASGI middleware: every body but an alert's or a batch's is small, and comes in time; for those see Bodies."""

    def __init__(self, app: ASGIApp, longest_s: float) -> None:
        self._app, self._longest_s = app, longest_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"] in LARGE:
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "")
        if said.isdecimal() and int(said[:20]) > SMALL_BYTES:
            raise _too_long(SMALL_BYTES)
        length, whole = 0, False
        until = asyncio.get_running_loop().time() + self._longest_s

        async def counted() -> Message:
            nonlocal length, whole
            if whole:  # what comes now is only that the client went away
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError as error:
                raise HTTPException(408, f"the body took more than {self._longest_s:g} seconds") from error
            length += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if length > SMALL_BYTES:
                raise HTTPException(413, f"the body is longer than {SMALL_BYTES} bytes")
            return message

        await self._app(scope, counted, send)


def typed(request: Request, *types: str) -> None:
    """Refuse (415) a body of another type, or one that is packed: how large it is inside nobody knows."""
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Refused(415, "unsupported_media_type", "send it as it is, not packed", field="Content-Encoding")
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    json_like = types[0] == "application/json" and given.startswith("application/") and given.endswith("+json")
    if given not in types and not json_like:
        raise Refused(415, "unsupported_media_type", f"send {types[0]}", field="Content-Type")


def _too_long(most: int) -> Refused:
    return Refused(413, "too_large", f"the body is longer than {most} bytes", fix="send less at once")


async def json_only(request: Request) -> None:
    """A dependency: a body, if there is one, is JSON."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if has_body:
        typed(request, "application/json")
