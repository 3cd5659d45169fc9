"""Asynchronous SDKs for callers that are not: one event loop for all, in a thread of its own.

asyncio.run() would not do: the caller may be inside a running loop (a notebook, a server), and
an SDK's client belongs to the loop in which it was first used. Nothing that blocks may run here.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from aegis_agents.errors import TransientConnectorError

T = TypeVar("T")


_HEEDING_S = 5.0

_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}
"""This process's loop, by its process id: after a fork the thread is gone, though the loop says that it runs."""


def run(work: Coroutine[Any, Any, T], system: str, timeout_s: float) -> T:
    """The coroutine's answer, from any thread but the loop's own.

    Raises what it raises, and TransientConnectorError after `timeout_s` seconds.
    """
    try:
        waiting = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, timeout_s), _running())
        # A second lock: wait_for() itself waits for the work to heed that it was called off.
        return waiting.result(timeout_s + _HEEDING_S)
    except TimeoutError:
        raise TransientConnectorError(f"{system} did not answer within {timeout_s} s") from None


def _running() -> asyncio.AbstractEventLoop:
    with _lock:
        loop = _loops.get(os.getpid())
        if loop is None:
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="aegis-connectors", daemon=True).start()
        return loop
