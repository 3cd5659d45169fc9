"""The tables: written once, in the words of each database."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

VERSION: Final = 5
"""Of the tables as this code makes them. Any change of them raises it, and adds a revision (upkeep/migrations)."""

OLDEST: Final = 4
"""The oldest version of code that may still work on these tables: a change that only adds leaves it as it is."""

INTAKE_INDEXES: Final = (
    "CREATE INDEX intake_queue ON intake(at, incident_id)",
    "CREATE INDEX intake_open ON intake(at, incident_id) WHERE finished_at IS NULL",
    "CREATE INDEX intake_verdict ON intake(verdict, at, incident_id) WHERE verdict IS NOT NULL",
)
"""What pages of the queue are read by: all of it, what is open, and one verdict's."""

LIVE: Final = "(state || '') IN ('executed', 'unconfirmed')"
"""In effect, or may be. In words that no other index answers to, and no statistics: most rows of a journal ever were."""
ENDED_BADLY: Final = "(state || '') IN ('failed', 'undone')"
"""What budgets count when it ends, in such words too."""

JOURNAL_INDEXES: Final = (
    f"CREATE INDEX journal_timers ON journal(expires_at, ord) WHERE expires_at IS NOT NULL AND {LIVE}",
    "CREATE INDEX journal_waiting ON journal(incident_id) WHERE state = 'awaiting'",
    f"CREATE INDEX journal_ended ON journal(updated_at) WHERE {ENDED_BADLY}",
)
"""Since version 5: what is looked up of what is live, or of the last hour, never passes what is over.

`journal_timers` is instead of version 4's journal_expiry, which also held what had long lifted itself, and which
neither database would take: without statistics SQLite preferred journal_state to it, with them PostgreSQL the table.
"""

VERSION_TABLE: Final = """
CREATE TABLE aegis_version (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    version  INTEGER NOT NULL,
    oldest   INTEGER NOT NULL,      -- of the code that may still work here
    moved_to TEXT,                  -- where everything is brought to, or was
    moved_at TEXT                   -- when the last of it was there
)"""
"""Since version 5; before it, a database knew its version alone."""

