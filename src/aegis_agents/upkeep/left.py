"""The mark on a store in files that was left for a database: from then on nothing is written there.

The mark is the lock. It is set before anything is copied and survives a kill, so that nothing can be written between the
copy and the end; code of any version obeys it, since triggers refuse every write and not only our own check on opening.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from aegis_agents.errors import StoreError
from aegis_agents.inbox.schema import TABLES as INBOX_TABLES
from aegis_agents.ledger.database import Standing
from aegis_agents.ledger.schema import VERSION
from aegis_agents.upkeep.copying import STORE_TABLES, file_has, file_snapshot

_NEWER = 1_000_000
"""Added to the version that SQLite keeps: code of before version 5 takes it for a newer one and refuses."""
_EVENTS = ("INSERT", "UPDATE", "DELETE")


def standing_of(file: Path) -> Standing:
    """What a store in a file says of itself, without opening it as one. Raises StoreError."""
    with file_snapshot(file) as read:
        version = next(iter(read("PRAGMA user_version")))[0]
        if version < VERSION or not file_has(read, "aegis_version"):
            return Standing(version, version)
        return Standing(*next(iter(read("SELECT version, oldest, moved_to, moved_at FROM aegis_version"))))


def mark_store(db: Any, to: str) -> None:
    """Set the mark, in the transaction that is open; `db` runs statements (`execute(sql)`)."""
    db.execute("UPDATE aegis_version SET moved_to = ?, moved_at = NULL", (to,))
    db.execute(f"PRAGMA user_version={_NEWER + VERSION:d}")
    _set_triggers(db, to, STORE_TABLES)


def mark_inbox(file: Path, to: str) -> None:
    """The same for the inbox's file, where there is one. Raises StoreError."""
    if file.exists():
        with _changing(file) as db:
            _set_triggers(db, to, INBOX_TABLES)


def mark_done(file: Path, to: str, at: str) -> None:
    """All of it is there. Raises StoreError, also where the mark was taken away meanwhile: then both would be in use."""
    with _changing(file) as db:
        db.execute("UPDATE aegis_version SET moved_at = coalesce(moved_at, ?) WHERE moved_to = ?", (at, to))
        if db.execute("SELECT changes()").fetchone()[0] != 1:
            raise StoreError(
                f"{file}: was given up (`aegis migrate --abandon`) while it was moved: {to} holds a copy that nobody may work"
                " on; remove it before you begin anew"
            )


def unmark(file: Path) -> None:
    """Take the mark away, from a store or an inbox. Raises StoreError."""
    if not file.exists():
        return
    with _changing(file) as db:
        for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'moved!_%' ESCAPE '!'"
        ):
            db.execute(f'DROP TRIGGER "{name}"')
        if db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'aegis_version'").fetchone():
            db.execute("UPDATE aegis_version SET moved_to = NULL, moved_at = NULL")
            db.execute(f"PRAGMA user_version={VERSION:d}")


def _set_triggers(db: Any, to: str, tables: Any) -> None:
    there = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()}
    said = f"everything was moved to {to}, or is being moved there (aegis migrate)".replace("'", "''")
    for table in tables:
        for event in _EVENTS if table in there else ():
            name = f"moved_{table}_{event.lower()}"
            db.execute(
                f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, '{said}'); END"
            )


@contextmanager
def _changing(file: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous=FULL")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreError(f"{file}: can't be marked: {error}") from error
