"""Stores as versions 1 and 2 wrote them: the words of their schema, and the hash of their links."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

_VERSION_1 = """
CREATE TABLE intake (
    incident_id TEXT PRIMARY KEY,
    at          TEXT NOT NULL,
    incident    TEXT NOT NULL,
    native      BLOB NOT NULL,      -- UTF-8 with surrogates passed: an alert's text need not be valid Unicode
    pins        TEXT NOT NULL,
    finished_at TEXT,
    case_json   TEXT
) WITHOUT ROWID;
CREATE INDEX intake_open ON intake(at) WHERE finished_at IS NULL;

CREATE TABLE journal (
    ord          INTEGER PRIMARY KEY,
    action_id    TEXT NOT NULL UNIQUE,
    incident_id  TEXT NOT NULL REFERENCES intake(incident_id),
    key          TEXT NOT NULL UNIQUE,
    action       TEXT NOT NULL,
    target_kind  TEXT NOT NULL,
    target_value TEXT NOT NULL,
    generation   INTEGER NOT NULL,
    effect       TEXT NOT NULL,
    proposal     TEXT NOT NULL,
    decision     TEXT NOT NULL,
    state        TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL,
    begun_at     TEXT,
    by           TEXT,
    answered_at  TEXT,
    answer       TEXT NOT NULL DEFAULT '',
    undo_by      TEXT,
    undo_as      TEXT,
    owner        TEXT,
    connector    TEXT,
    detail       TEXT NOT NULL DEFAULT ''
);
CREATE INDEX journal_incident ON journal(incident_id, ord);
CREATE INDEX journal_state ON journal(state, ord);
CREATE INDEX journal_begun ON journal(effect, begun_at) WHERE begun_at IS NOT NULL;

CREATE TABLE leases (
    ord          INTEGER PRIMARY KEY,
    action       TEXT NOT NULL,
    target_kind  TEXT NOT NULL,
    target_value TEXT NOT NULL,
    action_id    TEXT NOT NULL UNIQUE REFERENCES journal(action_id),
    foreign_made INTEGER NOT NULL DEFAULT 0,
    held_at      TEXT NOT NULL
);
CREATE INDEX leases_what ON leases(action, target_kind, target_value, ord);

CREATE TABLE ledger_entries (
    seq         INTEGER PRIMARY KEY,
    at          TEXT NOT NULL,
    kind        TEXT NOT NULL,
    incident_id TEXT,
    body        TEXT NOT NULL,
    prev        TEXT NOT NULL,
    hash        TEXT NOT NULL
);
CREATE INDEX ledger_incident ON ledger_entries(incident_id, seq) WHERE incident_id IS NOT NULL;

CREATE TABLE ledger_meta (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    count INTEGER NOT NULL,
    head  TEXT NOT NULL
);
INSERT INTO ledger_meta VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
-- INSERT OR REPLACE would delete without firing the trigger above.
CREATE TRIGGER ledger_in_order BEFORE INSERT ON ledger_entries
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM ledger_entries)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""

_NEW_IN_2 = """
DROP TABLE journal;
CREATE TABLE journal (
    ord INTEGER PRIMARY KEY, action_id TEXT NOT NULL UNIQUE, incident_id TEXT NOT NULL REFERENCES intake(incident_id),
    key TEXT NOT NULL UNIQUE, action TEXT NOT NULL, target_kind TEXT NOT NULL, target_value TEXT NOT NULL,
    generation INTEGER NOT NULL, effect TEXT NOT NULL, tier TEXT NOT NULL, groups TEXT NOT NULL,
    proposal TEXT NOT NULL, decision TEXT NOT NULL, state TEXT NOT NULL, created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL, begun_at TEXT, by TEXT, principal TEXT, answered_at TEXT,
    answer TEXT NOT NULL DEFAULT '', undo_by TEXT, undo_principal TEXT, undo_as TEXT, owner TEXT, connector TEXT,
    detail TEXT NOT NULL DEFAULT '', expires_at TEXT
);
CREATE INDEX journal_incident ON journal(incident_id, ord);
CREATE INDEX journal_state ON journal(state, ord);
CREATE INDEX journal_expiry ON journal(expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX journal_begun ON journal(effect, begun_at) WHERE begun_at IS NOT NULL;
CREATE TABLE principals (
    token_id TEXT PRIMARY KEY, secret_sha256 TEXT NOT NULL UNIQUE, name TEXT NOT NULL, roles TEXT NOT NULL,
    created_at TEXT NOT NULL, expires_at TEXT NOT NULL, revoked_at TEXT, created_by TEXT NOT NULL
);
CREATE INDEX ledger_kind ON ledger_entries(kind, seq);
"""


class OldStore:
    """A store of version 1 or 2, written without any code of now."""

    def __init__(self, file: Path, version: int) -> None:
        self.file = file
        self.db = sqlite3.connect(file)
        self.db.executescript(_VERSION_1 + (_NEW_IN_2 if version == 2 else ""))
        self.db.execute(f"PRAGMA user_version={version}")
        self.count, self.head = 0, "0" * 64

    def append(self, kind: str, incident_id: str | None, body: dict[str, Any]) -> None:
        """One link of the old chain."""
        self.count += 1
        entry = {"at": f"2026-01-01T00:00:{self.count:02d}.000000+00:00", "body": body, "incident_id": incident_id}
        entry |= {"kind": kind, "seq": self.count}
        said = json.dumps(entry, sort_keys=True, separators=(",", ":"))
        now = hashlib.sha256((self.head + said).encode()).hexdigest()
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        row = (self.count, entry["at"], kind, incident_id, text, self.head, now)
        self.db.execute("INSERT INTO ledger_entries VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self.head = now
        self.db.execute("UPDATE ledger_meta SET count = ?, head = ?", (self.count, now))

    def insert(self, table: str, **values: Any) -> None:
        """One row."""
        marks = ", ".join("?" * len(values))
        self.db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))

    def anchor(self, entries: int | None = None, head: str | None = None) -> None:
        """Its anchor, as it was written then."""
        text = f"{self.count if entries is None else entries} {head or self.head}"
        line = f"{text} {hashlib.sha256(text.encode()).hexdigest()}".ljust(255) + "\n"
        self.file.with_name(self.file.name + ".anchor").write_text(line)

    def close(self) -> None:
        """Commit and close."""
        self.db.commit()
        self.db.close()
