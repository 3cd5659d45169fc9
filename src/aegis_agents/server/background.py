"""What runs beside: lifting what is past its time, finishing what dead processes left, forgetting old answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from aegis_agents.server.accounts import REFUSED, Tally
from aegis_agents.server.parts import Parts

_log = logging.getLogger("aegis.server")
_TALLY_S = 60.0
_FORGET_S = 600.0


class Background:
    """The loops; an error is counted and logged, and the loop goes on."""

    def __init__(self, parts: Parts, tally: Tally) -> None:
        self._parts, self._tally = parts, tally
        self._tasks: list[asyncio.Task[None]] = []
        self._warmed = False

    def start(self) -> None:
        """Begin: the model is loaded first, then what a crash left is looked for, and then all of it in turns."""
        settings = self._parts.settings
        every = (
            ("recover", self._recover, settings.recover_s),
            ("expire", self._expire, settings.expire_s),
            ("refused", self.summarise, _TALLY_S),
            ("forget", self._forget, _FORGET_S),
        )
        self._tasks = [asyncio.create_task(self._loop(*one)) for one in every]

    async def stop(self) -> None:
        """End the loops; a step under way is waited for."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.summarise()

    async def _loop(self, name: str, step: Callable[[], Awaitable[None]], every: float) -> None:
        while True:
            running = asyncio.ensure_future(step())
            try:
                await asyncio.shield(running)
            except asyncio.CancelledError:
                await asyncio.wait([running])
                raise
            except Exception:  # noqa: BLE001 - one bad turn must not end the loop: counted, logged, tried again
                self._parts.metrics.background.labels(name).inc()
                _log.exception("%s failed; it is tried again in %g seconds", name, every)
            await asyncio.sleep(every)

    async def _recover(self) -> None:
        aegis, parts = self._parts.aegis, self._parts

        def work() -> None:
            if not parts.ready:
                _ = (aegis.context, aegis.graph)
                parts.ready = True
            aegis.recover()

        await asyncio.to_thread(work)
        if not self._warmed:
            self._warmed = True
            self._tasks.append(asyncio.create_task(self._warm()))

    async def _warm(self) -> None:
        """Open the assistant, so that the first question does not wait for it; without it everything else goes on."""
        try:
            await asyncio.to_thread(lambda: self._parts.aegis.assistant.warm())
        except Exception:  # noqa: BLE001 - the first question opens it then, and says what is wrong
            self._parts.metrics.background.labels("warm").inc()
            _log.exception("the assistant could not be opened; the first question tries again")

    async def _expire(self) -> None:
        await asyncio.to_thread(self._parts.aegis.expire_due)

    async def summarise(self) -> None:
        """Write what was refused to nobody who is known, if anything was."""
        found = self._tally.summary()
        if found is not None:
            store = self._parts.aegis.store
            await self._parts.scribe.write(lambda: store.append(REFUSED, None, found))

    async def _forget(self) -> None:
        kept = timedelta(hours=self._parts.settings.idempotency_hours)
        await self._parts.scribe.write(lambda: self._parts.served.forget(kept))
