"""Opening a new database file by many at once."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from aegis_agents.write_ahead import write_ahead


def test_nobody_of_many_who_open_a_new_file_is_refused(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def open_it(path: Path) -> str:
        together.wait()
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as db:
            write_ahead(db, 30)
            db.execute("CREATE TABLE IF NOT EXISTS seen (at)")
            return str(db.execute("PRAGMA journal_mode").fetchone()[0])

    with ThreadPoolExecutor(8) as pool:
        for n in range(60):  # without the retry, about one round in fourteen failed
            assert set(pool.map(open_it, [tmp_path / f"{n}.sqlite"] * 8)) == {"wal"}


def test_who_holds_the_file_for_longer_is_named_after_the_patience(tmp_path: Path) -> None:
    path = tmp_path / "held.sqlite"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as holder,
        closing(sqlite3.connect(path, timeout=0)) as db,
    ):
        holder.execute("CREATE TABLE held (at)")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            write_ahead(db, 0.1)


def test_what_waiting_does_not_mend_is_raised_at_once(tmp_path: Path) -> None:
    path = tmp_path / "no.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with closing(sqlite3.connect(path)) as db, pytest.raises(sqlite3.DatabaseError, match="not a database"):
        write_ahead(db, 3600)
