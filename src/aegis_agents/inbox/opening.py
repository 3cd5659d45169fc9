"""Which inbox: SQLite in `home`, or the PostgreSQL schema of `settings.database`. The one place that decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aegis_agents.inbox.base import Clock
from aegis_agents.inbox.inbox import Inbox
from aegis_agents.inbox.keeping import Keeping
from aegis_agents.inbox.putting import Putting
from aegis_agents.inbox.taking import Taking

if TYPE_CHECKING:
    from aegis_agents.inbox.database import Database
    from aegis_agents.settings import Settings


class DatabaseInbox(Putting, Taking, Keeping):
    """The Inbox over a database."""


def open_inbox(settings: Settings, *, rates: Mapping[str, float] | None = None, clock: Clock | None = None) -> Inbox:
    """The inbox at `home`/inbox.sqlite, or in the schema of `settings.database`; a connection of its own.

    `rates` are alerts a second by stream, where one differs from `inbox.rate_per_stream`; those of settings by default. `clock` replaces
    the database's clock (PostgreSQL) or this machine's (SQLite). Raises SettingsError for a wrong address or
    a missing extra, StoreError if it can't be opened.
    """
    from aegis_agents.inbox.priority import prioritiser

    if rates is None:
        rates = {stream.name: stream.rate for stream in settings.streams if stream.rate}
    return DatabaseInbox(
        open_database(settings), settings.inbox, tenant=settings.tenant, rates=rates,
        prioritise=prioritiser(settings), clock=clock,
    )  # fmt: skip


def open_database(settings: Settings) -> Database:
    """The database that the inbox is in. Raises as `open_inbox`."""
    if settings.database is None:
        from aegis_agents.inbox.sqlite import SqliteDatabase

        return SqliteDatabase(settings.home / "inbox.sqlite")
    from aegis_agents.inbox.postgres import PostgresDatabase
    from aegis_agents.ledger.postgres_connection import Address

    return PostgresDatabase(Address(settings.database.get_secret_value(), settings.database_schema))
