"""Code and stores of version 4, as processes that an upgrade finds at work."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from aegis_agents.errors import StoreError
from aegis_agents.ledger import SqliteStore
from aegis_agents.ledger.database import Standing
from aegis_agents.ledger.postgres import PostgresStore
from aegis_agents.ledger.schema import JOURNAL_INDEXES, SQLITE_GUARDS, VERSION_TABLE, tables
from aegis_agents.ledger.sqlite import _statements

_OLD_TABLE = "CREATE TABLE aegis_version (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL)"

_OLD_INDEX = "CREATE INDEX journal_expiry ON journal(expires_at) WHERE expires_at IS NOT NULL"


def _with_old_indexes(script: str) -> str:
    first, *others = JOURNAL_INDEXES
    for index in others:
        script = script.replace(f"{index};\n", "")
    return script.replace(first, _OLD_INDEX)


class OldSqlite(SqliteStore):
    """Version 4 knew its own version alone, looked at it on opening and never again."""

    def _schema(self) -> Any:
        made = tables(blob="BLOB", serial="INTEGER PRIMARY KEY").replace(VERSION_TABLE.strip() + ";", "")
        yield from _statements(_with_old_indexes(made))
        yield from SQLITE_GUARDS.values()

    def _standing(self) -> Standing:
        return Standing(self._mark(), 0)

    def _may_work_on(self, found: Standing) -> None:
        if found.version > 4:
            raise StoreError(f"{self.where}: written by a newer version ({found.version}, this one knows 4)")

    def _look_again(self, mark: int) -> None:
        """It did not."""

    def _migrate(self, found: int) -> None:
        """Nothing to do for what is of version 4."""

    def _store_version(self, version: int, oldest: int) -> None:
        self._run("PRAGMA user_version=4")


class OldPostgres(PostgresStore):
    """The same on PostgreSQL."""

    def _schema(self) -> Any:
        for part in super()._schema():
            if "CREATE TABLE aegis_version" in part:
                before, _, after = part.partition("CREATE TABLE aegis_version")
                part = before + after.partition(";")[2]
            yield _with_old_indexes(part)

    def _standing(self) -> Standing:
        found = super()._standing()
        return Standing(found.version, 0)

    def _may_work_on(self, found: Standing) -> None:
        if found.version > 4:
            raise StoreError(f"{self.where}: written by a newer version ({found.version}, this one knows 4)")

    def _look_again(self, mark: int) -> None:
        """It did not."""

    def _migrate(self, found: int) -> None:
        """Nothing to do for what is of version 4."""

    def _store_version(self, version: int, oldest: int) -> None:
        if self._rows("SELECT to_regclass('aegis_version')")[0][0] is None:
            self._run(_OLD_TABLE)
            self._run("INSERT INTO aegis_version VALUES (1, 4)")


def version_of(file: Path) -> int:
    """What a store in a file says of itself."""
    with sqlite3.connect(file) as db:
        found = int(db.execute("PRAGMA user_version").fetchone()[0])
    db.close()
    return found
