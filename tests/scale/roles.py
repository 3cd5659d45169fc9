"""What is killed at scale: who brings alerts, who works on them, who answers. Each is a function for a process of its own.

Every worker has a home of its own, as another machine would: an anchor, a lock, no file shared but the key of the ledger
and the world that actions change. What is shared is PostgreSQL.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from aegis_agents import Aegis
from aegis_agents.errors import AegisError, InboxFull, StoreError
from aegis_agents.fleet.opening import opened
from aegis_agents.gate import Gate
from aegis_agents.inbox.inbox import Inbox
from aegis_agents.inbox.opening import open_inbox
from aegis_agents.inbox.records import Mark, Message
from aegis_agents.intel import Intel
from aegis_agents.settings import Settings, only
from tests.crash.worker import LIFETIMES, Spec, SureModel, _large_budgets, alert, note, one_answer, wanted
from tests.crash.world import Fuse, World, WorldConnector

T = TypeVar("T")
STREAM = "campaign"
BATCH = 8
HOLD_S = 4.0
"""So long is what a killed worker held its own: then another takes it."""
CALM = "calm"
"""A file that tells the feeder that nothing is killed any more: it keeps the last messages for then."""
NO_ALERT = "{this is no alert"


@dataclass(frozen=True)
class Load:
    """What comes in: so many incidents, in a stream of messages that repeats some and brings some that are no alerts."""

    seed: int
    incidents: int

    def messages(self) -> list[Message]:
        """The whole stream, the same each time: about a third are copies, one in fifty can't be read."""
        dice = random.Random(f"load-{self.seed}")
        found: list[str] = []
        for number in range(self.incidents):
            text = json.dumps(alert(self.seed, number))
            found += [text] * (dice.choice((2, 3, 12)) if dice.random() < 0.1 else 1)
            if dice.random() < 0.02:
                found.append(f"{NO_ALERT} {number}")
        # Copies don't come all at once: some when the first has its case already.
        for _ in range(len(found) // 10):
            a, b = dice.randrange(len(found)), dice.randrange(len(found))
            found[a], found[b] = found[b], found[a]
        return [Message(STREAM, text, position=str(at)) for at, text in enumerate(found)]


def settings(spec: Spec, machine: int | str) -> Settings:
    """The settings of one machine."""
    return only(
        home=spec.home / f"machine-{machine}", database=spec.database, database_schema=spec.schema,
        ledger_key=spec.file("ledger.key"), threads=1, lifetimes=LIFETIMES, undo_window=0.00015,
        inbox={"hold_s": HOLD_S, "attempts": 50, "fold_minutes": 0.0},
        worker={"batch": 4, "idle_s": 0.05, "recover_s": 2.0, "watch": False},
    )  # fmt: skip


def open_machine(spec: Spec, machine: int | str) -> Aegis:
    """Aegis on one machine: the real thing but for model, gate's limits and the world."""
    model, dice = SureModel(), random.Random(f"{spec.seed}-{machine}-{os.getpid()}")
    connector = WorldConnector(World(spec.file("world.sqlite")), Fuse(), dice)
    aegis = Aegis(model=model, intel=Intel.open(spec.intel, model), tools=[connector], settings=settings(spec, machine))
    gate = Gate(
        autonomy="act", kill_switch=spec.home / "KILL", risk={"contain": 0.5},
        matrix={"block_ip": {"standard": "act_undo"}, "disable_user": {"standard": "act"}},
        budgets=_large_budgets(), assets={"groups": {"executives": {"users": ["ceo*"]}}},
    )  # fmt: skip
    aegis.__dict__["context"] = replace(aegis.context, gate=gate)
    return aegis


def opener(spec: Spec, machine: int | str) -> Callable[[], Aegis]:
    """What another process opens it with."""
    return partial(_open_patiently, spec, machine)


def _open_patiently(spec: Spec, machine: int | str) -> Aegis:
    """A database that is away when a worker starts is waited for, as whoever starts the service again would."""
    until = time.monotonic() + 30
    while True:
        aegis = None
        try:
            aegis = open_machine(spec, machine)
            _ = aegis.graph  # its checkpoints have a connection of their own
            return aegis
        except StoreError:
            if aegis is not None:
                aegis.close()
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def work(spec: Spec, machine: int) -> None:
    """Be a worker until the file "stop" is there, or SIGTERM says that another takes its place."""

    def run() -> None:
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        logging.getLogger("aegis_agents.fleet").addHandler(Unexpected(spec))
        threading.Thread(target=_watch, args=(spec, stop), daemon=True).start()
        with opened(opener(spec, machine)) as worker:
            note(spec, f"ready-{spec.life}", "")
            report = worker.run(stop)
            note(spec, "reports", f"decided {report.decided}, again {report.again}, lost {report.lost} {report.errors}")

    _reported(spec, run)


class Unexpected(logging.Handler):
    """Writes down, whole, what a worker survived and should not have met: errors that are none of ours."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(logging.WARNING)
        self._spec = spec

    def emit(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, AegisError):
            note(self._spec, "unexpected", f"{record.getMessage()}\n{traceback.format_exc()}")


def feed(spec: Spec, load: Load, pause_s: float) -> None:
    """Bring the stream into the inbox, from its mark on; what was answered for is remembered in "put"."""

    def run() -> None:
        messages = load.messages()
        where = settings(spec, "feeder")
        inbox = _patiently(lambda: open_inbox(where))
        note(spec, f"ready-{spec.life}", "")
        try:
            at = int(_patiently(lambda: inbox.mark(STREAM, "")) or 0)
            while at < len(messages) and wanted(spec):
                start = max(0, at - 3) if at % 5 == 0 else at  # a stream may bring again what it had brought
                at = min(start + BATCH, len(messages))
                while at == len(messages) and wanted(spec) and not spec.file(CALM).exists():
                    time.sleep(0.05)
                _put(inbox, messages[start:at], Mark(STREAM, "", str(at)))
                note(spec, "put", str(at))
                time.sleep(pause_s)
            if at == len(messages):
                note(spec, "fed", "")
        finally:
            inbox.close()

    _reported(spec, run)


def _put(inbox: Inbox, messages: list[Message], mark: Mark) -> None:
    while True:
        try:
            inbox.put(messages, [mark])
            return
        except (StoreError, InboxFull):  # away, or not known whether it was kept: the same once more is harmless
            time.sleep(0.1)


def answer(spec: Spec) -> None:
    """People approve, deny, undo and keep, as it comes."""

    def run() -> None:
        dice = random.Random(f"desk-{spec.seed}-{spec.life}")
        with _open_patiently(spec, "desk") as aegis:
            note(spec, f"ready-{spec.life}", "")
            while wanted(spec):
                try:
                    one_answer(spec, aegis, dice)
                except StoreError as error:  # the database is away; nothing was answered, or it is in the journal
                    note(spec, "refusals", f"{type(error).__name__}")
                    time.sleep(0.1)
                time.sleep(dice.random() * 0.05)

    _reported(spec, run)


def _patiently(ask: Callable[[], T]) -> T:
    until = time.monotonic() + 30
    while True:
        try:
            return ask()
        except StoreError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _watch(spec: Spec, stop: threading.Event) -> None:
    while wanted(spec):
        time.sleep(0.05)
    stop.set()


def _reported(spec: Spec, run: Callable[[], None]) -> None:
    """Run it; what it raises is left where the parent finds it."""
    try:
        run()
    except BaseException:
        note(spec, "errors", f"life {spec.life}\n{traceback.format_exc()}")
        raise


def finish(spec: Spec, answered: int) -> None:
    """Recover, let every timer go off, and answer some of what waits: all that waits could be answered."""

    def run() -> None:
        with open_machine(spec, "finish") as aegis:
            aegis.recover()
            for row in aegis.pending()[:answered]:
                try:
                    aegis.approve(row.action_id, token=spec.tokens[0])
                    aegis.approve(row.action_id, token=spec.tokens[1])
                except AegisError as error:
                    note(spec, "last-answers", f"{row.action_id} {type(error).__name__}: {error}")
            until = time.monotonic() + 60
            while (left := aegis.timers()) and time.monotonic() < until:
                now = min(row.expires_at for row in left if row.expires_at is not None)
                time.sleep(max(0.0, min(1.0, now.timestamp() - time.time())))
                _let_go_off(aegis)
            aegis.recover()
            note(spec, "finished", "")

    _reported(spec, run)


def _let_go_off(aegis: Aegis) -> None:
    from datetime import UTC, datetime

    from aegis_agents.records import AEGIS

    for row in aegis.timers():
        aegis.store.set_expiry(row.action_id, datetime.now(UTC), AEGIS, "the test's end")
    aegis.expire_due()


def home_of(spec: Spec, machine: int | str) -> Path:
    """Where a machine keeps its own files."""
    return settings(spec, machine).home