# Times are UTC ISO 8601 with microseconds, one width, so that text order is time order.
_TABLES = """
CREATE TABLE intake (
    incident_id TEXT PRIMARY KEY,
    at          TEXT NOT NULL,
    incident    TEXT NOT NULL,
    native      {blob} NOT NULL,      -- UTF-8 with surrogates passed: an alert's text need not be valid Unicode
    pins        TEXT NOT NULL,
    owner       TEXT,               -- the process that works on it
    finished_at TEXT,
    case_json   TEXT,
    verdict     TEXT                -- the case's, for the queue
);
{intake_indexes}

CREATE TABLE journal (
    ord          {serial},
    action_id    TEXT NOT NULL UNIQUE,
    incident_id  TEXT NOT NULL REFERENCES intake(incident_id),
    key          TEXT NOT NULL UNIQUE,
    action       TEXT NOT NULL,
    target_kind  TEXT NOT NULL,
    target_value TEXT NOT NULL,
    generation   INTEGER NOT NULL,
    effect       TEXT NOT NULL,
    tier         TEXT NOT NULL,     -- the target's, as the gate saw it; budgets are counted by it
    groups       TEXT NOT NULL,     -- its asset groups, separated by spaces
    proposal     TEXT NOT NULL,
    decision     TEXT NOT NULL,
    state        TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL,
    begun_at     TEXT,
    by           TEXT,              -- as people see it
    principal    TEXT,              -- who it was, authenticated
    answered_at  TEXT,
    answer       TEXT NOT NULL DEFAULT '',
    undo_by      TEXT,
    undo_principal TEXT,
    undo_as      TEXT,
    owner        TEXT,
    connector    TEXT,
    detail       TEXT NOT NULL DEFAULT '',
    expires_at   TEXT               -- when it lifts itself
);
CREATE INDEX journal_incident ON journal(incident_id, ord);
CREATE INDEX journal_state ON journal(state, ord);
CREATE INDEX journal_begun ON journal(effect, begun_at) WHERE begun_at IS NOT NULL;
{journal_indexes}

CREATE TABLE leases (
    ord          {serial},
    action       TEXT NOT NULL,
    target_kind  TEXT NOT NULL,
    target_value TEXT NOT NULL,
    action_id    TEXT NOT NULL UNIQUE REFERENCES journal(action_id),
    foreign_made INTEGER NOT NULL DEFAULT 0,
    held_at      TEXT NOT NULL
);
CREATE INDEX leases_what ON leases(action, target_kind, target_value, ord);

CREATE TABLE principals (
    token_id      TEXT PRIMARY KEY,
    secret_sha256 TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    roles         TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    expires_at    TEXT NOT NULL,
    revoked_at    TEXT,
    created_by    TEXT NOT NULL
);

CREATE TABLE ledger_entries (
    seq         INTEGER PRIMARY KEY,
    at          TEXT NOT NULL,
    kind        TEXT NOT NULL,
    incident_id TEXT,
    body        TEXT,               -- NULL once it was removed
    salt        TEXT,               -- removed with it: a body that is gone can't be guessed from its hash
    body_sha256 TEXT NOT NULL,
    prev        TEXT NOT NULL,
    hash        TEXT NOT NULL
);
CREATE INDEX ledger_kind ON ledger_entries(kind, seq);
CREATE INDEX ledger_incident ON ledger_entries(incident_id, seq) WHERE incident_id IS NOT NULL;

CREATE TABLE ledger_checkpoints (
    number INTEGER PRIMARY KEY,
    note   TEXT NOT NULL
);

CREATE TABLE ledger_meta (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    origin      TEXT NOT NULL,      -- which ledger this is, for good
    count       INTEGER NOT NULL,
    head        TEXT NOT NULL,
    checkpoints INTEGER NOT NULL,
    signed      INTEGER NOT NULL    -- entries that the newest checkpoint covers
);

{version_table};
"""


def tables(*, blob: str, serial: str) -> str:
    """The tables, with a database's own words for bytes and for a number that counts up by itself."""
    intake, journal = ("".join(f"{index};\n" for index in indexes) for indexes in (INTAKE_INDEXES, JOURNAL_INDEXES))
    return _TABLES.format(
        blob=blob, serial=serial, intake_indexes=intake, journal_indexes=journal, version_table=VERSION_TABLE.strip()
    )


_REFUSED = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
_UNCHANGED = " AND ".join(
    f"NEW.{column} IS OLD.{column}" for column in ("seq", "at", "kind", "incident_id", "body_sha256", "prev", "hash")
)
_REMOVAL = f"OLD.body IS NOT NULL AND OLD.salt IS NOT NULL AND NEW.body IS NULL AND NEW.salt IS NULL AND {_UNCHANGED}"

# INSERT OR REPLACE would delete without firing the triggers on delete: those on insert are for that.
SQLITE_GUARDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        name: f"CREATE TRIGGER {name} BEFORE {when} {_REFUSED}"
        for name, when in {
            "ledger_no_update": f"UPDATE ON ledger_entries WHEN NOT ({_REMOVAL})",
            "ledger_no_delete": "DELETE ON ledger_entries",
            "ledger_in_order": "INSERT ON ledger_entries "
            "WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM ledger_entries)",
            "checkpoints_no_update": "UPDATE ON ledger_checkpoints",
            "checkpoints_no_delete": "DELETE ON ledger_checkpoints",
            "checkpoints_in_order": "INSERT ON ledger_checkpoints "
            "WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM ledger_checkpoints)",
        }.items()
    }
)
"""Triggers that keep entries and checkpoints append-only; verify() counts a missing or altered one as tampering.

The one change they let through is the removal of a body together with its salt, once (`retention`).
"""
