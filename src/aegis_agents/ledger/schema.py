"""The tables of aegis.sqlite."""

from __future__ import annotations

VERSION = 1

APPEND_ONLY = ("ledger_no_update", "ledger_no_delete", "ledger_in_order")
"""Triggers that keep ledger_entries append-only; verify() counts a missing one as tampering."""

# Times are UTC ISO 8601 with microseconds, one width, so that text order is time order.
SCHEMA = """
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
