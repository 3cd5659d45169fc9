"""Which store: SQLite in a folder, or PostgreSQL where an address is given. The one place that decides."""

from __future__ import annotations

from pathlib import Path

from aegis_agents.ledger.signing import Signer
from aegis_agents.ledger.sqlite import SqliteStore
from aegis_agents.ledger.store import Store

SCHEMA = "aegis"
"""The PostgreSQL schema that the tables are in."""


def open_store(database: str | None, home: Path, *, schema: str = SCHEMA, signer: Signer | None = None) -> Store:
    """The store at `database` ("postgresql://user@host/name"), or without one `home`/aegis.sqlite.

    This machine's anchor of a PostgreSQL ledger lies in `home`, one for each address and schema. `signer`
    signs checkpoints of the ledger. Raises SettingsError for a wrong address or a missing extra, StoreError if it can't be opened.
    """
    if database is None:
        return SqliteStore(home / "aegis.sqlite", signer=signer)
    from aegis_agents.ledger.postgres import PostgresStore
    from aegis_agents.ledger.postgres_connection import Address

    anchor = home / f"postgres-{Address(database, schema).digest}.anchor"
    return PostgresStore(database, anchor=anchor, schema=schema, signer=signer)
