"""Where work is done: a bounded number of threads, and a waiting room that can be full.

Investigating is bound by the processor, so that more at once would only make each slower. What waits costs memory:
when the room is full, who comes is told when to come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from aegis_agents.server.problems import Refused

T = TypeVar("T")
READERS = 4
"""Threads for look-ups in the store."""
DOORS = 2
"""Threads that look tokens up, and as many that wait for an identity provider: neither waits behind what is read."""
WAITING_TO_ACT = 32
"""Answers of people that wait for such a thread; what comes then is told to come again."""
ACTORS = 8
"""Threads for what people answer: they wait for other systems more than for the processor."""


class Workroom:
    """Threads that investigate and act, and others that only read; one event loop's."""

    def __init__(self, workers: int, waiting_room: int) -> None:
        self._most = workers + waiting_room
        self._inside = self._acting = 0
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="aegis-work")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="aegis-read")
        self._actors = ThreadPoolExecutor(ACTORS, thread_name_prefix="aegis-act")
        self._doors = {abroad: ThreadPoolExecutor(DOORS, thread_name_prefix="aegis-door") for abroad in (False, True)}

    @property
    def inside(self) -> int:
        """How much is under way or waits."""
        return self._inside

    async def work(self, function: Callable[[], T], *, patient: bool = False) -> T:
        """Run it in a worker and answer its result. It is run to its end even if whoever asked goes away.

        Raises Refused (503) if the waiting room is full, unless `patient`: a batch brings one line at a time.
        """
        return await asyncio.shield(asyncio.wrap_future(self._begin(self._workers, function, patient)))

    async def act(self, function: Callable[[], T]) -> T:
        """Carry out what a person said: as `work`, in threads and a waiting room of its own.

        A system that acts may take its time, and a flood of alerts must not keep people from denying and undoing.
        """
        if self._acting >= ACTORS + WAITING_TO_ACT:
            raise Refused(503, "busy", "too many answers of people are under way", retry_after=2)
        loop, future = asyncio.get_running_loop(), self._begin(self._actors, function, True)
        self._acting += 1
        future.add_done_callback(
            lambda _: self._leave(loop, self._acted)
        )  # not earlier, though whoever asked goes away
        return await asyncio.shield(asyncio.wrap_future(future))

    async def read(self, function: Callable[[], T]) -> T:
        """Run a look-up; it does not wait behind investigations."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, function)

    async def ask_who(self, function: Callable[[], T], *, abroad: bool) -> T:
        """Find out who somebody is; `abroad` where an identity provider may have to be waited for."""
        return await asyncio.get_running_loop().run_in_executor(self._doors[abroad], function)

    async def stream(
        self, make: Callable[[], Iterator[T]], *, over: Callable[[], None] = lambda: None
    ) -> AsyncIterator[T]:
        """The items of an iterator that is run in a worker, as they come; it is run to its end in any case.

        `over` is called, in the event loop, when it has ended or could not begin.
        """
        loop, items = asyncio.get_running_loop(), asyncio.Queue[Any]()
        end = object()

        def run() -> None:
            error: Exception | None = None
            try:
                for item in make():
                    loop.call_soon_threadsafe(items.put_nowait, item)
            except Exception as raised:  # noqa: BLE001 - handed to whoever reads the stream
                error = raised
            loop.call_soon_threadsafe(items.put_nowait, (end, error))
            loop.call_soon_threadsafe(over)

        try:
            self._begin(self._workers, run, False)
        except Refused:
            over()
            raise
        while True:
            item = await items.get()
            if isinstance(item, tuple) and len(item) == 2 and item[0] is end:
                if item[1] is not None:
                    raise item[1]
                return
            yield item

    def close(self) -> None:
        """Finish what runs; what only waits is dropped, and was not taken in."""
        self._workers.shutdown(wait=True, cancel_futures=True)
        self._actors.shutdown(wait=True)
        for pool in (self._readers, *self._doors.values()):
            pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, pool: ThreadPoolExecutor, function: Callable[[], T], patient: bool) -> Future[T]:
        if self._inside >= self._most and not patient:
            raise Refused(503, "busy", "all workers are busy and the waiting room is full", retry_after=2)
        loop = asyncio.get_running_loop()
        self._inside += 1
        try:
            future = pool.submit(copy_context().run, function)  # its trace goes with it
        except RuntimeError as error:
            self._inside -= 1
            raise Refused(503, "stopping", "the server is stopping", retry_after=5) from error
        future.add_done_callback(lambda _: self._leave(loop, self._left))
        return future

    def _leave(self, loop: asyncio.AbstractEventLoop, step: Callable[[], None]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(step)

    def _acted(self) -> None:
        self._acting -= 1

    def _left(self) -> None:
        self._inside -= 1
