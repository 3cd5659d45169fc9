"""Version 5: which code may still work here, and the tables that inbox and server made for themselves until now.

Only adds: code of version 4 that has the store open goes on.
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


def upgrade() -> None:
    """Add them."""
    from aegis_agents.inbox.schema import statements

    for statement in (
        "ALTER TABLE aegis_version ADD COLUMN oldest INTEGER",
        'ALTER TABLE aegis_version ADD COLUMN moved_to TEXT COLLATE "C"',
        'ALTER TABLE aegis_version ADD COLUMN moved_at TEXT COLLATE "C"',
        "UPDATE aegis_version SET version = 5, oldest = 4",
        "ALTER TABLE aegis_version ALTER COLUMN oldest SET NOT NULL",
        *_SERVED,
    ):
        op.execute(statement)
    # The inbox knows the version of its tables itself: it makes them here only for a role that may not make any later.
    made = "; ".join(statements("postgresql"))
    op.execute(f"DO $inbox$ BEGIN IF to_regclass('inbox_version') IS NULL THEN {made}; END IF; END $inbox$")


def downgrade() -> None:
    """There is no way back: what was done stays recorded. Raises StoreError."""
    raise StoreError("the ledger is append-only: restore a backup instead")
