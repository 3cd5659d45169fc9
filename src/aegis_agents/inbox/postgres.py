"""The inbox in a schema of a PostgreSQL database: several machines take from it at once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any, Final

from aegis_agents.errors import StoreError
from aegis_agents.inbox.database import Conflict, Database, Row
from aegis_agents.inbox.schema import Dialect
from aegis_agents.ledger.postgres_connection import Address, load_psycopg
from aegis_agents.ledger.postgres_text import translate

_BUCKETS: Final = 64
"""Keys of `together` share so many locks: a batch of any size takes no more."""


class PostgresDatabase(Database):
    """A connection of its own, read committed; PostgreSQL 12 or newer.

    A connection that broke between transactions is made anew; inside one it is an error, and nothing of it
    was kept. Raises SettingsError where psycopg is missing, StoreError if it can't be opened.
    """

    dialect: Dialect = "postgresql"
    skip_locked = " FOR UPDATE SKIP LOCKED"
    clock = "extract(epoch FROM clock_timestamp())::float8"

    def __init__(self, address: Address, busy_timeout_s: float = 10.0) -> None:
        super().__init__(address.shown)
        self._closed, self._flush = False, True
        self._address, self._busy_timeout_s = address, busy_timeout_s
        self._psycopg = load_psycopg()
        # Two numbers of 32 bits: a space of its own beside the ledger's one number of 64.
        self._space = _number(f"aegis inbox {address.schema}")
        self._db = self._connect()
        try:
            self.create()
        except BaseException:
            self._db.close()
            raise

    def together(self, keys: Collection[str]) -> None:
        buckets = sorted({_number(key) % _BUCKETS for key in keys})
        if buckets:  # in order, so that no two wait for each other
            self.run(
                "SELECT pg_advisory_xact_lock(?, b) FROM unnest(?::int[]) WITH ORDINALITY AS t(b, o) ORDER BY o",
                (self._space, buckets),
            )

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._db.close()

    def _connect(self) -> Any:
        connection = self._address.connect(lock_timeout_s=self._busy_timeout_s)
        try:
            connection.execute("SET synchronous_commit TO off")
        except self._psycopg.Error as error:
            connection.close()
            raise StoreError(f"{self.where}: can't be opened: {self._address.clean(error)}") from None
        return connection

    def _alone(self) -> None:
        self.run("SELECT pg_advisory_xact_lock(?, -1)", (self._space,))
        if self.one("SELECT to_regnamespace(?)", (self._address.schema,)) is None:
            self.run(f'CREATE SCHEMA IF NOT EXISTS "{self._address.schema}"')

    def _stored_version(self) -> int:
        if self.one("SELECT to_regclass('inbox_version')") is None:
            return 0
        return int(self.one("SELECT version FROM inbox_version") or 0)

    def _set_flush(self, *, flush: bool) -> None:
        self._flush = flush

    def _begin(self) -> None:
        # The session does not wait for the disk (see _connect); the log is flushed in order: who waits takes all along.
        self.run(
            "BEGIN ISOLATION LEVEL READ COMMITTED" + ("; SET LOCAL synchronous_commit TO on" if self._flush else "")
        )

    def _open_transaction(self) -> bool:
        status = self._psycopg.pq.TransactionStatus
        return not self._db.closed and self._db.info.transaction_status in (status.INTRANS, status.INERROR)

    def _execute(self, sql: str, values: Sequence[Any], *, twice: bool = False) -> list[Row]:
        if self._inside and not self._open_transaction():
            raise StoreError(f"{self.where}: the connection broke inside a transaction, of which nothing was kept")
        # Only what changes nothing is sent again.
        repeatable = not self._inside and (twice or sql.startswith(("SELECT", "BEGIN")))
        try:
            if self._db.closed and not self._inside:
                self._reconnect()
            try:
                return self._send(sql, values)
            except self._psycopg.OperationalError:
                if not (repeatable and self._db.closed):
                    raise
            self._reconnect()
            return self._send(sql, values)
        except (self._psycopg.errors.DeadlockDetected, self._psycopg.errors.SerializationFailure) as error:
            raise Conflict(f"{self.where}: {self._address.clean(error)}") from error
        except (self._psycopg.Error, UnicodeError) as error:
            known = "; whether it was kept is not known" if sql == "COMMIT" else ""
            raise StoreError(f"{self.where}: {self._address.clean(error)}{known}") from error

    def _reconnect(self) -> None:
        if self._closed:
            raise StoreError(f"{self.where}: the inbox is closed")
        self._db = self._connect()

    def _send(self, sql: str, values: Sequence[Any]) -> list[Row]:
        cursor = self._db.execute(translate(sql), values) if values else self._db.execute(sql)
        if sql == "COMMIT" and cursor.statusmessage != "COMMIT":  # a failed transaction's COMMIT is a ROLLBACK
            raise StoreError(f"{self.where}: nothing was kept: a statement of the transaction had failed")
        return cursor.fetchall() if cursor.description else []


def _number(name: str) -> int:
    """A number of 31 bits for an advisory lock."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:4]) >> 1
