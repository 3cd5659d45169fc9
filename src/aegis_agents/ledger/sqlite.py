"""The embedded store: everything in one SQLite file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from aegis_agents.errors import LedgerError, StoreError
from aegis_agents.ledger.anchor import AnchorFile
from aegis_agents.ledger.behind import refuse_if_set_back
from aegis_agents.ledger.chain import utc_now
from aegis_agents.ledger.database import Database, Read, Row, Standing
from aegis_agents.ledger.queue import QueueTable
from aegis_agents.ledger.schema import SQLITE_GUARDS, tables
from aegis_agents.ledger.signing import Signer
from aegis_agents.write_ahead import write_ahead

_SINCE = 5
"""The version that came with the table aegis_version."""


class SqliteDatabase(Database):
    """A SQLite file with write-ahead log and a flush to disk at each commit.

    SQLite has one writer anyway, and readers of the WAL don't wait for other processes.
    `synchronous=FULL` flushes each commit, so that what was answered survives a power cut.
    The file is created readable for its owner alone: alerts are confidential.
    """

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        super().__init__(str(path))
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path}: can't be opened: {error}") from error
        self._db.row_factory = sqlite3.Row
        self._full = True
        try:
            write_ahead(self._db, busy_timeout_s)
            for pragma in ("synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
                self._run(f"PRAGMA {pragma}")
            self._create()
        except BaseException as error:
            self._db.close()
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"{path}: can't be opened: {error}") from error
            raise

    def _schema(self) -> Iterator[str]:
        yield from _statements(tables(blob="BLOB", serial="INTEGER PRIMARY KEY"))
        yield from SQLITE_GUARDS.values()

    def _mark(self) -> int:
        return int(self._run("PRAGMA user_version").fetchone()[0])

    def _standing(self) -> Standing:
        mark = self._mark()
        if mark < _SINCE:
            return Standing(mark, mark)
        row = self._row("SELECT version, oldest, moved_to, moved_at FROM aegis_version")
        return Standing(mark, mark) if row is None else Standing(*row)

    def _store_version(self, version: int, oldest: int) -> None:
        self._run(f"PRAGMA user_version={version:d}")  # what code of before version 5 looks at
        self._run("INSERT OR REPLACE INTO aegis_version (one, version, oldest) VALUES (1, ?, ?)", (version, oldest))

    def _guards(self) -> Mapping[str, str]:
        return SQLITE_GUARDS

    def _standing_guards(self, read: Read) -> frozenset[str]:
        made = {row[0]: row[1] for row in read("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")}
        return frozenset(name for name, sql in SQLITE_GUARDS.items() if made.get(name) == sql)

    def _begin(self, *, flush: bool) -> int:
        if flush != self._full:
            # A flush takes the whole write-ahead log, and with it whatever was committed without one.
            self._run(f"PRAGMA synchronous={'FULL' if flush else 'NORMAL'}")
            self._full = flush
        self._run("BEGIN IMMEDIATE")
        try:
            return self._mark()
        except BaseException:
            if self._open_transaction():
                self._run("ROLLBACK")
            raise

    def _open_transaction(self) -> bool:
        return self._db.in_transaction

    def _execute(self, sql: str, values: Sequence[Any]) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, values)
        except (sqlite3.Error, UnicodeEncodeError, OverflowError) as error:
            raise StoreError(f"{self.where}: {error}") from error

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        self._check_process()
        try:
            with self._lock:
                return self._execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self.where}: {error}") from error

    @contextmanager
    def _snapshot(self) -> Iterator[Read]:
        try:
            db = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise LedgerError(f"{self.where}: the ledger can't be read: {error}") from error
        db.row_factory = sqlite3.Row
        # What is no UTF-8 was not written by us: it is read all the same, so that verify() can name the entry.
        db.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        try:
            db.execute("BEGIN")
            yield lambda sql: iter(db.execute(sql))
        except sqlite3.Error as error:
            raise LedgerError(f"{self.where}: the ledger can't be read: {error}") from error
        finally:
            db.close()

    @contextmanager
    def _erasing(self) -> Iterator[None]:
        self._run("PRAGMA secure_delete=ON")
        try:
            yield
        finally:
            self._run("PRAGMA secure_delete=OFF")
            self._run("PRAGMA wal_checkpoint(TRUNCATE)")

    def _disconnect(self) -> None:
        self._db.close()


class SqliteStore(QueueTable, SqliteDatabase):
    """The Store in one file, `aegis.sqlite`; several threads and processes may use it at once.

    `path` is the file (made if missing, with its folder), `busy_timeout_s` how long to wait for another
    process's commit before StoreError, `clock` the source of time, `signer` signs checkpoints of the ledger.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        busy_timeout_s: float = 10.0,
        clock: Callable[[], datetime] = utc_now,
        signer: Signer | None = None,
    ) -> None:
        path = Path(path)
        self._begin_ledger(AnchorFile(path.with_name(path.name + ".anchor")), clock, signer)
        SqliteDatabase.__init__(self, path, busy_timeout_s)

    def _before_an_effect(self) -> None:
        super()._before_an_effect()
        refuse_if_set_back(self)


def _statements(script: str) -> Iterator[str]:
    """Split a script: sqlite3.executescript would commit the transaction that it runs in."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
