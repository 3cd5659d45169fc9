"""Revisions of the PostgreSQL tables, for alembic: raw SQL, frozen, one for each version of `ledger.schema`."""
