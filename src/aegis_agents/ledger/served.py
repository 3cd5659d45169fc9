"""What a server keeps beside the ledger: answers to requests that may come again, and how far webhooks were told.

Both are conveniences over what intake, journal and ledger say, so they are plain tables that no version of the
store counts: made where they are missing, and lost without harm.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from aegis_agents.ledger.database import Database

_TABLES = (
    "CREATE TABLE IF NOT EXISTS served_answers (digest TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL,"
    " body TEXT NOT NULL, at TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS served_answers_at ON served_answers(at)",
    "CREATE TABLE IF NOT EXISTS served_hooks (name TEXT PRIMARY KEY, seq INTEGER NOT NULL)",
)


class Answered(NamedTuple):
    """An answer as it was given: the digest of its request, its status and its body (JSON)."""

    request: str
    status: int
    body: str


class Served:
    """The server's own tables in a store's database. Every method may raise StoreError."""

    def __init__(self, store: Database) -> None:
        self._store = store
        with store.transaction():
            for statement in _TABLES:
                store._run(statement)

    def answered(self, digest: str) -> Answered | None:
        """What was answered to this key; None if nothing was, or it is forgotten."""
        row = self._store._row("SELECT request, status, body FROM served_answers WHERE digest = ?", (digest,))
        return None if row is None else Answered(row["request"], int(row["status"]), row["body"])

    def keep(self, digest: str, answer: Answered) -> None:
        """Keep an answer; the first one stands."""
        self._store._run(
            "INSERT INTO served_answers (digest, request, status, body, at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (digest) DO NOTHING",
            (digest, answer.request, answer.status, answer.body, _text(datetime.now(UTC))),
        )

    def forget(self, older_than: timedelta) -> int:
        """Remove answers older than that; answers how many."""
        return self.forget_before(datetime.now(UTC) - older_than)

    def forget_before(self, when: datetime) -> int:
        """Remove answers that were given before this time; answers how many."""
        done = self._store._run("DELETE FROM served_answers WHERE at < ?", (_text(when.astimezone(UTC)),))
        return int(done.rowcount)

    def told(self, name: str, newest: int) -> int:
        """The ledger entry up to which this receiver was told; one that is new begins at `newest`."""
        self._store._run(
            "INSERT INTO served_hooks (name, seq) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", (name, newest)
        )
        row = self._store._row("SELECT seq FROM served_hooks WHERE name = ?", (name,))
        return newest if row is None else int(row["seq"])

    def tell(self, name: str, seq: int) -> None:
        """This receiver was told up to `seq`; never goes back."""
        self._store._run("UPDATE served_hooks SET seq = ? WHERE name = ? AND seq < ?", (seq, name, seq))

    def newest(self) -> int:
        """The number of the ledger's last entry."""
        row = self._store._row("SELECT count FROM ledger_meta")
        return 0 if row is None else int(row["count"])

    def origin(self) -> str:
        """Which ledger this is."""
        row = self._store._row("SELECT origin FROM ledger_meta")
        return "" if row is None else str(row["origin"])


def _text(when: datetime) -> str:
    return when.isoformat(timespec="microseconds")
