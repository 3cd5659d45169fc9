"""Work that is the same for all who ask: done once for everybody who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aegis_agents.server.workroom import Workroom


class Shared:
    """Runs one look-up at a time. Who comes while it runs waits for the next, together with all others who came."""

    def __init__(self, workroom: Workroom) -> None:
        self._workroom = workroom
        self._running: asyncio.Task[Any] | None = None
        self._next: asyncio.Task[Any] | None = None

    async def read(self, function: Callable[[], Any]) -> Any:
        """The answer of a look-up that began after this was called."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running, function))
        return await asyncio.shield(self._next)

    async def _after(self, before: asyncio.Task[Any] | None, function: Callable[[], Any]) -> Any:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._next = self._next, None  # who comes from here on is too late for this one
        return await self._workroom.read(function)
