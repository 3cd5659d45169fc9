"""The store on PostgreSQL: several processes on several machines, one ledger."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from aegis_agents.errors import LedgerError, StoreError
from aegis_agents.ledger.anchor import Anchor, AnchorFile
from aegis_agents.ledger.behind import refuse_if_set_back
from aegis_agents.ledger.chain import utc_now
from aegis_agents.ledger.database import Database, Left, Read, Row, Standing
from aegis_agents.ledger.postgres_connection import DEFAULT_SCHEMA, Address, load_psycopg
from aegis_agents.ledger.postgres_guards import POSTGRES_GUARDS, standing
from aegis_agents.ledger.postgres_text import escape, make_rows, translate
from aegis_agents.ledger.queue import QueueTable
from aegis_agents.ledger.schema import VERSION, tables
from aegis_agents.ledger.signing import Signer

ALEMBIC_TABLE = (
    "CREATE TABLE IF NOT EXISTS alembic_version"
    " (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
"""As alembic makes it: a schema that was made whole needs no upgrade, and opening needs no alembic."""


_LOOK = "; SELECT version FROM aegis_version"


def revision_of(version: int) -> str:
    """What alembic calls a version of the tables."""
    return f"{version:04d}"


class PostgresDatabase(Database):
    """A schema of a PostgreSQL database (12 or newer).

    A chain of hashes has one order, so each transaction first takes the one advisory lock of its schema; it
    is given back with the transaction, or when the connection breaks. Read committed, so that what follows
    the lock sees what its last holder left: a stronger level would look before it waits. A connection that
    broke between transactions is made anew; inside one it is an error, and nothing of it was kept.
    """

    def __init__(self, address: Address, busy_timeout_s: float) -> None:
        super().__init__(address.shown)
        self._address, self._busy_timeout_s = address, busy_timeout_s
        self._psycopg = load_psycopg()
        digest = hashlib.sha256(f"aegis ledger {address.schema}".encode()).digest()
        self._advisory = int.from_bytes(digest[:8], signed=True)
        self._db = self._connect()
        try:
            self._create()
        except BaseException:
            self._db.close()
            raise

    def _connect(self) -> Any:
        connection = self._address.connect(lock_timeout_s=self._busy_timeout_s)
        connection.row_factory = make_rows
        return connection

    def _schema(self) -> Iterator[str]:
        # "C": text is compared by its bytes, as SQLite does, whatever the database's own order is.
        script = tables(blob="BYTEA", serial="BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
        yield script.replace(" TEXT", ' TEXT COLLATE "C"')
        yield from POSTGRES_GUARDS.values()

    def _standing(self) -> Standing:
        if self._rows("SELECT to_regnamespace(?)", (self._address.schema,))[0][0] is None:
            self._run(f'CREATE SCHEMA "{self._address.schema}"')
        if self._rows("SELECT to_regclass('aegis_version')")[0][0] is None:
            return Standing(0, 0)
        row = self._row("SELECT to_jsonb(v) AS said FROM aegis_version v")  # version 4 had fewer columns
        if row is None:
            return Standing(0, 0)
        said = row["said"]
        version = int(said["version"])
        return Standing(version, int(said.get("oldest", version)), said.get("moved_to"), said.get("moved_at"))

    def _store_version(self, version: int, oldest: int) -> None:
        self._run("INSERT INTO aegis_version (one, version, oldest) VALUES (1, ?, ?)", (version, oldest))
        self._run(ALEMBIC_TABLE)
        self._run("INSERT INTO alembic_version VALUES (?)", (revision_of(version),))

    def _migrate(self, found: int) -> None:
        raise StoreError(
            f"{self.where}: its tables are of version {found}, and this code works on {VERSION}: run `aegis database upgrade`"
            " once, while others may go on; nothing was changed"
        )

    def _guards(self) -> Mapping[str, str]:
        return POSTGRES_GUARDS

    def _standing_guards(self, read: Read) -> frozenset[str]:
        return frozenset(standing(read))

    def _begin(self, *, flush: bool) -> int:
        # The write-ahead log is flushed in order: what waits for it takes all before it along.
        lazily = "" if flush else "SET LOCAL synchronous_commit TO off; "
        begin = f"BEGIN ISOLATION LEVEL READ COMMITTED; {lazily}SELECT pg_advisory_xact_lock({self._advisory})"
        opened = self._known is not None
        try:
            cursor = self._run(begin + _LOOK if opened else begin)
            if not opened:
                return 0
            while cursor.nextset():
                pass
            row = cursor.fetchone()
            return 0 if row is None else int(row[0])
        except BaseException:
            if self._open_transaction():
                self._run("ROLLBACK")
            raise

    def _open_transaction(self) -> bool:
        status = self._psycopg.pq.TransactionStatus
        return not self._db.closed and self._db.info.transaction_status in (status.INTRANS, status.INERROR)

    def _execute(self, sql: str, values: Sequence[Any]) -> Any:
        if self._depth and not self._open_transaction():
            raise StoreError(f"{self.where}: the connection broke inside a transaction, of which nothing was kept")
        # Only what changes nothing is sent again.
        repeatable = not self._open_transaction() and sql.startswith(("SELECT", "BEGIN"))
        try:
            if self._db.closed and not self._depth:
                self._db = self._connect()
            try:
                return self._send(sql, values)
            except self._psycopg.OperationalError:
                if not (repeatable and self._db.closed):
                    raise
            self._db = self._connect()
            return self._send(sql, values)
        except (self._psycopg.Error, UnicodeError) as error:
            known = "; whether it was kept is not known" if sql == "COMMIT" else ""
            raise StoreError(f"{self.where}: {self._address.clean(error)}{known}") from error

    def _send(self, sql: str, values: Sequence[Any]) -> Any:
        if not values:
            cursor = self._db.execute(sql)
        else:
            cursor = self._db.execute(translate(sql), [escape(value) for value in values])
        if sql == "COMMIT" and cursor.statusmessage != "COMMIT":  # a failed transaction's COMMIT is a ROLLBACK
            raise StoreError(f"{self.where}: nothing was kept: a statement of the transaction had failed")
        return cursor

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        with self._lock:
            return self._run(sql, values).fetchall()  # type: ignore[no-any-return]

    @contextmanager
    def _snapshot(self) -> Iterator[Read]:
        opened: list[Any] = []

        def read(sql: str) -> Iterator[Row]:
            # On the server's side: a ledger need not fit into memory.
            cursor = db.cursor(name=f"read{len(opened)}", row_factory=make_rows)
            opened.append(cursor)
            cursor.itersize = 1000
            return iter(cursor.execute(sql))

        try:
            db = self._address.connect()
        except StoreError as error:
            raise LedgerError(f"the ledger can't be read: {error}") from error
        try:
            db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield read
        except self._psycopg.Error as error:
            raise LedgerError(f"{self.where}: the ledger can't be read: {self._address.clean(error)}") from error
        finally:
            db.close()
            for cursor in opened:
                cursor.close()

    @contextmanager
    def _erasing(self) -> Iterator[None]:
        """VACUUM afterwards: the rows as they were can't be read by SQL any more.

        Their bytes may stay in free space of the files, in the write-ahead log, in backups and on standbys
        until those are overwritten or thrown away: PostgreSQL promises no more.
        """
        try:
            yield
        finally:
            for table in ("ledger_entries", "intake", "served_answers"):
                self._run(f"VACUUM {table}")

    def _disconnect(self) -> None:
        self._db.close()


class PostgresStore(QueueTable, PostgresDatabase):
    """The Store in a schema of a PostgreSQL database.

    `url` is "postgresql://user@host/name" (anything that libpq takes, a password included), `anchor` the file
    of this machine's anchor, `schema` where the tables are (made if missing), `busy_timeout_s` how long to
    wait for another writer before StoreError, `clock` the source of time, `signer` signs checkpoints of the
    ledger. Raises SettingsError for a wrong address or where psycopg is missing, StoreError if it can't be opened.

    Each machine has an anchor of its own. Where it has none for this ledger yet, the ledger as it is now is
    trusted, and an entry "ledger.anchored" says so: an anchor that was removed and made again leaves a trace.
    """

    def __init__(
        self,
        url: str,
        *,
        anchor: str | Path,
        schema: str = DEFAULT_SCHEMA,
        busy_timeout_s: float = 10.0,
        clock: Callable[[], datetime] = utc_now,
        signer: Signer | None = None,
    ) -> None:
        file, address = Path(anchor), Address(url, schema)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{file.parent}: can't be made: {error}") from error
        self._begin_ledger(AnchorFile(file), clock, signer)
        PostgresDatabase.__init__(self, address, busy_timeout_s)
        try:
            if not file.exists():
                self._anchor_here()
        except BaseException:
            self.close()
            raise

    def _migrate(self, found: int) -> None:
        PostgresDatabase._migrate(self, found)  # not by itself: several machines have a say in when

    def _before_an_effect(self) -> None:
        super()._before_an_effect()
        refuse_if_set_back(self)

    def _anchor_here(self) -> None:
        with self.transaction():
            self._enter("ledger.anchored", None, {"host": socket.gethostname(), "anchor": self._anchor.path.name})
            meta = self._rows("SELECT count, head, checkpoints FROM ledger_meta")[0]
        self._anchor.create(Anchor(meta["count"], meta["head"], meta["checkpoints"]))

    def _committed(self, left: Left) -> None:
        try:
            super()._committed(left)
        except StoreError:
            # What was committed is: the connection broke after it. An anchor that lags behind verifies.
            pass
