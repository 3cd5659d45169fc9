"""The embedded store: everything in one SQLite file."""

from __future__ import annotations

from aegis_agents.ledger.journal import JournalTable


class SqliteStore(JournalTable):
    """The Store in one file, `aegis.sqlite`; several threads and processes may use it at once.

    `path` is the file (made if missing, with its folder), `busy_timeout_s` how long to wait for another
    process's commit before StoreError, `clock` the source of time.
    """
