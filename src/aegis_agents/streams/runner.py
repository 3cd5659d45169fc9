"""Keeps the configured streams going: a thread each; one that breaks is begun again, later each time, and the others go on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy

from tenacity import RetryCallState, Retrying, retry_if_not_exception_type, stop_never, wait_exponential, wait_random

from aegis_agents.errors import AegisError, SettingsError
from aegis_agents.inbox.inbox import Inbox
from aegis_agents.settings_streams import StreamSettings
from aegis_agents.streams.intake import Intake, Stopped, Storm
from aegis_agents.streams.kinds import make_stream
from aegis_agents.streams.stream import Stream, Tally

REPORT_S = 60.0
LOOK_S = 0.2
"""A signal that comes just before the main thread begins to wait is not heard until it waits no more: it waits briefly."""
LONGEST_PAUSE_S = 60.0
_log = logging.getLogger("aegis.streams")


class Runner:
    """The streams of a process. `say` gets lines for people: what broke, and every minute what came in.

    Raises SettingsError where two streams have one name or a format does not exist, StreamError where what a stream
    needs is not installed.
    """

    def __init__(
        self, streams: Sequence[StreamSettings], inbox: Inbox, *, say: Callable[[str], None] = _log.info,
        storm: Storm = lambda incident, copies: None,
    ) -> None:  # fmt: skip
        _check(streams)
        self._inbox, self._say, self._storm = inbox, say, storm
        self._streams: list[tuple[StreamSettings, Stream]] = [(one, make_stream(one)) for one in streams]
        self._tallies = {one.name: Tally() for one in streams}

    @property
    def tallies(self) -> Mapping[str, Tally]:
        """What each stream did, by name; it goes on changing while they run."""
        return self._tallies

    def run(self, stop: threading.Event, *, once: bool = False) -> bool:
        """Run all until `stop` is set, or, with `once`, until each has nothing more now.

        What was read by then is in the inbox when it returns, or was not marked as read. True if all went well; with
        `once` a stream that breaks is not begun again.
        """
        threads = [
            threading.Thread(target=self._keep, args=(one, stream, stop, once), name=f"aegis-stream-{one.name}")
            for one, stream in self._streams
        ]
        for thread in threads:
            thread.start()
        before = {name: copy(tally) for name, tally in self._tallies.items()}
        try:
            said = time.monotonic()
            while any(thread.is_alive() for thread in threads):
                for thread in threads:
                    thread.join(LOOK_S / len(threads))
                if time.monotonic() - said >= REPORT_S:
                    said, before = time.monotonic(), self._report(before)
        finally:
            stop.set()  # what ends this thread ends the others
            for thread in threads:
                thread.join()
        self._report(before)
        return not any(tally.last_error for tally in self._tallies.values())

    def _keep(self, one: StreamSettings, stream: Stream, stop: threading.Event, once: bool) -> None:
        tally = self._tallies[one.name]
        intake = Intake(one.name, one.format, self._inbox, stop, tally, self._storm)
        pause = wait_exponential(multiplier=0.5, max=LONGEST_PAUSE_S) + wait_random(0, 0.5)
        read = 0

        def wait(state: RetryCallState) -> float:
            nonlocal read
            if tally.read > read:  # it worked in between: this is another trouble
                read, state.attempt_number = tally.read, 1
            return pause(state)

        def broke(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            self._broke(one.name, tally, error)
            if once:
                raise Stopped

        def sleep(seconds: float) -> None:
            if stop.wait(seconds):
                raise Stopped

        trying = Retrying(
            retry=retry_if_not_exception_type((Stopped, SystemExit)), stop=stop_never, reraise=True, wait=wait,
            before_sleep=broke, sleep=sleep,
        )  # fmt: skip
        try:
            trying(self._turn, stream, intake, once, tally)
        except Stopped:
            pass

    def _turn(self, stream: Stream, intake: Intake, once: bool, tally: Tally) -> None:
        stream.run(intake, once=once)
        tally.last_error = ""

    def _broke(self, name: str, tally: Tally, error: BaseException | None) -> None:
        tally.failures += 1
        tally.last_error = f"{type(error).__name__}: {error}"[:500]
        if not isinstance(error, AegisError | OSError):  # a mistake of ours: the log has all of it
            _log.error("%s broke", name, exc_info=error)
        self._say(f"{name}: {tally.last_error}; it is begun again ({tally.failures} times by now)")

    def _report(self, before: Mapping[str, Tally]) -> dict[str, Tally]:
        """Say what happened since; answers how it is now."""
        now = {name: copy(tally) for name, tally in self._tallies.items()}
        for name, tally in now.items():
            if tally.differs(before[name]):
                self._say(f"{name}: {summary(tally)}")
        return now


def summary(tally: Tally) -> str:
    """A tally in words, without what is nought."""
    words = (
        (tally.read, "read"), (tally.new, "new"), (tally.folded, "folded"), (tally.known, "known already"),
        (tally.dead, "set aside"), (tally.too_long, "too long"), (tally.dropped, "DROPPED"), (tally.refused, "refused"),
        (tally.waits, "waits for the inbox"), (tally.failures, "failures"),
    )  # fmt: skip
    return ", ".join(f"{count} {word}" for count, word in words if count) or "nothing"


def _check(streams: Sequence[StreamSettings]) -> None:
    from aegis_agents.errors import InputError
    from aegis_agents.sources.registry import format_named

    names: set[str] = set()
    for one in streams:
        if one.name in names:
            raise SettingsError(f"streams: two are called {one.name}; each is remembered by its name")
        names.add(one.name)
        if one.format is not None:
            try:
                format_named(one.format)
            except InputError as error:
                raise SettingsError(f"streams: {one.name}: {error}") from error
