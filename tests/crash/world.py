"""The world that actions change, in a file of its own: it outlives every process and remembers every call."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from aegis_agents.errors import ConnectorError, TransientConnectorError
from aegis_agents.records import CATALOGUE, ActionName, Target

UNREADABLE = frozenset({"open_ticket", "revoke_sessions", "close_alert"})
"""What this world can't be asked for: it takes each idempotency key once instead."""
_TABLES = """
CREATE TABLE IF NOT EXISTS calls (
    n INTEGER PRIMARY KEY, pid INTEGER, verb TEXT, action TEXT, target TEXT, key TEXT, effective INTEGER
);
CREATE TABLE IF NOT EXISTS state (action TEXT, target TEXT, PRIMARY KEY (action, target));
CREATE TABLE IF NOT EXISTS keys (key TEXT PRIMARY KEY);
"""


class Call(NamedTuple):
    """A call that arrived: whose, what for, and whether it changed anything."""

    pid: int
    verb: str
    action: str
    target: str
    key: str
    effective: bool


class Fuse:
    """Kills this process at the nth time that a point is passed; without one it never burns."""

    def __init__(self, point: str | None = None, nth: int = 1) -> None:
        self._point, self._nth, self._passed = point, nth, Counter[str]()

    def passes(self, point: str) -> None:
        """A point of the path is passed."""
        self._passed[point] += 1
        if point == self._point and self._passed[point] == self._nth:
            os.kill(os.getpid(), signal.SIGKILL)


class World:
    """What is in effect, and the log of all calls."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._open() as db:
            db.executescript(_TABLES)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._file, timeout=30, isolation_level=None)
        try:
            db.execute("PRAGMA synchronous=OFF")  # processes die here, not machines
            yield db
        finally:
            db.close()

    def change(self, verb: str, action: str, target: str, key: str) -> bool:
        """Do or take back; answers whether it changed anything."""
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            if action in UNREADABLE:
                effective = db.execute("INSERT OR IGNORE INTO keys VALUES (?)", (key,)).rowcount
            elif verb == "apply":
                effective = db.execute("INSERT OR IGNORE INTO state VALUES (?, ?)", (action, target)).rowcount
            else:
                effective = db.execute("DELETE FROM state WHERE action = ? AND target = ?", (action, target)).rowcount
            db.execute(
                "INSERT INTO calls (pid, verb, action, target, key, effective) VALUES (?, ?, ?, ?, ?, ?)",
                (os.getpid(), verb, action, target, key, effective),
            )
            db.execute("COMMIT")
        return bool(effective)

    def in_effect(self) -> set[tuple[str, str]]:
        """Everything that is in effect."""
        with self._open() as db:
            return {(row[0], row[1]) for row in db.execute("SELECT action, target FROM state")}

    def calls(self) -> list[Call]:
        """Every call that ever arrived, in order."""
        with self._open() as db:
            rows = db.execute("SELECT pid, verb, action, target, key, effective FROM calls ORDER BY n").fetchall()
        return [Call(*row[:5], bool(row[5])) for row in rows]


class WorldConnector:
    """Acts in the world, slowly, and not always saying so."""

    name = "world"
    actions: frozenset[ActionName] = frozenset(
        {"block_ip", "isolate_host", "disable_user", "open_ticket", "revoke_sessions", "close_alert"}
    )

    def __init__(self, world: World, fuse: Fuse, dice: random.Random) -> None:
        self._world, self._fuse, self._dice = world, fuse, dice

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        return self._call("apply", action, target, key)

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        return self._call("undo", action, target, key)

    def read(self, action: ActionName, target: Target) -> bool | None:
        found = None if action in UNREADABLE else (action, target.value) in self._world.in_effect()
        self._fuse.passes("read.after")
        return found

    def _call(self, verb: str, action: ActionName, target: Target, key: str) -> str:
        assert verb == "apply" or CATALOGUE[action].reversible
        dice = self._dice
        time.sleep(dice.random() * 0.004)
        self._fuse.passes(f"{verb}.before")
        luck = dice.random()
        if luck < 0.05:
            raise TransientConnectorError("busy")
        if luck < 0.08:
            raise ConnectorError("no")
        self._world.change(verb, action, target.value, key)
        self._fuse.passes(f"{verb}.after")
        time.sleep(dice.random() * 0.004)
        if luck > 0.9:
            raise TransientConnectorError("timed out, after it had happened")
        return f"ref-{key[:8]}"
