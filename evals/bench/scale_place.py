"""Where the store of a measurement lies, how large it is, and a long history in it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aegis_agents import Aegis
from aegis_agents.checkpoints import record_serializer
from aegis_agents.ledger import Signer, Store
from aegis_agents.ledger.opening import open_store

TABLES = ("intake", "journal", "leases", "ledger_entries", "ledger_checkpoints", "ledger_meta")
CHECKPOINTS = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
PER_DAY = 1_000_000
"""History is written as if so many incidents came in a day, so that the last hour is as full as it would be."""
UNLIMITED = {
    "actions_per_hour": 10**9, "closings_per_hour": 10**9, "records_per_hour": 10**9, "blast_radius": 10**9,
    "per_tier": {"standard": 10**9, "important": 10**9, "protected": 0}, "per_group": {"*": 10**9},
    "per_sort": {"accounts": 10**9, "hosts": 10**9, "addresses": 10**9}, "most_per_hour": 10**9,
}  # fmt: skip
"""Budgets that no stream exhausts: with the shipped ones the work would change in the middle of a measurement."""


@dataclass(frozen=True)
class Place:
    """A store: SQLite in `home`, or a schema of a PostgreSQL database."""

    home: Path
    database: str | None = None
    schema: str = "aegis"
    forgetful: bool = False
    """Whether checkpoints of the graph are kept in memory alone: what is left when they cost nothing."""

    @property
    def kind(self) -> str:
        """Its name in tables."""
        name = "SQLite" if self.database is None else "PostgreSQL"
        return f"{name}, checkpoints in memory" if self.forgetful else name

    def aegis(self, **more: Any) -> Aegis:
        """Aegis over it, with the real model."""
        where = {"database": self.database, "database_schema": self.schema} if self.database else {}
        if self.forgetful:
            from langgraph.checkpoint.memory import InMemorySaver

            more["checkpointer"] = InMemorySaver(serde=record_serializer())
        return Aegis(home=self.home, budgets=UNLIMITED, **where, **more)

    def store(self) -> Store:
        """The store alone."""
        return open_store(self.database, self.home, schema=self.schema, signer=Signer(self.home / "ledger.key"))

    def connect(self) -> Any:
        """A connection of one's own to the PostgreSQL database."""
        import psycopg

        assert self.database is not None
        return psycopg.connect(self.database, autocommit=True)

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Rows and bytes, indexes and all, by table; SQLite knows bytes by file alone, under the files' names."""
        if self.database is None:
            with closing(self.store()) as store:
                store._run("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[attr-defined]
                counted = {t: int(store._rows(f"SELECT count(*) FROM {t}")[0][0]) for t in TABLES}  # type: ignore[attr-defined]
            files = ("aegis.sqlite", "checkpoints.sqlite", "checkpoints.sqlite-wal")
            lengths = {f: (self.home / f).stat().st_size for f in files if (self.home / f).exists()}
            return {t: (n, 0) for t, n in counted.items()} | {f: (0, n) for f, n in lengths.items()}
        with self.connect() as database:
            found = {}
            for table in (*TABLES, *CHECKPOINTS):
                name = f"{self.schema}.{table}"
                if database.execute("SELECT to_regclass(%s)", (name,)).fetchone()[0] is not None:
                    rows = database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
                    found[table] = (
                        int(rows),
                        int(database.execute("SELECT pg_total_relation_size(%s)", (name,)).fetchone()[0]),
                    )
            return found


def grow(place: Place, until: int) -> int:
    """Fill the store up to `until` incidents with copies of those in it; answers how many there are then.

    The copies have ids and times of their own and lie before the real ones, evenly, at PER_DAY. Rows of the ledger are
    copied too, with the guards off, so that tables and indexes are as long as they would be; such a chain does not
    verify, and nothing here asks it to.
    """
    store: Any = place.store()
    with closing(store):
        there, entries = (int(store._rows(f"SELECT count(*) FROM {t}")[0][0]) for t in ("intake", "ledger_entries"))
        times = (until - there) // there
        if times < 1:
            return there
        step = 86_400 / PER_DAY
        with store.transaction():
            if place.database is None:
                _grow_sqlite(store, there, entries, times, step)
            else:
                _grow_postgres(store, there, entries, times, step)
        return int(store._rows("SELECT count(*) FROM intake")[0][0])


# A copy's number is `g`; row `r` of the originals is put (g * there + r) steps before now.
_COPY = {
    "intake": "incident_id || '-{there}.' || g, {at}, incident, native, pins, owner, {at}, case_json, verdict",
    "journal": "action_id || '-{there}.' || g, incident_id || '-{there}.' || g, key || '-{there}.' || g, action, target_kind, target_value,"
    " generation, effect, tier, groups, proposal, decision, state, {at}, {at},"
    " CASE WHEN begun_at IS NULL THEN NULL ELSE {at} END, by, principal, answered_at, answer, undo_by, undo_principal,"
    " undo_as, owner, connector, detail, expires_at",
}
_COLUMNS = {
    "intake": "incident_id, at, incident, native, pins, owner, finished_at, case_json, verdict",
    "journal": "action_id, incident_id, key, action, target_kind, target_value, generation, effect, tier, groups,"
    " proposal, decision, state, created_at, updated_at, begun_at, by, principal, answered_at, answer, undo_by,"
    " undo_principal, undo_as, owner, connector, detail, expires_at",
}
_NUMBERED = {
    "intake": "(SELECT i.*, row_number() OVER (ORDER BY at) AS r FROM intake i) o",
    "journal": "(SELECT j.*, i.r FROM journal j JOIN (SELECT incident_id AS id, row_number() OVER (ORDER BY at) AS r"
    " FROM intake) i ON i.id = j.incident_id) o",
}


def _copies(at: str, counted: str, there: int) -> list[str]:
    return [
        f"INSERT INTO {table} ({_COLUMNS[table]}) SELECT {_COPY[table].format(at=at, there=there)} FROM {_NUMBERED[table]}, {counted}"
        " ORDER BY g DESC, r DESC"
        for table in ("journal", "intake")
    ]


_ENTRIES = (
    "INSERT INTO ledger_entries SELECT {count} * g + seq, at, kind, incident_id || '-{there}.' || g, body, salt, body_sha256,"
    " prev, hash FROM ledger_entries, {counted}"
)


def _grow_sqlite(store: Any, there: int, entries: int, times: int, step: float) -> None:
    counted = f"(WITH RECURSIVE n(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < {times}) SELECT g FROM n) c"
    at = f"strftime('%Y-%m-%dT%H:%M:%f', 'now', '-' || ((g * {there} + r) * {step}) || ' seconds') || '000+00:00'"
    guard = store._rows("SELECT sql FROM sqlite_master WHERE name = 'ledger_in_order'")[0][0]
    journal, intake = _copies(at, counted, there)
    store._run("DROP TRIGGER ledger_in_order")
    store._run("PRAGMA defer_foreign_keys=ON")
    store._run(journal)
    store._run(intake)
    store._run(_ENTRIES.format(count=entries, counted=counted, there=there))
    store._run(guard)
    _mend(store)


def _grow_postgres(store: Any, there: int, entries: int, times: int, step: float) -> None:
    counted = f"generate_series(1, {times}) AS g"
    moment = f"(now() AT TIME ZONE 'UTC') - (g * {there} + r) * {step} * interval '1 second'"
    at = f"to_char({moment}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '+00:00'"
    journal_first = _copies(at, counted, there)  # it looks at the original intake, as intake itself does
    store._run("ALTER TABLE ledger_entries DISABLE TRIGGER ledger_in_order")
    store._run("ALTER TABLE journal DROP CONSTRAINT journal_incident_id_fkey")
    for copy in (*journal_first, _ENTRIES.format(count=entries, counted=counted, there=there)):
        store._run(copy)
    store._run("ALTER TABLE journal ADD FOREIGN KEY (incident_id) REFERENCES intake(incident_id)")
    store._run("ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER ledger_in_order")
    _mend(store)


def _mend(store: Any) -> None:
    """Count and head as the next entry expects them."""
    store._run(
        "UPDATE ledger_meta SET count = (SELECT max(seq) FROM ledger_entries), signed = (SELECT max(seq) FROM"
        " ledger_entries), head = (SELECT hash FROM ledger_entries ORDER BY seq DESC LIMIT 1)"
    )
