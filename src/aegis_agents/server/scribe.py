"""Writes small changes to the store, many in one commit.

With a commit for each request, two hundred clients would wait for two hundred. Whoever asks waits for the commit of
its own change; what came while the last one ran goes with the next. What is written survives the process being killed
at once. A power cut may take what came since the store last waited for the disk: a second of accesses at most, and no
answer of a person, no decision and no intent, for which the library itself waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from aegis_agents.ledger import Store

Change = Callable[[], object]
MOST_TOGETHER = 200
"""Requests in one commit: others wait for the writer's lock meanwhile."""
FLUSH_S = 1.0
"""Seconds after which a commit waits for the disk."""


class _Wanted(NamedTuple):
    changes: Sequence[Change]
    done: asyncio.Future[None]


class Scribe:
    """Group commit over a store, for one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wanted: list[_Wanted] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aegis-scribe")
        self._writing: asyncio.Task[None] | None = None
        self._flushed_at = float("-inf")

    async def write(self, *changes: Change) -> None:
        """Make these changes, all or none, and come back when they are committed. Raises what a change raises."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wanted.append(_Wanted(changes, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_on())
        await asyncio.shield(done)

    async def close(self) -> None:
        """Write what is left and let the thread go."""
        while self._writing is not None and not self._writing.done():
            await asyncio.shield(self._writing)
        self._thread.shutdown()

    async def _write_on(self) -> None:
        while self._wanted:
            batch, self._wanted = self._wanted[:MOST_TOGETHER], self._wanted[MOST_TOGETHER:]
            results = await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, batch)
            for wanted, error in zip(batch, results, strict=True):
                if wanted.done.cancelled():
                    continue
                if error is None:
                    wanted.done.set_result(None)
                else:
                    wanted.done.set_exception(error)
                    wanted.done.exception()  # seen, even if whoever asked has gone

    def _commit(self, batch: Sequence[_Wanted]) -> list[Exception | None]:
        results: list[Exception | None] = []
        flush = time.monotonic() - self._flushed_at >= FLUSH_S
        try:
            with self._store.transaction(flush=flush):
                for wanted in batch:
                    results.append(self._change(wanted.changes))
        except Exception as error:  # noqa: BLE001 - the commit itself failed: none of it is written, and each is told
            return [error] * len(batch)
        if flush:
            self._flushed_at = time.monotonic()
        return results

    def _change(self, changes: Sequence[Change]) -> Exception | None:
        """Make one request's changes within the others' transaction; what fails takes back its own alone."""
        try:
            with self._store.transaction():
                for change in changes:
                    change()
        except Exception as error:  # noqa: BLE001 - handed to the one who asked
            return error
        return None
