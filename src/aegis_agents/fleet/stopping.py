"""Being told to stop: SIGTERM and Ctrl-C set an event, and what is under way is finished."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set within; afterwards the signals mean what they did before.

    A second SIGINT means what it always does: somebody does not want to wait. In a thread that is not the main one no
    signal can be heard; there it is an event that only the caller sets.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {sig: signal.getsignal(sig) for sig in (signal.SIGTERM, signal.SIGINT)}

    def heard(sig: int, _frame: object) -> None:
        stop.set()
        if sig == signal.SIGINT:
            signal.signal(signal.SIGINT, before[signal.SIGINT])

    for sig in before:
        signal.signal(sig, heard)
    try:
        yield stop
    finally:
        for sig, handler in before.items():
            signal.signal(sig, handler)
