"""The inbox in one SQLite file: one machine, several threads and processes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from aegis_agents.errors import StoreError
from aegis_agents.inbox.database import Database, Row
from aegis_agents.inbox.schema import Dialect
from aegis_agents.write_ahead import write_ahead


class SqliteDatabase(Database):
    """A file with write-ahead log, readable for its owner alone: alerts are confidential.

    `path` is made if missing, with its folder; `busy_timeout_s` is how long to wait for another process's
    commit. Raises StoreError if it can't be opened or is of a newer version.
    """

    dialect: Dialect = "sqlite"
    skip_locked = ""  # it has one writer
    clock = ""  # a file has none

    def __init__(self, path: Path, busy_timeout_s: float = 10.0) -> None:
        super().__init__(str(path))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path}: can't be opened: {error}") from error
        self._full = True
        try:
            write_ahead(self._db, busy_timeout_s)
            for pragma in ("synchronous=FULL", "trusted_schema=OFF"):
                self.run(f"PRAGMA {pragma}")
            self.create()
        except BaseException as error:
            self._db.close()
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"{path}: can't be opened: {error}") from error
            raise

    def together(self, keys: Collection[str]) -> None:
        """Nothing to do: who has begun to write is alone."""

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _alone(self) -> None:
        """Nothing to do: who has begun to write is alone."""

    def _stored_version(self) -> int:
        if not self.run("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'inbox_version'"):
            return 0
        return int(self.one("SELECT version FROM inbox_version"))

    def _set_flush(self, *, flush: bool) -> None:
        if flush != self._full:
            # A flush takes the whole write-ahead log, and with it whatever was committed without one.
            self.run(f"PRAGMA synchronous={'FULL' if flush else 'NORMAL'}")
            self._full = flush

    def _begin(self) -> None:
        self.run("BEGIN IMMEDIATE")

    def _open_transaction(self) -> bool:
        return self._db.in_transaction

    def _execute(self, sql: str, values: Sequence[Any], *, twice: bool = False) -> list[Row]:
        try:
            return self._db.execute(sql, values).fetchall()
        except (sqlite3.Error, UnicodeEncodeError, OverflowError) as error:
            raise StoreError(f"{self.where}: {error}") from error
