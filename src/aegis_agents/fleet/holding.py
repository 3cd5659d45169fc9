"""Keeps what a worker has taken its own while it is at work, and sees when it is stuck."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType

from aegis_agents.errors import StoreError
from aegis_agents.fleet.outcomes import reason
from aegis_agents.inbox.inbox import Inbox

_log = logging.getLogger("aegis_agents.fleet")


class Holding:
    """The alerts that `owner` holds, extended by a thread of its own until they are let go. Use it as a context manager.

    `hold_s` is how long the inbox holds them by itself; they are extended three times as often. Whoever stays at one
    alert longer than `longest_s` is stuck: `when_stuck` is called, once for that alert, and until it goes on nothing is
    extended, so that others take what it held.
    """

    def __init__(
        self, inbox: Inbox, owner: str, *, hold_s: float, longest_s: float, when_stuck: Callable[[], None]
    ) -> None:
        self._inbox, self._owner = inbox, owner
        self._every, self._longest, self._when_stuck = hold_s / 3, longest_s, when_stuck
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._held: set[int] = set()
        self._lost: set[int] = set()
        self._began: float | None = None
        self._away = False
        self._thread = threading.Thread(target=self._run, name="aegis-holding", daemon=True)

    def take(self, numbers: Iterable[int]) -> None:
        """These were taken just now."""
        with self._lock:
            self._held = set(numbers)
            self._lost.clear()

    def begin(self, number: int) -> bool:
        """Work on one begins; False if it is no longer this owner's, and somebody else's by now."""
        with self._lock:
            self._began = time.monotonic()
            return number not in self._lost

    @contextmanager
    def watched(self) -> Iterator[None]:
        """What is done within must not take longer than one alert may, or it is stuck."""
        self._began = time.monotonic()
        try:
            yield
        finally:
            self._began = None

    def let_go(self, number: int) -> None:
        """It was answered."""
        with self._lock:
            self._began = None
            self._held.discard(number)

    def keeps(self, number: int) -> bool:
        """Ask the inbox whether it is still ours, and hold it longer. Raises StoreError while there is no database."""
        still = number in self._inbox.extend(self._owner, [number])
        with self._lock:
            self._began = time.monotonic()  # the wait for the database was no work
            if not still:
                self._lost.add(number)
                self._held.discard(number)
        return still

    def _run(self) -> None:
        step = min(self._every, self._longest / 2)
        extended, stuck_since = time.monotonic(), None
        while not self._ended.wait(step):
            with self._lock:
                held, began = sorted(self._held), self._began
            now = time.monotonic()
            if began is not None and now - began > self._longest:
                if began != stuck_since:
                    stuck_since = began
                    _log.error("stuck at one alert for over %.0f s: what is held is left to others", self._longest)
                    self._when_stuck()
            elif held and now - extended >= self._every:
                extended = now
                self._extend(held)

    def _extend(self, held: list[int]) -> None:
        try:
            still = set(self._inbox.extend(self._owner, held))
        except StoreError as error:  # the worker itself waits for the database, and asks again before it goes on
            if not self._away:
                _log.warning("holds can't be extended: %s", reason(error))
            self._away = True
            return
        self._away = False
        with self._lock:
            self._lost |= set(held) - still
            self._held &= still | (self._held - set(held))

    def __enter__(self) -> Holding:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(self._every)
