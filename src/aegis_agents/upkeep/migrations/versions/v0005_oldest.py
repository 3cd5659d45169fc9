"""Version 5: which code may still work here, indexes, and the tables that inbox and server made for themselves until now.

Only adds, but for an index that another is instead of: code of version 4 that has the store open goes on. The indexes
are made while writers wait, in the one transaction of the upgrade: for a journal of a million rows, seconds.
"""

from __future__ import annotations

from alembic import op

from aegis_agents.errors import StoreError

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SERVED = (
    "CREATE TABLE IF NOT EXISTS served_answers (digest TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL,"
    " body TEXT NOT NULL, at TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS served_answers_at ON served_answers(at)",
    "CREATE TABLE IF NOT EXISTS served_hooks (name TEXT PRIMARY KEY, seq INTEGER NOT NULL)",
)

_INDEXES = (
    "DROP INDEX IF EXISTS journal_expiry",
    "CREATE INDEX journal_timers ON journal(expires_at, ord) WHERE expires_at IS NOT NULL"
    " AND (state || '') IN ('executed', 'unconfirmed')",
    "CREATE INDEX journal_waiting ON journal(incident_id) WHERE state = 'awaiting'",
    "CREATE INDEX journal_ended ON journal(updated_at) WHERE (state || '') IN ('failed', 'undone')",
)


def upgrade() -> None:
    """Add them."""
    from aegis_agents.inbox.schema import statements

    for statement in (
        "ALTER TABLE aegis_version ADD COLUMN oldest INTEGER",
        'ALTER TABLE aegis_version ADD COLUMN moved_to TEXT COLLATE "C"',
        'ALTER TABLE aegis_version ADD COLUMN moved_at TEXT COLLATE "C"',
        "UPDATE aegis_version SET version = 5, oldest = 4",
        "ALTER TABLE aegis_version ALTER COLUMN oldest SET NOT NULL",
        *_INDEXES,
        *_SERVED,
    ):
        op.execute(statement)
    # The inbox knows the version of its tables itself: it makes them here only for a role that may not make any later.
    made = "; ".join(statements("postgresql"))
    op.execute(f"DO $inbox$ BEGIN IF to_regclass('inbox_version') IS NULL THEN {made}; END IF; END $inbox$")


def downgrade() -> None:
    """There is no way back: what was done stays recorded. Raises StoreError."""
    raise StoreError("the ledger is append-only: restore a backup instead")
