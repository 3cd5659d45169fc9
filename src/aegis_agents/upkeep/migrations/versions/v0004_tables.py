"""The tables of version 4: where upgrading PostgreSQL begins. Frozen: what it makes is what that version made."""

from __future__ import annotations

from alembic import op

from aegis_agents.errors import StoreError

revision = "0004"
down_revision = None
branch_labels = None
depends_on = None

_SCRIPT = """
CREATE TABLE intake (
    incident_id TEXT COLLATE "C" PRIMARY KEY,
    at          TEXT COLLATE "C" NOT NULL,
    incident    TEXT COLLATE "C" NOT NULL,
    native      BYTEA NOT NULL,
    pins        TEXT COLLATE "C" NOT NULL,
    owner       TEXT COLLATE "C",
    finished_at TEXT COLLATE "C",
    case_json   TEXT COLLATE "C",
    verdict     TEXT COLLATE "C"
);
CREATE INDEX intake_queue ON intake(at, incident_id);
CREATE INDEX intake_open ON intake(at, incident_id) WHERE finished_at IS NULL;
CREATE INDEX intake_verdict ON intake(verdict, at, incident_id) WHERE verdict IS NOT NULL;
CREATE TABLE journal (
    ord          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action_id    TEXT COLLATE "C" NOT NULL UNIQUE,
    incident_id  TEXT COLLATE "C" NOT NULL REFERENCES intake(incident_id),
    key          TEXT COLLATE "C" NOT NULL UNIQUE,
    action       TEXT COLLATE "C" NOT NULL,
    target_kind  TEXT COLLATE "C" NOT NULL,
    target_value TEXT COLLATE "C" NOT NULL,
    generation   INTEGER NOT NULL,
    effect       TEXT COLLATE "C" NOT NULL,
    tier         TEXT COLLATE "C" NOT NULL,
    groups       TEXT COLLATE "C" NOT NULL,
    proposal     TEXT COLLATE "C" NOT NULL,
    decision     TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    created_at   TEXT COLLATE "C" NOT NULL,
    updated_at   TEXT COLLATE "C" NOT NULL,
    begun_at     TEXT COLLATE "C",
    by           TEXT COLLATE "C",
    principal    TEXT COLLATE "C",
    answered_at  TEXT COLLATE "C",
    answer       TEXT COLLATE "C" NOT NULL DEFAULT '',
    undo_by      TEXT COLLATE "C",
    undo_principal TEXT COLLATE "C",
    undo_as      TEXT COLLATE "C",
    owner        TEXT COLLATE "C",
    connector    TEXT COLLATE "C",
    detail       TEXT COLLATE "C" NOT NULL DEFAULT '',
    expires_at   TEXT COLLATE "C"
);
CREATE INDEX journal_incident ON journal(incident_id, ord);
CREATE INDEX journal_state ON journal(state, ord);
CREATE INDEX journal_expiry ON journal(expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX journal_begun ON journal(effect, begun_at) WHERE begun_at IS NOT NULL;
CREATE TABLE leases (
    ord          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action       TEXT COLLATE "C" NOT NULL,
    target_kind  TEXT COLLATE "C" NOT NULL,
    target_value TEXT COLLATE "C" NOT NULL,
    action_id    TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES journal(action_id),
    foreign_made INTEGER NOT NULL DEFAULT 0,
    held_at      TEXT COLLATE "C" NOT NULL
);
CREATE INDEX leases_what ON leases(action, target_kind, target_value, ord);
CREATE TABLE principals (
    token_id      TEXT COLLATE "C" PRIMARY KEY,
    secret_sha256 TEXT COLLATE "C" NOT NULL UNIQUE,
    name          TEXT COLLATE "C" NOT NULL,
    roles         TEXT COLLATE "C" NOT NULL,
    created_at    TEXT COLLATE "C" NOT NULL,
    expires_at    TEXT COLLATE "C" NOT NULL,
    revoked_at    TEXT COLLATE "C",
    created_by    TEXT COLLATE "C" NOT NULL
);
CREATE TABLE ledger_entries (
    seq         INTEGER PRIMARY KEY,
    at          TEXT COLLATE "C" NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    incident_id TEXT COLLATE "C",
    body        TEXT COLLATE "C",
    salt        TEXT COLLATE "C",
    body_sha256 TEXT COLLATE "C" NOT NULL,
    prev        TEXT COLLATE "C" NOT NULL,
    hash        TEXT COLLATE "C" NOT NULL
);
CREATE INDEX ledger_kind ON ledger_entries(kind, seq);
CREATE INDEX ledger_incident ON ledger_entries(incident_id, seq) WHERE incident_id IS NOT NULL;
CREATE TABLE ledger_checkpoints (
    number INTEGER PRIMARY KEY,
    note   TEXT COLLATE "C" NOT NULL
);
CREATE TABLE ledger_meta (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    origin      TEXT COLLATE "C" NOT NULL,
    count       INTEGER NOT NULL,
    head        TEXT COLLATE "C" NOT NULL,
    checkpoints INTEGER NOT NULL,
    signed      INTEGER NOT NULL
);
CREATE TABLE aegis_version (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);
INSERT INTO aegis_version VALUES (1, 4);
CREATE FUNCTION ledger_no_update() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
AS $guard$BEGIN IF OLD.body IS NOT NULL AND OLD.salt IS NOT NULL AND NEW.body IS NULL AND NEW.salt IS NULL AND to_jsonb(NEW) - 'body' - 'salt' = to_jsonb(OLD) - 'body' - 'salt' THEN RETURN NEW; END IF; RAISE EXCEPTION 'the ledger is append-only'; END$guard$;
CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger_entries
FOR EACH ROW EXECUTE FUNCTION ledger_no_update();
ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER ledger_no_update;
CREATE FUNCTION ledger_no_delete() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
AS $guard$BEGIN RAISE EXCEPTION 'the ledger is append-only'; END$guard$;
CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger_entries
FOR EACH ROW EXECUTE FUNCTION ledger_no_delete();
ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER ledger_no_delete;
CREATE FUNCTION ledger_no_truncate() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
AS $guard$BEGIN RAISE EXCEPTION 'the ledger is append-only'; END$guard$;
CREATE TRIGGER ledger_no_truncate BEFORE TRUNCATE ON ledger_entries
FOR EACH STATEMENT EXECUTE FUNCTION ledger_no_truncate();
ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER ledger_no_truncate;
CREATE FUNCTION ledger_in_order() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
AS $guard$BEGIN IF NEW.seq IS DISTINCT FROM (SELECT coalesce(max(seq), 0) + 1 FROM ledger_entries) THEN RAISE EXCEPTION 'the ledger is append-only'; END IF; RETURN NEW; END$guard$;
CREATE TRIGGER ledger_in_order BEFORE INSERT ON ledger_entries
FOR EACH ROW EXECUTE FUNCTION ledger_in_order();
ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER ledger_in_order;
CREATE FUNCTION checkpoints_no_update() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
AS $guard$BEGIN RAISE EXCEPTION 'the ledger is append-only'; END$guard$;
CREATE TRIGGER checkpoints_no_update BEFORE UPDATE ON ledger_checkpoints
FOR EACH ROW EXECUTE FUNCTION checkpoints_no_update();
ALTER TABLE ledger_checkpoints ENABLE ALWAYS TRIGGER checkpoints_no_update;
CREATE FUNCTION checkpoints_no_delete() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
AS $guard$BEGIN RAISE EXCEPTION 'the ledger is append-only'; END$guard$;
CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON ledger_checkpoints
FOR EACH ROW EXECUTE FUNCTION checkpoints_no_delete();
ALTER TABLE ledger_checkpoints ENABLE ALWAYS TRIGGER checkpoints_no_delete;
CREATE FUNCTION checkpoints_no_truncate() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
AS $guard$BEGIN RAISE EXCEPTION 'the ledger is append-only'; END$guard$;
CREATE TRIGGER checkpoints_no_truncate BEFORE TRUNCATE ON ledger_checkpoints
FOR EACH STATEMENT EXECUTE FUNCTION checkpoints_no_truncate();
ALTER TABLE ledger_checkpoints ENABLE ALWAYS TRIGGER checkpoints_no_truncate;
CREATE FUNCTION checkpoints_in_order() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
AS $guard$BEGIN IF NEW.number IS DISTINCT FROM (SELECT coalesce(max(number), 0) + 1 FROM ledger_checkpoints) THEN RAISE EXCEPTION 'the ledger is append-only'; END IF; RETURN NEW; END$guard$;
CREATE TRIGGER checkpoints_in_order BEFORE INSERT ON ledger_checkpoints
FOR EACH ROW EXECUTE FUNCTION checkpoints_in_order();
ALTER TABLE ledger_checkpoints ENABLE ALWAYS TRIGGER checkpoints_in_order;
"""


def upgrade() -> None:
    """Make them."""
    for statement in _SCRIPT.strip().removesuffix(";").split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    """There is no way back: what was done stays recorded. Raises StoreError."""
    raise StoreError("the ledger is append-only: restore a backup instead")
