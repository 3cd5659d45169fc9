"""A SQLite file in write-ahead mode, also where many open a new one at once."""

from __future__ import annotations

import sqlite3

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random


def write_ahead(db: sqlite3.Connection, patience_s: float) -> None:
    """Readers and a writer don't wait for each other from now on; tried for `patience_s` seconds, then sqlite3's error is raised.

    SQLite changes the mode under a lock that it doesn't wait for, whatever the connection's timeout:
    of several who open a new file at once some were told "database is locked"
    (sqlite.org/wal.html, "Sometimes Queries Return SQLITE_BUSY In WAL Mode").
    """
    for attempt in Retrying(
        retry=retry_if_exception(_is_busy),
        stop=stop_after_delay(patience_s),
        wait=wait_random(0.002, 0.05),
        reraise=True,
    ):
        with attempt:
            db.execute("PRAGMA journal_mode = WAL")


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
