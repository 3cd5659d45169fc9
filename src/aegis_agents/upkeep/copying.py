"""All rows of a store from one database to another, as they are: ids, order, numbers and hashes stay.

Read from one snapshot, written in the one transaction that makes the target: it holds all of it, or nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from aegis_agents.errors import StoreError
from aegis_agents.inbox.schema import TABLES as INBOX_TABLES
from aegis_agents.ledger.database import Database, Read, Row
from aegis_agents.ledger.postgres_connection import load_psycopg
from aegis_agents.ledger.postgres_text import escape

STORE_TABLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "intake": "incident_id", "journal": "ord", "leases": "ord", "principals": "token_id", "ledger_entries": "seq",
        "ledger_checkpoints": "number", "ledger_meta": "one", "served_answers": "digest", "served_hooks": "name",
    }
)  # fmt: skip
"""Tables of a store, in an order that their references allow, and what each is read by."""

NUMBERED: Final[Mapping[str, str]] = MappingProxyType({"journal": "ord", "leases": "ord", "inbox_messages": "number"})
"""Tables whose rows are numbered by the database: the next number must follow the last that was copied."""

_BATCH = 500

Write = Callable[[str, Sequence[str], Iterator[Sequence[Any]]], None]
"""Writes rows into a table, its columns being these."""


def inbox_tables() -> tuple[str, ...]:
    """The inbox's tables, but for the row with its version, which whoever makes them writes."""
    return tuple(table for table in INBOX_TABLES if table != "inbox_version")


@contextmanager
def file_snapshot(file: Path) -> Iterator[Read]:
    """A reader of a SQLite file as it is at one moment; nothing in it is changed. Raises StoreError."""
    db = None
    try:
        db = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        db.row_factory = sqlite3.Row
        opened = db
        db.execute("BEGIN")
        yield lambda sql: iter(opened.execute(sql))
    except sqlite3.Error as error:
        raise StoreError(f"{file}: can't be read: {error}") from error
    finally:
        if db is not None:
            db.close()


def file_has(read: Read, table: str) -> bool:
    """Whether a SQLite file has a table."""
    found = read(f"SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name = '{table}'")  # noqa: S608 - ours
    return bool(next(iter(found))["n"])


def postgres_has(read: Read, table: str) -> bool:
    """The same of a PostgreSQL schema."""
    return next(iter(read(f"SELECT to_regclass('{table}') IS NOT NULL AS there")))["there"] is True


def count_rows(read: Read, has: Callable[[Read, str], bool], tables: Sequence[str]) -> dict[str, int]:
    """How many rows each table has; one that is missing has none."""
    return {
        table: next(iter(read(f"SELECT count(*) AS n FROM {table}")))["n"] if has(read, table) else 0  # noqa: S608 - ours
        for table in tables
    }


def copy_tables(
    read: Read, has: Callable[[Read, str], bool], tables: Mapping[str, str], write: Write
) -> dict[str, int]:
    """Copy these tables; answers how many rows each had."""
    done: dict[str, int] = {}
    for table, key in tables.items():
        done[table] = 0
        if not has(read, table):
            continue
        rows = iter(read(f"SELECT * FROM {table} ORDER BY {key}"))  # noqa: S608 - names of ours
        first = next(rows, None)
        if first is None:
            continue
        columns = tuple(first.keys())
        write(table, columns, _counted(chain([first], rows), table, done))
    return done


def _counted(rows: Iterator[Row], table: str, done: dict[str, int]) -> Iterator[Sequence[Any]]:
    for row in rows:
        done[table] += 1
        yield tuple(row)


def writer_to_postgres(store: Database) -> Write:
    """Writes by COPY, in the transaction that is open, raising StoreError; what its text can't hold is escaped as the store does."""

    psycopg = load_psycopg()

    def write(table: str, columns: Sequence[str], rows: Iterator[Sequence[Any]]) -> None:
        plain = table in INBOX_TABLES  # the inbox keeps text as it is
        into = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        try:
            with store._db.cursor() as cursor, cursor.copy(into) as copy:  # type: ignore[attr-defined]
                for row in rows:
                    copy.write_row(row if plain else [escape(value) for value in row])
        except psycopg.Error as error:
            said = store._address.clean(error)  # type: ignore[attr-defined]
            raise StoreError(f"{store.where}: {table} can't be copied there: {said}") from error

    return write


def number_on(store: Database, tables: Sequence[str]) -> None:
    """Let what PostgreSQL numbers next follow what was copied."""
    for table in tables:
        column = NUMBERED[table]
        store._run(
            f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), coalesce(max({column}), 1),"  # noqa: S608 - ours
            f" max({column}) IS NOT NULL) FROM {table}"
        )


def writer_to_file(db: sqlite3.Connection) -> Write:
    """Writes into a SQLite file, in the transaction that is open."""

    def write(table: str, columns: Sequence[str], rows: Iterator[Sequence[Any]]) -> None:
        marks = ", ".join("?" * len(columns))
        into = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - names of ours
        db.executemany(into, (tuple(row) for row in rows))

    return write
