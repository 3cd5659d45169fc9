"""A worker: takes alerts from the inbox, decides them one after another, and answers for each.

Deciding is bound by the CPU, so one worker uses one core; more cores take more processes (`processes`, `cluster`).
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from aegis_agents._version import __version__
from aegis_agents.aegis import Aegis
from aegis_agents.errors import InputError, StoreError
from aegis_agents.fleet.holding import Holding
from aegis_agents.fleet.leading import Everybody, open_leading
from aegis_agents.fleet.outcomes import fate, reason
from aegis_agents.fleet.ready import Readiness
from aegis_agents.fleet.ticks import Tick, Ticks, standing_ticks
from aegis_agents.inbox.copies import note_copies
from aegis_agents.inbox.inbox import Inbox
from aegis_agents.inbox.records import Held
from aegis_agents.settings_fleet import WorkerSettings
from aegis_agents.tools.owners import this_process

_log = logging.getLogger("aegis_agents.fleet")
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 15.0
"""How long is waited for a database that is away, at first and at most; doubled each time."""
MOST_WAITS = 5
"""So often is waited with one alert while the database answers: then it is the alert, and not the database."""


class Report(NamedTuple):
    """What a worker has done so far, and what it is; no word of any alert."""

    owner: str
    version: str
    """The version of the package."""
    model: str
    """Name and manifest hash of the weights; empty before they are loaded."""
    decided: int
    """Alerts that have their case, those that had one before included."""
    dead: int
    """Set aside: never to be decided."""
    again: int
    """Left to be tried again."""
    lost: int
    """Held too long, and taken by others meanwhile."""
    errors: dict[str, int]
    """Errors by name."""
    trouble: str
    """What keeps it from taking anything now; empty if nothing does."""
    idle: bool
    """Whether nothing waited when it last asked."""


class Worker:
    """Works on an inbox with an Aegis. `ticks` are done now and then besides the standing ones, by one worker of all;
    `own_ticks` by each for itself.

    `when_stuck` is called, from another thread, when one alert takes longer than `worker.longest_s`; a process of a
    fleet ends itself there. Use one from one thread; `report` may be asked from any.
    """

    def __init__(
        self,
        aegis: Aegis,
        inbox: Inbox,
        settings: WorkerSettings | None = None,
        ticks: Sequence[Tick] = (),
        *,
        own_ticks: Sequence[Tick] = (),
        when_stuck: Callable[[], None] = lambda: None,
    ) -> None:
        self._aegis, self._inbox = aegis, inbox
        self._settings = settings or aegis.settings.worker
        self._when_stuck = when_stuck
        # Two workers of one process are two: each lets go of its own.
        self.owner = f"{this_process()}#{secrets.token_hex(3)}"
        self._ticks = Ticks((*standing_ticks(aegis, inbox), *ticks), open_leading(aegis.settings))
        self._own_ticks = Ticks(own_ticks, Everybody())
        self._ready = Readiness(aegis.settings)
        self._counts: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._trouble, self._idle = "", False

    def run(self, stop: threading.Event, *, until_empty: bool = False) -> Report:
        """Work until `stop` is set, or with `until_empty` until nothing waits that may be taken now.

        What it is at is finished; what it only holds is given back. Raises LedgerTampered, ModelTampered and
        IntelTampered, which a person has to look into; nothing else ends it.
        """
        hold_s = self._aegis.settings.inbox.hold_s
        longest = self._settings.longest_s
        with Holding(self._inbox, self.owner, hold_s=hold_s, longest_s=longest, when_stuck=self._when_stuck) as holding:
            try:
                wait = FIRST_WAIT_S
                while not stop.is_set():
                    self._own_ticks.run_due(holding.watched)
                    self._ticks.run_due(holding.watched)
                    if not self._ready():
                        if until_empty:
                            break
                        stop.wait(self._settings.idle_s)
                        continue
                    try:
                        taken = self._inbox.take(self.owner, self._settings.batch)
                    except StoreError as error:
                        self._is_in_trouble(error)
                        stop.wait(wait)
                        wait = min(2 * wait, LONGEST_WAIT_S)
                        continue
                    wait = FIRST_WAIT_S
                    self._trouble, self._idle = "", not taken
                    if taken:
                        self._work(taken, holding, stop)
                    elif until_empty:
                        break
                    else:
                        stop.wait(self._settings.idle_s)
            finally:
                self._ticks.close()
        return self.report()

    def report(self) -> Report:
        """What it has done so far."""
        context = self._aegis.__dict__.get("context")  # asking for it would load a model
        model = context.model.version if context is not None else ""
        return Report(
            self.owner, __version__, model, self._counts["decided"], self._counts["dead"], self._counts["again"],
            self._counts["lost"], dict(self._errors), self._trouble or self._ready.wrong, self._idle,
        )  # fmt: skip

    def _work(self, taken: list[Held], holding: Holding, stop: threading.Event) -> None:
        """Answer for each: first what was never taken before, then each other by itself.

        One that was taken before may be what ended the process that took it: it must not take others along.
        """
        holding.take(held.number for held in taken)
        left = sorted(taken, key=lambda held: held.attempts > 1)
        try:
            while left and not stop.is_set():
                held = left[0]
                if held.attempts > 1 and self._give_back(left[1:]):
                    left = [held]
                if not holding.begin(held.number):
                    self._counts["lost"] += 1
                elif not self._answer_for(held, holding, stop):
                    break
                holding.let_go(held.number)
                left.pop(0)
        finally:
            holding.take(())
            self._give_back(left)

    def _give_back(self, left: list[Held]) -> bool:
        """Let others take what was not begun. False if that can't be: their time passes, and they are taken then."""
        if not left:
            return False
        try:
            self._inbox.give_back(self.owner, [held.number for held in left])
        except StoreError as error:
            _log.warning("%d alerts can't be given back: %s", len(left), reason(error))
            return False
        return True

    def _answer_for(self, held: Held, holding: Holding, stop: threading.Event) -> bool:
        """Decide one, or say why not; while there is no database, wait with it. False if it was told to stop meanwhile."""
        waits, wait = 0, FIRST_WAIT_S
        while True:
            try:
                self._decide(held)
                self._trouble = ""
                return True
            except Exception as error:  # each has its consequence, and is counted
                self._errors[type(error).__name__] += 1
                follows = fate(error)
                if follows == "stop":
                    _log.critical("alert %d: %s", held.number, reason(error))
                    raise
                if follows == "wait" and waits < MOST_WAITS:
                    self._is_in_trouble(error)
                elif self._set_aside(held, error, follows):
                    return True
            if stop.wait(wait):
                return False
            wait = min(2 * wait, LONGEST_WAIT_S)
            try:
                if not holding.keeps(held.number):
                    self._counts["lost"] += 1
                    return True
                waits += 1
            except StoreError as error:
                self._is_in_trouble(error)

    def _decide(self, held: Held) -> None:
        message = held.message
        text = message.native.removeprefix("\ufeff")
        if not text.lstrip().startswith("{"):  # other text would be taken for a path
            raise InputError("is no JSON object", field="the alert", fix="give one alert as {...}")
        incident_id = held.incident_id
        try:
            incident_id = self._aegis.investigate(text, format=message.format).incident_id
        except InputError:
            if held.incident_id not in self._aegis.store.forgotten():  # it had its case, long ago
                raise
        note_copies(self._aegis.store, incident_id, self._inbox.copies(held.incident_id))
        if not self._inbox.done(self.owner, held.number):
            self._counts["lost"] += 1
        self._counts["decided"] += 1

    def _set_aside(self, held: Held, error: Exception, follows: str) -> bool:
        """Write down that one could not be decided. False while there is no database to write it to."""
        why = reason(error)
        try:
            if follows == "kill":
                self._inbox.kill(self.owner, held.number, why)
                self._counts["dead"] += 1
                _log.warning("alert %d is set aside: %s", held.number, type(error).__name__)
            else:
                dead = self._inbox.again(self.owner, held.number, why)
                self._counts["dead" if dead else "again"] += 1
                _log.warning("alert %d %s: %s", held.number, "is set aside" if dead else "is tried again later", why)
        except StoreError as away:
            self._is_in_trouble(away)
            return False
        return True

    def _is_in_trouble(self, error: Exception) -> None:
        found = reason(error)
        if found != self._trouble:
            _log.error("waiting: %s", found)
        self._trouble = found
