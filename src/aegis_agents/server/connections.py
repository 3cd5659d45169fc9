"""Connections that nothing comes of: who sends no whole request, or takes no answer, does not hold a place for ever.

uvicorn times only the pause between two requests. Without a token one could otherwise open as many connections as
there may be and send nothing, or a byte a minute. Requests are read by h11, which is strict about where one ends and
the next begins (RFC 9112, request smuggling) and bounds what heads and trailers hold in memory.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
"""Seconds for a request's head to come whole, from the connection or from the answer before on."""
TAKE_S = 60.0
"""Seconds for which a client may take nothing of an answer."""
SPARE = 64
"""Connections beyond the most that are still answered 503; what comes then is closed unheard."""


class BoundedConnection(H11Protocol):
    """One connection of uvicorn's, with an end to waiting."""

    _head: asyncio.TimerHandle | None = None
    _take: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connects."""
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency + SPARE:
            transport.abort()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Some bytes came."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """An answer was sent, or lies in the connection's buffer."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """The client takes less than it is sent."""
        super().pause_writing()
        if self._take is None:
            self._take = self.loop.call_later(TAKE_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It takes again."""
        super().resume_writing()
        _cancel(self._take)
        self._take = None

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        _cancel(self._head)
        _cancel(self._take)
        self._head = self._take = None
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            _cancel(self._head)
            self._head = None
        elif self._head is None and not self.transport.is_closing():
            self._head = self.loop.call_later(HEAD_S, self._no_request)

    def _no_request(self) -> None:
        self._head = None
        if self.transport.get_write_buffer_size() == 0:
            self.transport.abort()
            return
        self.transport.close()  # the last answer is still being taken
        self._head = self.loop.call_later(TAKE_S, self.transport.abort)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
