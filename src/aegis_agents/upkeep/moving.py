"""From the embedded store to PostgreSQL: everything, once, and the old place refuses to be written from then on.

In this order: look at both ends; mark the source, which locks it for code of any version (`left`); bring
LangGraph's checkpoints over; make the target and fill it in one transaction, inbox included; verify the ledger there, with
the same keys and to the same head; note in the source that it is done. Cut off at any point, the same command goes on
where that is safe: a target is either empty or whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aegis_agents.errors import LedgerTampered, SettingsError, StoreError
from aegis_agents.identity import os_account
from aegis_agents.ledger import SqliteStore
from aegis_agents.ledger.anchor import Anchor, AnchorFile
from aegis_agents.ledger.postgres_connection import Address
from aegis_agents.ledger.signing import Signer
from aegis_agents.tools.owners import state_of, this_process
from aegis_agents.upkeep.copying import STORE_TABLES, count_rows, file_has, file_snapshot, inbox_tables
from aegis_agents.upkeep.filling import Filled, target_head
from aegis_agents.upkeep.left import mark_done, mark_inbox, mark_store, standing_of, unmark
from aegis_agents.upkeep.threads import copy_threads

if TYPE_CHECKING:
    from aegis_agents.settings import Settings

MOVED = "ledger.moved"
"""Ledger entry: everything is brought to another database from here on, and by whom."""
MOVE_ABANDONED = "ledger.move_abandoned"
"""Ledger entry: it is not, after all."""


@dataclass(frozen=True)
class Moved:
    """What was moved, or would be: rows by table, and the ledger's id, length and head."""

    rows: dict[str, int]
    origin: str
    entries: int
    head: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return asdict(self)


