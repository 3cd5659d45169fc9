"""Request bodies: how long they may be, together and each, how long they may take, and what type they must have."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aegis_agents.server.problems import Refused
from aegis_agents.settings_server import ServerSettings

SMALL_BYTES = 16_384
"""Longest body of anything but an alert."""
LARGE = frozenset({"/v1/incidents", "/v1/incidents/batch"})
_SPOOL = 1_000_000


class Bodies:
    """Reads bodies within limits; `held` bytes are in memory now, of all clients together."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self.held = 0

    @asynccontextmanager
    async def alert(self, request: Request) -> AsyncIterator[bytes]:
        """An alert's bytes; they count as held while this is open. Raises Refused (408, 413, 415, 503)."""
        _typed(request, "application/json")
        body = bytearray()
        try:
            async for chunk in self._chunks(request, self._settings.body_bytes):
                if self.held + len(chunk) > self._settings.bodies_bytes:
                    raise Refused(503, "busy", "too much is being sent at once", retry_after=2)
                self.held += len(chunk)
                body += chunk
            yield bytes(body)
        finally:
            self.held -= len(body)

    @asynccontextmanager
    async def batch(self, request: Request) -> AsyncIterator[IO[bytes]]:
        """A batch's lines, in a temporary file that is gone afterwards. Raises Refused (408, 413, 415)."""
        _typed(request, "application/x-ndjson", "application/jsonl", "application/json-seq")
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as file:
            async for chunk in self._chunks(request, self._settings.batch_bytes):
                await asyncio.to_thread(file.write, chunk)
            file.seek(0)
            yield file

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


def _typed(request: Request, *types: str) -> None:
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
        _typed(request, "application/json")
