"""Quarantine: what the screen held back, kept until a person lets it through or drops it.

One SQLite file; threads and processes may share it. Rows are never deleted: who decided, and when, stays. Of one feed
only so much waits at a time, or a feed that rewords itself every minute would fill the disk.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

from pydantic import AwareDatetime, ValidationError

from aegis_agents.errors import InputError, IntelError, IntelTampered
from aegis_agents.intel.documents import Document
from aegis_agents.intel.trust.policy import Quarantined, Reason
from aegis_agents.records.base import Record
from aegis_agents.write_ahead import write_ahead

State = Literal["held", "released", "dropped"]
QUARANTINE = "quarantine.sqlite"
"""File name, in the directory of the snapshots."""

MAX_HELD = 20_000
"""Documents of one feed that wait for a person; what is held back beyond is not kept here (nor stored)."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS quarantined (
    id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL UNIQUE, feed TEXT NOT NULL, reason TEXT NOT NULL,
    detail TEXT NOT NULL, document TEXT NOT NULL, held_at TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'released', 'dropped')), by TEXT, decided_at TEXT
)
"""


class Held(Record):
    """A document in quarantine. `by` and `decided_at` say who released or dropped it, and when."""

    id: int
    document: Document
    reason: Reason
    detail: str
    held_at: AwareDatetime
    state: State
    by: str = ""
    decided_at: AwareDatetime | None = None


class Quarantine:
    """The quarantine in a file. Raises IntelError if it can't be used, IntelTampered if a row was edited."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.RLock()
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            self._db = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
            write_ahead(self._db, 30)
            self._db.execute(_SCHEMA)
            self._db.execute("CREATE INDEX IF NOT EXISTS by_state ON quarantined (state, feed)")

    def put(self, quarantined: Sequence[Quarantined]) -> int:
        """Keep these, up to `MAX_HELD` of a feed; answers how many are new. What is in already stays as it is."""
        at = dt.datetime.now(dt.UTC).isoformat()
        rows = [(q.document.sha256, q.document.feed, q.reason, q.detail, q.document.model_dump_json(), at) for q in quarantined]  # fmt: skip
        with self._lock, self._errors(), self._writing():
            before, waiting = self._db.total_changes, self.count()
            for row in rows:
                if waiting.get(row[1], 0) < MAX_HELD:
                    done = self._db.execute(
                        "INSERT INTO quarantined (sha256, feed, reason, detail, document, held_at) "
                        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO NOTHING",
                        row,
                    )
                    waiting[row[1]] = waiting.get(row[1], 0) + done.rowcount
            return self._db.total_changes - before

    def list(self, *, feed: str | None = None, state: State = "held", limit: int = 1000) -> list[Held]:
        """What is in this state, oldest first, at most `limit`. Raises InputError for no such state."""
        if state not in get_args(State):
            raise InputError(f"{state!r} is not a state", field="state", fix=f"use {', '.join(get_args(State))}")
        query = "SELECT * FROM quarantined WHERE state = ? AND (? IS NULL OR feed = ?) ORDER BY id LIMIT ?"
        with self._lock, self._errors():
            return [self._held(row) for row in self._db.execute(query, (state, feed, feed, limit))]

    def count(self, *, state: State = "held") -> dict[str, int]:
        """How many of each feed are in this state."""
        with self._lock, self._errors():
            rows = self._db.execute("SELECT feed, count(*) FROM quarantined WHERE state = ? GROUP BY feed", (state,))
            return {str(feed): int(n) for feed, n in rows}

    def get(self, id: int) -> Held:
        """One entry in any state. Raises InputError if there is none."""
        with self._lock, self._errors():
            row = self._db.execute("SELECT * FROM quarantined WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise InputError(f"there is no entry {id}", field="id", fix="list the quarantine")
        return self._held(row)

    def release(self, id: int, by: str) -> Document:
        """The document, to be stored after all; the same document is not held back again (`released`).

        Raises InputError if there is no such entry, it was decided before, or nobody is named.
        """
        return self._decide(id, "released", by)

    def drop(self, id: int, by: str) -> Document:
        """Give a document up; it is kept here and never stored. Raises as `release` does."""
        return self._decide(id, "dropped", by)

    def drop_all(self, feed: str, by: str) -> int:
        """Give up everything of a feed that is held; answers how many. Raises InputError if nobody is named."""
        if not by.strip():
            raise InputError("is empty", field="by", fix="say who decides")
        at = dt.datetime.now(dt.UTC).isoformat()
        with self._lock, self._errors(), self._writing():
            return self._db.execute(
                "UPDATE quarantined SET state = 'dropped', by = ?, decided_at = ? WHERE state = 'held' AND feed = ?",
                (by.strip(), at, feed),
            ).rowcount

    def hold(self, id: int) -> None:
        """Hold back again what was released but could not be stored."""
        with self._lock, self._errors(), self._writing():
            self._db.execute(
                "UPDATE quarantined SET state = 'held', by = NULL, decided_at = NULL WHERE id = ? AND state = 'released'",
                (id,),
            )

    def released(self) -> frozenset[str]:
        """The sha256 of every document that a person let through, for `screen`."""
        with self._lock, self._errors():
            rows = self._db.execute("SELECT sha256 FROM quarantined WHERE state = 'released'")
            return frozenset(str(sha) for (sha,) in rows)

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Quarantine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _decide(self, id: int, state: State, by: str) -> Document:
        if not by.strip():
            raise InputError("is empty", field="by", fix="say who decides")
        at = dt.datetime.now(dt.UTC).isoformat()
        with self._lock, self._errors(), self._writing():
            held = self.get(id)
            if held.state != "held":
                raise InputError(f"entry {id} was {held.state} by {held.by}", field="id", fix="list what is held")
            self._db.execute(
                "UPDATE quarantined SET state = ?, by = ?, decided_at = ? WHERE id = ?", (state, by.strip(), at, id)
            )
        return held.document

    def _held(self, row: tuple[object, ...]) -> Held:
        id, sha, _, reason, detail, text, held_at, state, by, decided_at = row
        try:
            document = Document.model_validate_json(str(text))
            held = Held.model_validate({
                "id": id, "document": document, "reason": reason, "detail": detail, "held_at": held_at,
                "state": state, "by": by or "", "decided_at": decided_at,
            })  # fmt: skip
        except ValidationError as error:
            raise IntelTampered(f"{self._path}: entry {id} is not what was written") from error
        if document.sha256 != sha:
            raise IntelTampered(f"{self._path}: the document of entry {id} is not the one that was held back")
        return held

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time, all or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise IntelError(f"{self._path}: the quarantine can't be used: {error}") from error
