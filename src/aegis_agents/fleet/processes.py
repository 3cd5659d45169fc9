"""Several workers on one machine: each a process of its own, watched, and started again when it dies."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, Literal, NamedTuple

from aegis_agents.errors import (
    AegisError,
    IntelTampered,
    LedgerTampered,
    ModelTampered,
    PolicyError,
    SettingsError,
    StoreError,
)
from aegis_agents.fleet.opening import Opener, opened
from aegis_agents.fleet.outcomes import reason
from aegis_agents.fleet.worker import Report, Worker

_log = logging.getLogger("aegis_agents.fleet")
WINDOW_S = 300.0
"""Deaths longer ago are forgotten."""
GRACE_S = 60.0
"""How long a process that was told to stop may finish what it is at; then it is ended, and nothing is lost by it."""
STUCK = 70
"""Exit code of a process that ended itself since it was stuck (EX_SOFTWARE of sysexits.h)."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
FATAL = {2: "its settings are wrong", 3: "a file or the ledger is not what it was (tampered)"}
"""Exit codes that starting again can't mend."""


class Ended(NamedTuple):
    """How a fleet ended."""

    code: int
    """0 as it was told to; 1 it gave up; 2 and 3 as of its workers (see FATAL)."""
    why: str
    decided: int
    dead: int
    again: int


class Processes:
    """`count` workers, each opened by `opener` in a process of its own.

    `restarts` processes may end by themselves within five minutes; with one more, all are stopped. `say` is told what
    happens, in one line each. `method` is how processes are started: anew by default, so that no lock, thread or
    connection of this process comes along.
    """

    def __init__(
        self, opener: Opener, count: int, *, restarts: int = 5, until_empty: bool = False,
        say: Callable[[str], None] = _log.warning, method: Literal["spawn", "forkserver"] = "spawn",
    ) -> None:  # fmt: skip
        self._opener, self._count, self._restarts, self._until_empty = opener, count, restarts, until_empty
        self._say = say
        self._context: Any = multiprocessing.get_context(method)
        self._living: dict[int, tuple[Any, Connection]] = {}
        self._deaths: deque[float] = deque()
        self._reports: list[Report] = []

    def run(self, stop: threading.Event) -> Ended:
        """Run until `stop` is set, the inbox is empty where that was asked, or it gives up."""
        code, why = 0, ""
        try:
            for slot in range(self._count):
                self._start(slot)
            while self._living and not stop.is_set() and not code:
                wait([process.sentinel for process, _ in self._living.values()], timeout=0.5)
                for slot, (process, _) in list(self._living.items()):
                    if not process.is_alive():
                        code, why = self._ended(slot, stop)
                        if code:
                            break
        finally:
            self._stop_all()
        return _summed(code, why, self._reports)

    @property
    def pids(self) -> list[int]:
        """The processes that live."""
        return [process.pid for process, _ in self._living.values() if process.is_alive()]

    def _start(self, slot: int) -> None:
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_work, args=(self._opener, self._until_empty, theirs, slot), name=f"aegis-worker-{slot}"
        )
        process.start()
        theirs.close()
        self._living[slot] = (process, ours)

    def _ended(self, slot: int, stop: threading.Event) -> tuple[int, str]:
        """One ended: what that means for all. Starts another in its place if that may help."""
        code = self._collect(slot)
        if code in FATAL:
            return code, f"a worker stopped: {FATAL[code]}; its last words say which. All are stopped."
        if code == 0:
            return 0, ""  # it was told to, or the inbox is empty
        now = time.monotonic()
        self._deaths.append(now)
        while self._deaths[0] < now - WINDOW_S:
            self._deaths.popleft()
        how = "was stuck at one alert" if code == STUCK else f"ended by {_named(code)}"
        if len(self._deaths) > self._restarts:
            return 1, (
                f"{len(self._deaths)} workers ended by themselves within {WINDOW_S / 60:.0f} minutes, the last one"
                f" {how}: gives up. What they held waits for others; see the last words above, and `aegis inbox dead`."
            )
        pause = min(_FIRST_PAUSE_S * 2 ** (len(self._deaths) - 1), _LONGEST_PAUSE_S)
        self._say(f"worker {slot} {how}; another is started in {pause:.1f} s")
        if not stop.wait(pause):
            self._start(slot)
        return 0, ""

    def _collect(self, slot: int) -> int:
        """Its exit code, once it has ended; its report is kept."""
        process, pipe = self._living.pop(slot)
        process.join()
        try:
            if pipe.poll():
                self._reports.append(pipe.recv())
        except (EOFError, OSError):  # it died before it could say, or while it said
            pass
        pipe.close()
        code: int = process.exitcode
        process.close()
        return code

    def _stop_all(self) -> None:
        """Tell all that live to stop, and wait; whoever does not within the grace is ended."""
        for process, _ in self._living.values():
            process.terminate()
        until = time.monotonic() + GRACE_S
        for slot, (process, _) in list(self._living.items()):
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                self._say(
                    f"worker {slot} did not stop within {GRACE_S:.0f} s and is ended; what it held waits for others"
                )
                process.kill()
            self._collect(slot)


def _work(opener: Opener, until_empty: bool, pipe: Connection, slot: int) -> None:
    """One worker, in its process. Ends with an exit code (see FATAL)."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal; who started this one tells it
    _stop_with_parent(stop)
    workers: list[Worker] = []
    code, _ = work_until(stop, opener, until_empty, workers.append, slot)
    for worker in workers:
        pipe.send(worker.report())
    sys.exit(code)


def alone(stop: threading.Event, opener: Opener, *, until_empty: bool = False) -> Ended:
    """One worker in this process, until `stop` is set; how it ended, as of a fleet. Its errors are logged."""
    workers: list[Worker] = []
    code, _ = work_until(stop, opener, until_empty, workers.append)
    return _summed(code, "", [worker.report() for worker in workers])


def _summed(code: int, why: str, reports: list[Report]) -> Ended:
    decided, dead, again = (sum(getattr(r, name) for r in reports) for name in ("decided", "dead", "again"))
    return Ended(code, why, decided, dead, again)


def work_until(
    stop: threading.Event, opener: Opener, until_empty: bool, begun: Callable[[Worker], None] = lambda _: None,
    number: int = 0,
) -> tuple[int, str]:  # fmt: skip
    """Open a worker, the `number`th of this machine, tell `begun` of it, and run it until `stop` is set: its exit code, and why. Errors are logged.

    A database that is away is waited for, unless it is to end `until_empty`.
    """
    pause, opening = _FIRST_PAUSE_S, True
    while True:
        try:
            with opened(opener, number, when_stuck=lambda: os._exit(STUCK)) as worker:
                opening = False
                begun(worker)
                trouble = worker.run(stop, until_empty=until_empty).trouble
            return (1, trouble) if until_empty and trouble else (0, "")
        except AegisError as error:
            why = reason(error)
            match error:
                case LedgerTampered() | ModelTampered() | IntelTampered():
                    code, why = 3, f"tampered: {why}"
                case SettingsError() | PolicyError():
                    code = 2
                case StoreError() if opening and not until_empty:
                    _log.error("waiting to open: %s", why)
                    if stop.wait(pause):
                        return 0, ""
                    pause = min(2 * pause, _LONGEST_PAUSE_S)
                    continue
                case _:
                    code = 1
            _log.critical("%s", why)
            return code, why


def _stop_with_parent(stop: threading.Event) -> None:
    """Nobody would tell a worker to stop whose parent was killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            stop.set()

    threading.Thread(target=watch, name="aegis-parent", daemon=True).start()


def _named(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"
