"""Kills processes at work, starts them again, and in the end looks whether all is as it should be."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from aegis_agents.ledger.opening import open_store
from aegis_agents.records import AEGIS, ROLES
from tests.crash import worker
from tests.crash.checks import breaches, journal
from tests.crash.worker import FOREIGN, Spec
from tests.crash.world import World

POINTS = (
    "read.after", "apply.before", "apply.after", "undo.before", "undo.after", "commit.before", "commit.after",
    "checkpoint.before", "checkpoint.after",
)  # fmt: skip
LONGEST_S = 180.0


@dataclass
class Report:
    """What a campaign did: kills by how they were made, what each found under way, and what was wrong."""

    kills: int = 0
    how: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Add another campaign's."""
        self.kills += other.kills
        self.how += other.how
        self.found += other.found
        self.counts += other.counts
        self.breaches += other.breaches


def context() -> Any:
    """Processes are forked from a clean server that has imported everything, so that a start costs little."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["tests.crash.preload"])
    return found


class Campaign:
    """One state, its processes and their deaths. `database` None is SQLite."""

    def __init__(self, home: Path, intel: Path, database: str | None, seed: int) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._processes, self._dice = context(), random.Random(seed)
        self._life = 0
        self.report = Report()
        spec = Spec(home, intel, database, f"c{seed}_{os.getpid()}", seed, 0, ())
        with self._store(spec) as store:
            tokens = tuple(store.add_token(n, ROLES, AEGIS, valid_for=timedelta(days=1)) for n in ("alice", "bob"))
        self._spec = replace(spec, tokens=tokens)
        world = World(spec.file("world.sqlite"))
        for address in FOREIGN:
            world.change("apply", "block_ip", address, "")
        self._foreign_calls = len(world.calls())

    def run(self, kills: int) -> Report:
        """Kill that often, let everything finish, check."""
        living: dict[str, Any] = {}
        try:
            while self.report.kills < kills:
                self._round(living)
            self._spec.file("stop").touch()
            for role, process in living.items():
                self._join(role, process)
            self._join("finish", self._start("finish"))
        finally:
            for process in living.values():
                process.kill()
                process.join()
        with self._store(self._spec) as store:
            self.report.breaches += breaches(self._spec, store)
            self._count(store)
            if self.report.breaches:  # a database that is gone tells nothing
                rows = [row.model_dump_json() for row in journal(store)]
                self._spec.file("journal.jsonl").write_text("\n".join(rows), "utf-8")
                with self._spec.file("ledger.jsonl").open("w", encoding="utf-8") as out:
                    store.export(out)
        return self.report

    def _round(self, living: dict[str, Any]) -> None:
        """Start what is not running, then kill one or both: at a random moment, or at a point of the path."""
        dice = self._dice
        targeted = dice.random() < 0.5
        for role in ("investigate", "answer"):
            if role not in living or living[role].exitcode is not None:
                fuse = (dice.choice(POINTS), 1 + dice.randrange(12)) if targeted else None
                living[role] = self._start(role, fuse)
        if targeted:
            self._await_death(living)
        else:
            self._wait_ready(living)
            time.sleep(dice.random() * 0.6)
            victims = dice.choice((["investigate"], ["investigate"], ["answer"], ["investigate", "answer"]))
            self._kill(living, victims)
        for role in list(living):
            self._bury(living, role)

    def _wait_ready(self, living: dict[str, Any]) -> None:
        """Three times in four until all are at work; else some are killed while they open and recover."""
        if self._dice.random() < 0.25:
            return
        until = time.monotonic() + LONGEST_S
        files = [self._spec.file(f"ready-{process.life}") for process in living.values()]
        while time.monotonic() < until and not all(file.exists() for file in files):
            if any(process.exitcode is not None for process in living.values()):
                return
            time.sleep(0.005)

    def _await_death(self, living: dict[str, Any]) -> None:
        """Until one of them burns, a second and a half at work at most; then the investigator is killed where it is."""
        self._wait_ready(living)
        until = time.monotonic() + 1.5
        while time.monotonic() < until and all(p.exitcode is None for p in living.values()):
            time.sleep(0.005)
        if all(p.exitcode is None for p in living.values()):
            self._kill(living, ["investigate"])

    @staticmethod
    def _kill(living: dict[str, Any], victims: list[str]) -> None:
        for role in victims:
            if living[role].exitcode is None:
                living[role].how = f"{role}, any moment"
                living[role].kill()
        for role in victims:
            living[role].join(LONGEST_S)

    def _bury(self, living: dict[str, Any], role: str) -> None:
        process = living[role]
        if process.exitcode is None and not self._is_dying(process):
            return
        if process.exitcode != -signal.SIGKILL:
            self.report.breaches.append(f"{role} ended by itself with {process.exitcode}")
        else:
            self.report.kills += 1
            self.report.how[process.how] += 1
            self._look(process.pid)
        del living[role]

    @staticmethod
    def _is_dying(process: Any) -> bool:
        process.join(0.05)
        return process.exitcode is not None

    def _look(self, pid: int) -> None:
        """What this death left under way."""
        with self._store(self._spec) as store:
            dead = f":{pid}:"
            for row in store.unfinished():
                if dead in (row.owner or ""):
                    self.report.found[
                        "decided, no case" if store.actions(row.incident_id) else "admitted, not decided"
                    ] += 1
            for row in store.open_intents():
                if dead in (row.owner or ""):
                    self.report.found[row.state] += 1
            unfinished = {row.incident_id for row in store.unfinished()}
            self.report.found["approved, not begun"] += len(
                [r for r in store.approved() if r.incident_id not in unfinished]
            )
            self.report.found["case behind the journal"] += len(store.outdated_cases())

    def _start(self, role: str, fuse: tuple[str, int] | None = None) -> Any:
        self._life += 1
        spec = replace(self._spec, life=self._life, fuse=fuse)
        process = self._processes.Process(target=getattr(worker, role), args=(spec,), daemon=True)
        process.start()
        process.life, process.burns = self._life, fuse is not None
        process.how = f"{role}, {fuse[0] if fuse else 'any moment'}"
        return process

    def _join(self, role: str, process: Any) -> None:
        process.join(LONGEST_S)
        if process.exitcode == -signal.SIGKILL and process.burns:  # its point came only now
            self.report.kills += 1
            self.report.how[process.how] += 1
            self._look(process.pid)
        elif process.exitcode != 0:
            self.report.breaches.append(f"{role} ended with {process.exitcode}")

    def _count(self, store: Any) -> None:
        self.report.counts["incidents"] += len(store._rows("SELECT 1 FROM intake"))
        self.report.counts["ledger entries"] += len(store._rows("SELECT 1 FROM ledger_entries"))
        for row in store._rows("SELECT state, count(*) AS n FROM journal GROUP BY state"):
            self.report.counts[f"actions {row['state']}"] += row["n"]
        world = World(self._spec.file("world.sqlite"))
        self.report.counts["effective calls"] += sum(call.effective for call in world.calls())

    @contextmanager
    def _store(self, spec: Spec) -> Iterator[Any]:
        store: Any = open_store(spec.database, spec.home, schema=spec.schema)
        try:
            yield store
        finally:
            store.close()
