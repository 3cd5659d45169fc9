"""One stream's way into the inbox: waits while it is full or away, and never leaves anything out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_never, wait_exponential, wait_random

from aegis_agents.errors import InboxFull, StoreError
from aegis_agents.inbox.inbox import Inbox
from aegis_agents.inbox.records import Mark, Message
from aegis_agents.streams.stream import Entry, Tally

BATCH = 500
"""Messages taken in at once, at most."""
BATCH_BYTES = 4_000_000
"""A batch is handed over once it has so many."""
LOOK_S = 1.0
"""While waiting for the inbox, the stream looks after its connections so often."""
_log = logging.getLogger("aegis.streams")


class Stopped(Exception):
    """The stream was told to stop while it waited; what was not taken in was not marked as read either."""


Storm = Callable[[str, int], None]
"""Told of an incident whose copies passed a power of ten: (incident id, copies). It raises nothing."""


class Intake:
    """What a stream puts messages into. `stop` tells it to end; `storm` is told of incidents with many copies."""

    def __init__(
        self, name: str, format: str | None, inbox: Inbox, stop: threading.Event, tally: Tally,
        storm: Storm = lambda incident, copies: None,
    ) -> None:  # fmt: skip
        self.name, self.stop, self.tally = name, stop, tally
        self._format, self._inbox, self._storm = format, inbox, storm

    def message(self, native: str, position: str = "") -> Message:
        """A message of this stream."""
        return Message(self.name, native, position, self._format)

    def mark(self, part: str) -> str | None:
        """How far a part of it was read; waits for a store that is away. Raises Stopped."""
        for attempt in self._patiently(None):
            with attempt:
                return self._inbox.mark(self.name, part)
        raise Stopped  # pragma: no cover - the loop ends by return or raise

    def put(self, entries: Sequence[Entry], meanwhile: Callable[[], None] | None = None) -> None:
        """Take everything in, in order, waiting as long as it takes; `meanwhile` is called about every second then.

        Messages and marks are on disk when it returns. Less is taken at once where a whole batch has no room. Raises
        Stopped if it was told to stop first: what went in before is marked, the rest is not.
        """
        size = BATCH
        while entries:
            for attempt in self._patiently(meanwhile):
                with attempt:
                    size = self._some(entries, size)
            entries, size = entries[size:], min(BATCH, size * 2)

    def _some(self, entries: Sequence[Entry], size: int) -> int:
        """Take in the first, as many as there is room for; answers how many. Raises StoreError."""
        while True:
            some = entries[:size]
            messages = [entry.message for entry in some if entry.message is not None]
            marks: dict[str, Mark] = {entry.mark.part: entry.mark for entry in some if entry.mark is not None}
            try:
                taken = self._inbox.put(messages, list(marks.values()))
            except InboxFull:
                if len(some) == 1:
                    raise
                size = len(some) // 2
                continue
            tally = self.tally
            tally.read += len(messages)
            tally.new += taken.new
            tally.folded += taken.folded
            tally.known += taken.known
            tally.dead += taken.dead
            for incident, copies in taken.storms:
                _log.warning("%s: %d copies of %s by now, one incident", self.name, copies, incident)
                self._storm(incident, copies)
            return len(some)

    def _patiently(self, meanwhile: Callable[[], None] | None) -> Retrying:
        return Retrying(
            retry=retry_if_exception_type(StoreError), stop=stop_never, reraise=True, before_sleep=self._waits,
            wait=wait_exponential(multiplier=0.05, max=5.0) + wait_random(0, 0.05), sleep=lambda s: self._sleep(s, meanwhile),
        )  # fmt: skip

    def _waits(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.tally.waits += 1
        if state.attempt_number in (1, 10) or state.attempt_number % 100 == 0:
            _log.warning("%s: reading waits: %s", self.name, error)

    def _sleep(self, seconds: float, meanwhile: Callable[[], None] | None) -> None:
        while seconds > 0:
            if self.stop.wait(min(LOOK_S, seconds)):
                raise Stopped
            if meanwhile is not None:
                meanwhile()
            seconds -= LOOK_S
