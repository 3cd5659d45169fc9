"""One SQLite file: durable, one writer at a time, transactions that nest."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aegis_agents.errors import StoreError


class Database:
    """A SQLite file with write-ahead log and a flush to disk at each commit.

    One connection guarded by a lock: SQLite has one writer anyway, and readers of the WAL don't wait
    for other processes. `synchronous=FULL` flushes each commit, so that what was answered survives a
    power cut. The file is created readable for its owner alone: alerts are confidential.
    Raises StoreError if the file is no database, is of a newer version, or can't be opened.
    """

    def __init__(self, path: str | Path, *, schema: str, version: int, busy_timeout_s: float = 10.0) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        self._depth = 0
        self._process = os.getpid()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(self.path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{self.path}: can't be opened: {error}") from error
        self._db.row_factory = sqlite3.Row
        try:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
                self._run(f"PRAGMA {pragma}")
            self._create(schema, version)
        except BaseException:
            self._db.close()
            raise

    def _create(self, schema: str, version: int) -> None:
        with self.transaction():  # two processes may open a new file at once
            found = self._run("PRAGMA user_version").fetchone()[0]
            if found > version:
                raise StoreError(f"{self.path}: written by a newer version ({found}, this one knows {version})")
            if found == 0:
                for statement in _statements(schema):
                    self._run(statement)
                self._run(f"PRAGMA user_version={version:d}")
                self._created()

    def _created(self) -> None:
        """Called inside the transaction that makes the tables."""

    def _committed(self) -> None:
        """Called after each outermost commit, the lock still held."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Group statements into one commit; an exception takes them back. Nests, by savepoints."""
        with self._lock:
            depth = self._depth
            self._run("BEGIN IMMEDIATE" if depth == 0 else f"SAVEPOINT level{depth}")
            self._depth += 1
            try:
                yield
                self._run("COMMIT" if depth == 0 else f"RELEASE level{depth}")
            except BaseException:
                if self._db.in_transaction:  # SQLite itself rolls back on a full disk
                    self._run("ROLLBACK" if depth == 0 else f"ROLLBACK TO level{depth}")
                    if depth:
                        self._run(f"RELEASE level{depth}")
                raise
            finally:
                self._depth = depth
            if depth == 0:
                self._committed()

    def _run(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        if self._process != os.getpid():
            raise StoreError(f"{self.path}: opened before a fork; open it again in this process")
        try:
            with self._lock:
                return self._db.execute(sql, values)
        except (sqlite3.Error, UnicodeEncodeError) as error:
            raise StoreError(f"{self.path}: {error}") from error

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        try:
            with self._lock:
                return self._run(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error

    def _row(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        rows = self._rows(sql, values)
        return rows[0] if rows else None

    def _snapshot(self) -> sqlite3.Connection:
        """A second, read-only connection for long reads, which would hold up writers on the first."""
        try:
            db = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error
        db.row_factory = sqlite3.Row
        return db

    def close(self) -> None:
        """Close the file. Calling it twice is fine."""
        with self._lock:
            self._db.close()


def _statements(script: str) -> Iterator[str]:
    """Split a script: sqlite3.executescript would commit the transaction that it runs in."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
