"""A PostgreSQL store that is made with rows in it: tables, rows and the mark of the version in one transaction."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from aegis_agents.errors import LedgerTampered, StoreError
from aegis_agents.inbox.schema import VERSION as INBOX_VERSION
from aegis_agents.inbox.schema import statements
from aegis_agents.ledger.anchor import Anchor, AnchorFile
from aegis_agents.ledger.postgres import PostgresStore
from aegis_agents.ledger.postgres_connection import Address, load_psycopg
from aegis_agents.ledger.served import Served
from aegis_agents.upkeep.copying import (
    NUMBERED,
    STORE_TABLES,
    copy_tables,
    file_has,
    file_snapshot,
    inbox_tables,
    number_on,
    writer_to_postgres,
)

_GRAPHS = frozenset({"checkpoints", "checkpoint_blobs", "checkpoint_writes", "checkpoint_migrations"})
"""LangGraph's tables: they may be there before, since what is in them is only added to."""


class Filled(PostgresStore):
    """A store that begins as a copy of the files `source` and, where there is one, `inbox`.

    Raises StoreError, with nothing made, for a schema that holds anything. The machine's own anchor is that of the copy:
    no entry is added, so that the ledger's head is the source's.
    """

    def __init__(self, url: str, anchor: Path, schema: str, source: Path, inbox: Path | None) -> None:
        self._source, self._inbox_file = source, inbox
        self.rows: dict[str, int] = {}
        free_anchor(anchor)
        super().__init__(url, anchor=anchor, schema=schema)
        if not self.rows:
            self.close()
            raise StoreError(f"{self.where}: is not empty: give a database_schema that is not there yet")

    def _created(self) -> None:
        strangers = sorted(_tables(self) - _GRAPHS - self._ours())
        if strangers:
            raise StoreError(f"{self.where}: is not empty: it has the tables {', '.join(strangers)}")
        Served(self)
        write = writer_to_postgres(self)
        with ExitStack() as opened:
            read = opened.enter_context(file_snapshot(self._source))
            self.rows |= copy_tables(read, file_has, STORE_TABLES, write)
            number_on(self, ("journal", "leases"))
            if self._inbox_file is not None:
                read = opened.enter_context(file_snapshot(self._inbox_file))
                found = next(iter(read("SELECT version FROM inbox_version")))["version"]
                if found != INBOX_VERSION:
                    raise StoreError(
                        f"{self._inbox_file}: its inbox is of version {found}, this code knows {INBOX_VERSION}"
                    )
                for statement in statements("postgresql"):
                    self._run(statement)
                self.rows |= copy_tables(read, file_has, {t: INBOX_KEYS[t] for t in inbox_tables()}, write)
                number_on(self, [table for table in inbox_tables() if table in NUMBERED])

    def _ours(self) -> frozenset[str]:
        return frozenset({*STORE_TABLES, "aegis_version"})

    def _anchor_here(self) -> None:
        if self.rows:
            meta = self._rows("SELECT count, head, checkpoints FROM ledger_meta")[0]
            self._anchor.create(Anchor(meta["count"], meta["head"], meta["checkpoints"]))


INBOX_KEYS = {
    "inbox_messages": "number", "inbox_folded": "incident_id", "inbox_seen": "stream, position",
    "inbox_marks": "stream, part", "inbox_totals": "name",
}  # fmt: skip


def free_anchor(file: Path) -> None:
    """Raises StoreError where this machine knows another ledger at that address: its anchor would cry tampering."""
    if not file.exists():
        return
    try:
        unused = AnchorFile(file).read().entries == 0
    except LedgerTampered:
        unused = False
    if not unused:
        raise StoreError(
            f"{file}: this machine's anchor knows a ledger at that address, which is not there now"
            " (if it was removed on purpose, move this file away)"
        )


def target_head(address: Address, origin: str, entries: int) -> str | None:
    """What a schema holds: None for nothing yet, else the hash of entry `entries` of this ledger, "" for anything else.

    Raises StoreError if it can't be reached.
    """
    psycopg = load_psycopg()
    with address.connect() as db:
        try:
            if db.execute("SELECT to_regclass('ledger_meta')").fetchone()[0] is None:  # type: ignore[index]
                found = db.execute(
                    "SELECT relname FROM pg_class c WHERE relkind IN ('r', 'p', 'v', 'm', 'f')"
                    " AND relnamespace = to_regnamespace(%s)",
                    (address.schema,),
                ).fetchall()
                return None if {name for (name,) in found} <= _GRAPHS else ""
            there = db.execute("SELECT origin FROM ledger_meta").fetchone()
            if there is None or there[0] != origin:
                return ""
            row = db.execute("SELECT hash FROM ledger_entries WHERE seq = %s", (entries,)).fetchone()
            return "" if row is None else str(row[0])
        except psycopg.Error as error:
            raise StoreError(f"{address.shown}: can't be read: {address.clean(error)}") from None


def _tables(store: PostgresStore) -> frozenset[str]:
    rows = store._rows(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace"
    )
    return frozenset(row[0] for row in rows)
