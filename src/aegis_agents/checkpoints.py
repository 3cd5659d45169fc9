"""The checkpointer: where a graph waits for a person, across processes."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from aegis_agents import records
from aegis_agents.errors import SettingsError, StoreError
from aegis_agents.write_ahead import write_ahead

if TYPE_CHECKING:
    from langgraph.checkpoint.postgres import PostgresSaver

    from aegis_agents.ledger.postgres_connection import Address

_ALLOWED = tuple(
    (getattr(records, name).__module__, name)
    for name in (
        "Assessment", "Claim", "Conclusion", "Decision", "Entity", "Fact", "FactEvidence", "FactWeight", "Incident",
        "Passage", "PassageEvidence", "ProposedAction", "Receipt", "Sentence", "Target", "TechniqueScore",
    )
)  # fmt: skip
_SETUP_WAIT_S = 60.0


class CheckpointError(StoreError):
    """A checkpoint can't be read or kept; the journal has what counts."""


@contextmanager
def checkpoints_told() -> Iterator[None]:
    """A database's own errors inside, which LangGraph passes on, as CheckpointError."""
    kinds: tuple[type[Exception], ...] = (sqlite3.Error,)
    if (psycopg := sys.modules.get("psycopg")) is not None:
        kinds += (psycopg.Error,)
    try:
        yield
    except kinds as error:
        raise CheckpointError(f"checkpoints: {error}") from error


def record_serializer() -> JsonPlusSerializer:
    """Only our own records are rebuilt from a checkpoint: the default would rebuild anything (CVE-2026-28277)."""
    return JsonPlusSerializer(allowed_msgpack_modules=_ALLOWED)


def open_checkpointer(file: Path, database: str | None = None, *, schema: str = "aegis") -> SqliteSaver | PostgresSaver:
    """A checkpointer in `file`, or in a PostgreSQL `database` ("postgresql://...") beside the store's tables.

    Losing it loses nothing that the journal does not have. The file is readable for its owner alone: it holds
    alerts, as the store does. Raises SettingsError for a wrong address or a missing extra, StoreError if the database can't be opened. Close it by its `conn`.
    """
    return _open_sqlite(file) if database is None else _open_postgres(database, schema)


def _open_sqlite(file: Path) -> SqliteSaver:
    connection: sqlite3.Connection | None = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(opened).st_mode & 0o077:
                file.chmod(0o600)  # written by a version that left it to the umask
        finally:
            os.close(opened)
        connection = sqlite3.connect(file, check_same_thread=False, timeout=30)
        write_ahead(connection, 30)
        # The journal is what must survive a power cut; a checkpoint may be rebuilt from it.
        connection.execute("PRAGMA synchronous=NORMAL")
        saver = SqliteSaver(connection, serde=record_serializer())
        saver.setup()
    except (OSError, sqlite3.Error) as error:
        if connection is not None:
            connection.close()
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        fix = " (delete it and its -wal: what waits goes on from the journal)" if damaged else ""
        raise StoreError(f"{file}: can't be opened: {error}{fix}") from error
    return saver


def _open_postgres(database: str, schema: str) -> PostgresSaver:
    from aegis_agents.ledger.postgres_connection import Address

    address = Address(database, schema)
    try:
        from langgraph.checkpoint.postgres import PostgresSaver
        from psycopg import Error
        from psycopg.rows import dict_row
        from psycopg_pool import ConnectionPool
    except ImportError as error:
        raise SettingsError(
            f"database: checkpoints on PostgreSQL need the extra: pip install 'aegis-soc-agents[postgres]' ({error})"
        ) from error
    try:
        _set_up(address, PostgresSaver)
    except Error as error:
        raise StoreError(f"{address.shown}: no checkpoints can be kept: {address.clean(error)}") from None
    # A pool makes a broken connection anew; it waits for one no longer than a person would.
    pool: ConnectionPool[Any] = ConnectionPool(
        database,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row, "application_name": "aegis"},
        # As on SQLite: the journal survives a power cut, a checkpoint need not.
        configure=lambda connection: address.set_up(connection, synchronous_commit="off"),
        check=ConnectionPool.check_connection, min_size=1, max_size=4, timeout=15.0, open=True,
    )  # fmt: skip
    return PostgresSaver(pool, serde=record_serializer())


def _set_up(address: Address, saver: type[PostgresSaver]) -> None:
    """Make the tables, one process at a time.

    By asking for the lock again and again: LangGraph makes its indexes CONCURRENTLY, which waits for every
    other transaction to end, one that waits for a lock included; the two would wait for each other.
    """
    from psycopg.rows import dict_row

    key = int.from_bytes(hashlib.sha256(f"aegis checkpoints {address.schema}".encode()).digest()[:8], signed=True)
    connection: Any = address.connect()
    try:
        connection.row_factory = dict_row
        until = time.monotonic() + _SETUP_WAIT_S
        while not connection.execute("SELECT pg_try_advisory_lock(%s) AS got", (key,)).fetchone()["got"]:
            if time.monotonic() > until:
                raise StoreError(f"{address.shown}: another process has been setting up checkpoints for a minute")
            time.sleep(0.05)
        if connection.execute("SELECT to_regnamespace(%s) AS it", (address.schema,)).fetchone()["it"] is None:
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{address.schema}"')
        saver(connection).setup()
    finally:
        connection.close()
