"""Kills workers, the feeder, the desk, the database and Ray's nodes in turn, starts them again, and counts what broke."""

from __future__ import annotations

import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aegis_agents.inbox.opening import open_inbox
from aegis_agents.ledger.opening import open_store
from aegis_agents.records import AEGIS, ROLES
from tests.crash.campaign import context
from tests.crash.checks import journal
from tests.crash.worker import FOREIGN, Spec
from tests.crash.world import World
from tests.ledger.postgres_server import Server
from tests.scale import roles
from tests.scale.checks import breaches
from tests.scale.nodes import Nodes
from tests.scale.roles import Load

KINDS = ("worker", "feeder", "desk", "database", "upgrade")
"""What may happen to them; an upgrade is SIGTERM, so that a worker finishes what it is at, and the next one in its place."""
LONGEST_S = 180.0
ANSWERED_LAST = 10


@dataclass
class Report:
    """What a campaign did, and what was wrong in the end."""

    kills: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    """What deaths left under way, looked at after each."""
    counts: Counter[str] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Campaign:
    """One state on PostgreSQL, `workers` processes, a feeder and a desk; with `nodes`, workers on Ray besides."""

    def __init__(
        self, home: Path, intel: Path, server: Server, load: Load, *, workers: int = 2, nodes: Nodes | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:  # fmt: skip
        home.mkdir(parents=True, exist_ok=True)
        self._server, self._load, self._nodes, self._pause, self._say = server, load, nodes, 0.0, say
        self._processes, self._dice = context(), random.Random(load.seed)
        self._life = 0
        self._living: dict[str, Any] = {}
        self._roles = [f"worker {n}" for n in range(workers)] + ["feeder", "desk"]
        self.report = Report()
        spec = Spec(home, intel, server.url, f"s{load.seed}", load.seed, 0, ())
        with self._store(spec) as store:
            tokens = tuple(store.add_token(n, ROLES, AEGIS, valid_for=timedelta(days=1)) for n in ("alice", "bob"))
        self._spec = replace(spec, tokens=tokens)
        world = World(spec.file("world.sqlite"))
        for address in FOREIGN:
            world.change("apply", "block_ip", address, "")

    def run(self, kills: int, kinds: Sequence[str] = KINDS) -> Report:
        """Kill that often, each kind as often as every other; let everything finish; check."""
        began = time.monotonic()
        # The stream is to last about as long as the killing, so that the feeder too dies at work.
        lasts = kills * (7.0 if self._nodes else 2.0)
        self._pause = min(4.0, lasts * roles.BATCH / len(self._load.messages()))
        try:
            if self._nodes:
                self._nodes.start(self._spec)
            self._start_missing()
            self._wait_ready()
            for kind in itertools.islice(self._in_turn(kinds), kills):
                time.sleep(0.2 + self._dice.random() * 0.8)
                self._wait_busy()
                self._kill(kind)
                self._start_missing()
            self._spec.file(roles.CALM).touch()
            self._wait_until_done()
            self._look_at_the_living()
            self._stop()
        finally:
            for process in self._living.values():
                process.kill()
                process.join()
            if self._nodes:
                self._nodes.stop()
        self._check()
        self.report.seconds = time.monotonic() - began
        return self.report

    def _in_turn(self, kinds: Sequence[str]) -> Iterator[str]:
        while True:
            yield from self._dice.sample(list(kinds), len(kinds))

    # starting and ending

    def _start_missing(self) -> None:
        for role in self._roles:
            process = self._living.get(role)
            if process is not None and process.exitcode is None:
                continue
            if process is not None and process.exitcode == 0 and role == "feeder" and self._spec.file("fed").exists():
                continue
            if process is not None and process.exitcode not in (0, -signal.SIGKILL):
                self.report.breaches.append(f"{role} ended by itself with {process.exitcode}")
            self._start(role)

    def _start(self, role: str) -> None:
        self._life += 1
        spec, name = replace(self._spec, life=self._life), role.split()[0]
        target, arguments = {
            "worker": (roles.work, (int(role.split()[-1]) if name == "worker" else 0,)),
            "feeder": (roles.feed, (self._load, self._pause)),
            "desk": (roles.answer, ()),
        }[name]
        process = self._processes.Process(target=target, args=(spec, *arguments), daemon=True)
        process.start()
        process.life = self._life
        self._living[role] = process

    def _wait_ready(self) -> None:
        until = time.monotonic() + LONGEST_S
        while time.monotonic() < until:
            if all(self._spec.file(f"ready-{process.life}").exists() for process in self._living.values()):
                return
            if any(process.exitcode not in (None, 0) for process in self._living.values()):
                raise AssertionError(f"a process ended before it was ready: {self._errors()}")
            time.sleep(0.02)
        raise AssertionError("the processes did not become ready")

    def _wait_for(self, process: Any) -> None:
        until = time.monotonic() + LONGEST_S
        while not self._spec.file(f"ready-{process.life}").exists() and time.monotonic() < until:
            if process.exitcode is not None:
                return
            time.sleep(0.02)

    def _wait_busy(self) -> None:
        """Until somebody is at work, for a while: what dies idle shows little."""
        until, inbox = time.monotonic() + 5, open_inbox(roles.settings(self._spec, "parent"))
        try:
            while time.monotonic() < until and not inbox.counts().held:
                time.sleep(0.02)
        finally:
            inbox.close()

    def _errors(self) -> str:
        file = self._spec.file("errors")
        return file.read_text("utf-8") if file.exists() else ""

    def _kill(self, kind: str) -> None:
        """One death, and a look at what it left."""
        if kind == "database":
            self._server.crash()
            time.sleep(self._dice.random())
            self._server.start()
        elif kind in ("node", "driver"):
            assert self._nodes is not None
            self._nodes.kill(kind, self._dice)
        else:
            workers = [role for role in self._roles if role.startswith("worker")]
            process = self._living[self._dice.choice(workers) if kind in ("worker", "upgrade") else kind]
            if process.exitcode is not None:  # the feeder has brought everything
                return
            if kind == "upgrade":
                self._wait_for(process)  # before it is at work nothing of it hears SIGTERM
            process.terminate() if kind == "upgrade" else process.kill()
            process.join(LONGEST_S)
            if kind == "upgrade" and process.exitcode != 0:
                self.report.breaches.append(f"a worker that was told to stop ended with {process.exitcode}")
        self.report.kills[kind] += 1
        self._look()
        self._say(f"{self.report.kills.total()} kills, the last of {kind}; found {dict(self.report.found)}")

    def _look(self) -> None:
        """What lies there half done, just after a death."""
        with self._store(self._spec) as store:
            self.report.found["not decided"] += len(store.unfinished())
            for row in store.open_intents():
                self.report.found[row.state] += 1
            self.report.found["approved, not begun"] += len(store.approved())
            self.report.found["waiting for a person"] += len(store.pending())

    def _wait_until_done(self) -> None:
        """Until everything was brought and everything brought has its case; or nothing has moved for too long."""
        until, last = time.monotonic() + LONGEST_S, None
        inbox = open_inbox(roles.settings(self._spec, "parent"))
        try:
            while time.monotonic() < until:
                counts = inbox.counts()._replace(oldest_s=0.0)
                if self._spec.file("fed").exists() and counts.waiting + counts.held == 0:
                    return
                if counts != last:
                    until, last = time.monotonic() + LONGEST_S, counts
                    self._say(f"nothing is killed any more: {counts}")
                self._start_missing()
                time.sleep(0.1)
            self.report.breaches.append(f"nothing moved for {LONGEST_S:.0f} s: {last}")
        finally:
            inbox.close()

    def _look_at_the_living(self) -> None:
        """What a database that crashed took from workers that live on: an intent whose outcome it had not kept yet."""
        time.sleep(1.0)
        with self._store(self._spec) as store:
            old = [row for row in store.open_intents() if datetime.now(UTC) - row.updated_at > timedelta(seconds=10)]
            self.report.found["intents of the living that nobody settles"] += len(old)

    def _stop(self) -> None:
        self._spec.file("stop").touch()
        if self._nodes:
            self._nodes.stop()
        for role, process in self._living.items():
            process.join(LONGEST_S)
            if process.exitcode != 0:
                self.report.breaches.append(f"{role} ended with {process.exitcode}")
        self._life += 1
        last = self._processes.Process(
            target=roles.finish, args=(replace(self._spec, life=self._life), ANSWERED_LAST), daemon=True
        )
        last.start()
        last.join(LONGEST_S)
        if last.exitcode != 0:
            last.kill()
            self.report.breaches.append(f"the last process ended with {last.exitcode}")

    # in the end

    def _check(self) -> None:
        inbox = open_inbox(roles.settings(self._spec, "parent"))
        try:
            with self._store(self._spec) as store:
                self.report.breaches += breaches(self._spec, self._load, store, inbox)
                self._count(store, inbox)
                if self.report.breaches:  # a database that is gone tells nothing
                    rows = [row.model_dump_json() for row in journal(store)]
                    self._spec.file("journal.jsonl").write_text("\n".join(rows), "utf-8")
                    with self._spec.file("ledger.jsonl").open("w", encoding="utf-8") as out:
                        store.export(out)
        finally:
            inbox.close()

    def _count(self, store: Any, inbox: Any) -> None:
        file = self._spec.file("unexpected")
        self.report.found["unexpected errors survived"] += (
            file.read_text("utf-8").count("Traceback") if file.exists() else 0
        )
        counts, told = self.report.counts, inbox.counts()
        counts["messages"] = len(self._load.messages())
        counts["incidents"] = len(store._rows("SELECT 1 FROM intake"))
        counts["copies folded"], counts["dead letters"] = told.copies, told.dead
        counts["ledger entries"] = len(store._rows("SELECT 1 FROM ledger_entries"))
        for row in store._rows("SELECT state, count(*) AS n FROM journal GROUP BY state"):
            counts[f"actions {row['state']}"] = row["n"]
        for kind in ("action.answered", "action.begun", "action.undoing", "intake.taken_over"):
            counts[f"entries {kind}"] = store._rows("SELECT count(*) FROM ledger_entries WHERE kind = ?", (kind,))[0][0]
        counts["effective calls"] = sum(call.effective for call in World(self._spec.file("world.sqlite")).calls())

    @contextmanager
    def _store(self, spec: Spec) -> Iterator[Any]:
        home = spec.home / "machine-parent"
        home.mkdir(parents=True, exist_ok=True)
        store: Any = open_store(spec.database, home, schema=spec.schema)
        try:
            yield store
        finally:
            store.close()
