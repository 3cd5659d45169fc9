"""Upgrading the PostgreSQL tables, with alembic: what is there, what is to come, and the way between.

SQLite upgrades itself on opening, in the transaction that opens it: one machine, one file, nobody else to ask.
PostgreSQL does not: several machines work on it, and the role that they run as need not be allowed to.
A schema that is made anew is made whole and stamped, so that alembic is needed for upgrades alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from aegis_agents.errors import SettingsError, StoreError
from aegis_agents.ledger.postgres import ALEMBIC_TABLE, revision_of
from aegis_agents.ledger.postgres_connection import Address
from aegis_agents.ledger.schema import VERSION

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

FIRST = 4
"""The first version that alembic knows."""

_FOLDER = Path(__file__).parent / "migrations"
_EXTRA = "database: upgrading PostgreSQL needs the extra: pip install 'aegis-soc-agents[postgres]'"


class Revision(NamedTuple):
    """A step of the tables: its number, what it is, and whether it was taken."""

    number: str
    what: str
    taken: bool


class Revisions:
    """The revisions of one schema. Every method may raise StoreError, and SettingsError where alembic is missing."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def current(self) -> str | None:
        """The revision that the tables are of; None where there are no tables."""
        with self._connected() as connection:
            return self._current(connection)

    def history(self) -> list[Revision]:
        """All revisions, the first one first."""
        from alembic.script import ScriptDirectory

        found = self.current()
        steps = list(ScriptDirectory.from_config(self._config()).walk_revisions())[::-1]
        return [Revision(s.revision, s.doc.splitlines()[0], found is not None and s.revision <= found) for s in steps]

    def upgrade(self, to: str = "head") -> tuple[str | None, str | None]:
        """Bring the tables to a revision, all of it or nothing; answers the revisions before and after.

        Safe beside others at work: they wait for the lock that every change of theirs takes. Raises StoreError
        for tables that are newer than this code, or older than it can upgrade.
        """
        from alembic import command

        with self._connected() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({self._lock})")
            before = self._current(connection)
            if before is None:
                raise StoreError(
                    f"{self._address.shown}: there are no tables here: they are made whole when Aegis first opens it"
                )
            if before > revision_of(VERSION):
                raise StoreError(f"{self._address.shown}: its tables are of revision {before}, newer than this code's")
            if not self._stamped(connection):
                self._write_stamp(connection, before)
            self._run(command.upgrade, connection, to)
            return before, self._current(connection)

    def stamp(self, revision: str) -> None:
        """Say which revision the tables are of, without touching them: after a DBA has run the SQL by hand.

        Raises StoreError if the tables say otherwise of themselves.
        """
        with self._connected() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({self._lock})")
            version = self._version(connection)
            if version is None or revision_of(version) != revision:
                said = "there are none" if version is None else f"they are of revision {revision_of(version)}"
                raise StoreError(f"{self._address.shown}: its tables say {said}, not {revision}: nothing was stamped")
            self._write_stamp(connection, revision)

    def sql(self, out: TextIO, span: str) -> None:
        """Write the SQL of a span ("0004:0005", or "head" from nothing on) for a DBA; no database is asked."""
        from alembic import command

        config = self._config(out)
        schema = self._address.schema
        config.attributes["first"] = [
            f'CREATE SCHEMA IF NOT EXISTS "{schema}"',
            f'SET LOCAL search_path TO "{schema}", pg_temp',
            f"SELECT pg_advisory_xact_lock({self._lock})",
        ]
        begins = span.partition(":")[0]
        if begins != span:  # tables of before there were revisions carry no stamp, and alembic would change none
            config.attributes["first"] += [
                ALEMBIC_TABLE,
                f"INSERT INTO alembic_version SELECT v FROM (VALUES ('{begins}')) AS t(v)"  # noqa: S608 - checked below
                " WHERE NOT EXISTS (SELECT 1 FROM alembic_version)",
            ]
            if not re.fullmatch(r"[0-9]{4}", begins):
                raise SettingsError(f"--sql: {begins!r} is no revision (`aegis database history` lists them)")
        with _told(self._address):
            command.upgrade(config, span, sql=True)

    # within

    @property
    def _lock(self) -> int:
        """The lock that every change of a store on this schema takes (see PostgresDatabase)."""
        digest = hashlib.sha256(f"aegis ledger {self._address.schema}".encode()).digest()
        return int.from_bytes(digest[:8], signed=True)

    def _run(self, command: Any, connection: Connection, to: str) -> None:
        config = self._config()
        config.attributes["connection"] = connection
        command(config, to)

    def _config(self, out: TextIO | None = None) -> Config:
        try:
            from alembic.config import Config
        except ImportError as error:
            raise SettingsError(f"{_EXTRA} ({error})") from error
        config = Config(output_buffer=out) if out is not None else Config()
        config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        return config

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """One transaction. The connection is ours, so that no engine ever holds an address with a password."""
        try:
            from sqlalchemy import create_engine
            from sqlalchemy.pool import NullPool
        except ImportError as error:
            raise SettingsError(f"{_EXTRA} ({error})") from error

        def connect() -> Any:
            opened = self._address.connect()
            opened.autocommit = False
            return opened

        engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool, hide_parameters=True)
        try:
            with _told(self._address), engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()

    def _current(self, connection: Connection) -> str | None:
        version = self._version(connection)
        if version is None:
            return None
        if version < FIRST:
            raise StoreError(
                f"{self._address.shown}: its tables are of version {version}, from before there were revisions"
            )
        return revision_of(version)

    def _version(self, connection: Connection) -> int | None:
        """What the tables say of themselves, which counts: alembic's own table came later."""
        if connection.exec_driver_sql("SELECT to_regclass('aegis_version')").scalar() is None:
            return None
        found = connection.exec_driver_sql("SELECT version FROM aegis_version").scalar()
        return None if found is None else int(found)

    def _stamped(self, connection: Connection) -> bool:
        if connection.exec_driver_sql("SELECT to_regclass('alembic_version')").scalar() is None:
            return False
        return connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar() == 1

    def _write_stamp(self, connection: Connection, revision: str) -> None:
        connection.exec_driver_sql(ALEMBIC_TABLE)
        connection.exec_driver_sql("DELETE FROM alembic_version")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES (%s)", (revision,))


@contextmanager
def _told(address: Address) -> Iterator[None]:
    """The errors of SQLAlchemy, alembic and psycopg as ours, without the password."""
    import psycopg
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, psycopg.Error, CommandError) as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"{address.shown}: {address.clean(cause)}") from None