class Move:
    """A migration from the files of a home to a PostgreSQL schema.

    Every method raises StoreError naming what is in the way, and LedgerTampered for a ledger that is not whole.
    """

    def __init__(self, home: Path, url: str, schema: str, signer: Signer) -> None:
        self.source, self.target = home / "aegis.sqlite", Address(url, schema)
        self._home, self._url, self._signer = home, url, signer
        self._inbox = home / "inbox.sqlite"

    @classmethod
    def of(cls, settings: Settings, to: str | None = None) -> Move:
        """As settings say, `to` being an address without a password that wins over them. Raises SettingsError."""
        from psycopg.conninfo import conninfo_to_dict

        url = to or (settings.database.get_secret_value() if settings.database else None)
        if url is None:
            raise SettingsError("database: is not set: give the address as AEGIS_DATABASE, or with --to")
        Address(url, settings.database_schema)  # says what is wrong with it, without repeating it
        if to is not None and conninfo_to_dict(to).get("password"):
            fix = "every account can read a command line: give it as AEGIS_DATABASE"
            raise SettingsError(f"--to: has a password ({fix})")
        key = settings.ledger_key or settings.home / "ledger.key"
        signer = Signer(key, every=settings.ledger_every, copies=settings.ledger_copies)
        return cls(settings.home, url, settings.database_schema, signer)

    def plan(self) -> Moved:
        """What would go, and whether it could: both ends are looked at, and nothing is changed."""
        found = self._counted()
        self._check_target(found, standing_of(self.source).moved_to is not None)
        return found

    def run(self, say: Callable[[str], None] = lambda _: None) -> Moved:
        """Move everything; `say` is told how far it is."""
        found = self._counted()
        standing = standing_of(self.source)
        if standing.moved_at is not None:
            raise StoreError(f"{self.source}: was moved to {standing.moved_to} before, at {standing.moved_at}")
        if standing.moved_to not in (None, self.target.shown):
            fix = "give that address, or `aegis migrate --abandon` with it"
            raise StoreError(
                f"{self.source}: is being moved to {standing.moved_to}, not to {self.target.shown} ({fix})"
            )
        whole = self._check_target(found, standing.moved_to is not None)
        if standing.moved_to is None:
            self._leave()
        mark_inbox(self._inbox, self.target.shown)
        found = self._counted()
        if not whole:
            say(f"marked: nothing more is written to {self.source}")
            left = self._copy_threads()
            say(f"checkpoints of graphs: {left}")
            self._fill()
            say("copied; now the ledger is verified there")
        self._verify(found)
        mark_done(self.source, self.target.shown, datetime.now(UTC).isoformat(timespec="seconds"))
        return found

    def abandon(self) -> None:
        """Give up one that was cut off. Raises StoreError if the target has the ledger: then it is finished instead."""
        standing = standing_of(self.source)
        if standing.moved_to is None:
            raise StoreError(f"{self.source}: is not being moved")
        if standing.moved_at is not None:
            raise StoreError(f"{self.source}: was moved to {standing.moved_to}: that can't be given up")
        if standing.moved_to != self.target.shown:
            raise StoreError(f"{self.source}: is being moved to {standing.moved_to}, not to {self.target.shown}")
        if target_head(self.target, self._counted().origin, 0) is not None:
            raise StoreError(f"{self.target.shown}: has the ledger already: finish with `aegis migrate`")
        unmark(self._inbox)
        unmark(self.source)
        store = SqliteStore(self.source, signer=self._signer)
        try:
            store.append(MOVE_ABANDONED, None, {"to": self.target.shown, "principal": os_account().entry()})
        finally:
            store.close()

    # within

    def _counted(self) -> Moved:
        if not self.source.exists():
            raise StoreError(f"{self.source}: there is no embedded store to move (settings: home)")
        with file_snapshot(self.source) as read:
            rows = count_rows(read, file_has, list(STORE_TABLES))
            has_origin = standing_of(self.source).version > 2
            meta = next(iter(read("SELECT * FROM ledger_meta")), None)
        if meta is None:
            raise LedgerTampered(f"{self.source}: the ledger has lost its origin and count; run `aegis ledger verify`")
        if self._inbox.exists():
            with file_snapshot(self._inbox) as read:
                rows |= count_rows(read, file_has, inbox_tables())
        rows["graph threads"] = len(self._threads())
        return Moved(rows, meta["origin"] if has_origin else "", meta["count"], meta["head"])

    def _check_target(self, found: Moved, begun: bool) -> bool:
        """Whether it is whole already. Raises StoreError if it can't be reached, or holds anything else."""
        head = target_head(self.target, found.origin, found.entries)
        if head is None:
            return False
        if not begun or head != found.head:
            raise StoreError(f"{self.target.shown}: is not empty: give a database_schema that is not there yet")
        return True

    def _leave(self) -> None:
        """Verify the source, say in its ledger where it goes, sign that, and mark it."""
        store = SqliteStore(self.source, signer=self._signer)
        try:
            store.verify()
            with store.transaction():
                self._nobody_at_work(store)
                store.append(MOVED, None, {"to": self.target.shown, "principal": os_account().entry()})
            store.checkpoint()
            with store.transaction():
                self._nobody_at_work(store)
                mark_store(store._db, self.target.shown)
            store._wrote = False  # all is signed that can be: closing must not try to write
        finally:
            store.close()

    def _nobody_at_work(self, store: SqliteStore) -> None:
        """An action that is just being done could not say what became of it any more."""
        for row in store.open_intents():
            if row.owner != this_process() and state_of(row.owner) == "alive":
                fix = "stop that process, or wait until it is done"
                raise StoreError(f"{row.action_id}: is under way in a living process, {row.owner} ({fix})")

    def _threads(self) -> list[str]:
        file = self._home / "checkpoints.sqlite"
        if not file.exists():
            return []
        try:
            with file_snapshot(file) as read:
                if not file_has(read, "checkpoints"):
                    return []
                return [row[0] for row in read("SELECT DISTINCT thread_id FROM checkpoints ORDER BY thread_id")]
        except StoreError:
            return []  # damaged: what waits goes on from the journal

    def _copy_threads(self) -> str:
        from aegis_agents.checkpoints import open_checkpointer

        names = self._threads()
        if not names:
            return "none"
        source = open_checkpointer(self._home / "checkpoints.sqlite")
        try:
            target = open_checkpointer(self._home / "unused", self._url, schema=self.target.schema)
            try:
                done = copy_threads(source, names, target)
            finally:
                target.conn.close()
        finally:
            source.conn.close()
        beyond = f"; {done.left} can't be read and go on from the journal" if done.left else ""
        return f"{done.copied} of {len(names)} threads{beyond}"

    def _fill(self) -> None:
        inbox = self._inbox if self._inbox.exists() else None
        Filled(self._url, self._anchor, self.target.schema, self.source, inbox).close()

    @property
    def _anchor(self) -> Path:
        return self._home / f"postgres-{self.target.digest}.anchor"

    def _verify(self, found: Moved) -> None:
        from aegis_agents.ledger.postgres import PostgresStore

        if not self._anchor.exists():  # killed between the commit and the anchor: what was copied is what it names
            AnchorFile(self._anchor).create(Anchor(found.entries, found.head, found.rows["ledger_checkpoints"]))
        store = PostgresStore(self._url, anchor=self._anchor, schema=self.target.schema, signer=self._signer)
        try:
            there = store.verify()
            last = store.entries(after=found.entries - 1, limit=1)
            if there.origin != found.origin or not last or last[0].hash != found.head:
                raise LedgerTampered(f"{self.target.shown}: its ledger is not the one of {self.source}")
        finally:
            store._wrote = False
            store.close()
