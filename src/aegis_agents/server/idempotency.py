"""Idempotency-Key: a request that comes again is answered as the first time, and does nothing twice.

draft-ietf-httpapi-idempotency-key-header: a key belongs to who sent it and to one request; with another request it
is 422. Answers are kept in the store's database, written in one commit with the access itself, so that they survive
a restart. Only answers that changed something (2xx) are kept: after an error the same key tries again. Where a crash
comes between a change and its answer, the library's own guards hold: an alert is one case, an action is answered once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from aegis_agents.ledger.served import Answered, Served
from aegis_agents.records import Principal
from aegis_agents.server.answers import afterwards, digest_of
from aegis_agents.server.people import sender
from aegis_agents.server.problems import Refused
from aegis_agents.server.workroom import Workroom

LONGEST_KEY = 255
_WAIT_S = 30.0
"""How long a second request waits for the first of its key."""


class Idempotency:
    """Requests by key: those that were answered, and those under way in this process."""

    def __init__(self, served: Served, workroom: Workroom) -> None:
        self._served, self._workroom = served, workroom
        self._under_way: dict[str, tuple[str, asyncio.Event]] = {}

    async def once(
        self, request: Request, who: Principal, body: bytes, work: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Do the work, or answer what was answered to the same request before.

        Raises Refused: 422 for a key that is none or was used for another request, 409 while the first is at work.
        """
        key = request.headers.get("idempotency-key")
        if key is None:
            return await work()
        if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
            raise Refused(
                422, "invalid_input", "is no key", field="Idempotency-Key", fix=f"1 to {LONGEST_KEY} printable ASCII characters"
            )  # fmt: skip
        digest = digest_of(sender(who), key)
        asked = digest_of(request.method, request.url.path, request.url.query, body)
        while (held := self._under_way.get(digest)) is not None:
            _same(held[0], asked)
            try:
                await asyncio.wait_for(held[1].wait(), _WAIT_S)
            except TimeoutError as error:
                detail = "the first request with this key is still at work"
                raise Refused(409, "in_progress", detail, retry_after=5) from error
        over = asyncio.Event()
        self._under_way[digest] = (asked, over)
        afterwards(request, lambda: self._leave(digest, over))  # when its answer is kept, or never will be
        before = await self._workroom.read(lambda: self._served.answered(digest))
        if before is not None:
            _same(before.request, asked)
            replayed = {"Idempotency-Replayed": "true"}
            return Response(before.body, before.status, replayed, "application/json")
        response = await work()
        if 200 <= response.status_code < 300:
            answered = Answered(asked, response.status_code, bytes(response.body).decode("utf-8", "backslashreplace"))
            request.state.changes = [lambda: self._served.keep(digest, answered)]
        return response

    def _leave(self, digest: str, over: asyncio.Event) -> None:
        self._under_way.pop(digest, None)
        over.set()


def _same(before: str, asked: str) -> None:
    if before != asked:
        raise Refused(
            422, "idempotency_key_reused", "was used for another request", field="Idempotency-Key", fix="a new key for a new request"
        )  # fmt: skip
