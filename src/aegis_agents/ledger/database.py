"""What every part of the store needs of a database: durable, one writer at a time, transactions that nest.

SQL is written once, with `?` for values, in what SQLite and PostgreSQL share; what they
don't share is asked of the methods below.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, Protocol

from aegis_agents.errors import StoreError
from aegis_agents.ledger.anchor import Anchor
from aegis_agents.ledger.schema import OLDEST, VERSION


class Row(Protocol):
    """A row: values by name and by position, in the order of the SELECT."""

    def __getitem__(self, key: str | int, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def keys(self) -> Iterable[str]: ...


Read = Callable[[str], Iterator[Row]]
"""Runs one SELECT on a snapshot and gives its rows as they come."""


class Standing(NamedTuple):
    """Of which version the tables are; 0 where there are none."""

    version: int
    oldest: int
    """The oldest version of code that may still work on them."""
    moved_to: str | None = None
    """Where everything is brought to: nothing more is written here."""
    moved_at: str | None = None
    """When the last of it was there; None while it is under way."""


class Left(NamedTuple):
    """The ledger as a transaction leaves it."""

    origin: str
    anchor: Anchor


class Database(ABC):
    """One database connection guarded by a lock.

    `where` is how errors name it: a path, or an address without its password. Raises
    StoreError when it can't be opened, is too new for this code, or was moved elsewhere. Every transaction looks
    once more, so that a process which was open during an upgrade goes on where it may and stops where it may not.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self._lock = threading.RLock()
        self._depth = 0
        self._flushing = True  # whether the commit of the transaction that is open waits for the disk
        self._process = os.getpid()
        self._known: int | None = None  # the mark of the version that was looked at last
        self._left: Left | None = None  # as the transaction that is open leaves the ledger, None where it adds nothing

    def _create(self) -> None:
        """Make or migrate the tables. Two processes may open a new database at once: all in one transaction."""
        with self.transaction():
            found = self._standing()
            self._may_work_on(found)
            if found.version == 0:
                for statement in self._schema():
                    self._execute(statement, ())
                self._created()
            elif found.version < VERSION:
                self._migrate(found.version)
            if found.version < VERSION:
                self._store_version(VERSION, OLDEST)
        self._known = max(found.version, VERSION)

    def _may_work_on(self, found: Standing) -> None:
        """Raises StoreError, which says what to do, for tables that this code must leave alone."""
        if found.moved_to is not None and found.moved_at is None:
            fix = "finish that with `aegis migrate`, which can be given again"
            raise StoreError(f"{self.where}: is being moved to {found.moved_to}: {fix}")
        if found.moved_to is not None:
            raise StoreError(
                f"{self.where}: was moved to {found.moved_to} at {found.moved_at}: give that address as AEGIS_DATABASE"
            )
        if found.oldest > VERSION:
            raise StoreError(
                f"{self.where}: written by a newer version ({found.version}; code of version {found.oldest} or newer may "
                f"work on it, this one knows {VERSION}): upgrade Aegis here; nothing was changed"
            )

    def _look_again(self, mark: int) -> None:
        """At the beginning of a transaction: whether the tables were upgraded since, or moved. Raises StoreError."""
        if self._known is not None and mark != self._known:
            self._may_work_on(self._standing())
            self._known = mark

    @abstractmethod
    def _schema(self) -> Iterable[str]:
        """The statements that make the tables and what guards them."""

    @abstractmethod
    def _standing(self) -> Standing:
        """Of which version the tables are, and whether they were left."""

    @abstractmethod
    def _store_version(self, version: int, oldest: int) -> None: ...

    @abstractmethod
    def _guards(self) -> Mapping[str, str]:
        """The triggers that keep the ledger append-only: name → the statement that makes it."""

    @abstractmethod
    def _standing_guards(self, read: Read) -> frozenset[str]:
        """Names of the triggers that are there and switched on."""

    @abstractmethod
    def _execute(self, sql: str, values: Sequence[Any]) -> Any:
        """Run one statement. Raises StoreError."""

    @abstractmethod
    def _begin(self, *, flush: bool) -> int:
        """Open a transaction and become the only writer; with `flush` its commit is on disk when it returns.

        Answers the mark of the tables' version, which changes with it.
        """

    @abstractmethod
    def _open_transaction(self) -> bool:
        """Whether a transaction is open: a database may have taken it back by itself."""

    @abstractmethod
    def _snapshot(self) -> AbstractContextManager[Read]:
        """A reader of one moment, on a connection of its own: long reads hold up nobody. Raises LedgerError."""

    @abstractmethod
    def _erasing(self) -> AbstractContextManager[None]:
        """Around transactions that remove what is confidential: it leaves no trace, as far as a database can promise."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Release the connection. Calling it twice is fine."""

    @abstractmethod
    def _created(self) -> None:
        """Called inside the transaction that makes the tables."""

    def _migrate(self, found: int) -> None:
        """Bring tables of version `found` to VERSION, inside a transaction."""
        raise StoreError(f"{self.where}: written by version {found}, which can't be brought to {VERSION}")

    @abstractmethod
    def _committed(self, left: Left) -> None:
        """Called after each outermost commit that was flushed and added to the ledger, the lock still held.

        `left` is of that transaction alone. What the ledger holds by now may be more: another process may have
        committed since, and lazily, so that a power cut would forget it.
        """

    @contextmanager
    def transaction(self, *, flush: bool = True) -> Iterator[None]:
        """Group statements into one commit; an exception takes them back. Nests, by savepoints; see Store."""
        with self._lock:
            depth = self._depth
            if depth == 0:
                self._check_process()
                mark = self._begin(flush=flush)
                self._flushing, self._left = flush, None
            else:
                self._run(f"SAVEPOINT level{depth}")
            self._depth += 1
            try:
                if depth == 0:
                    self._look_again(mark)
                yield
                self._run("COMMIT" if depth == 0 else f"RELEASE SAVEPOINT level{depth}")
            except BaseException:
                self._left = None  # what was taken back with it is not known here: the anchor may lag
                if self._open_transaction():  # SQLite itself rolls back on a full disk
                    self._run("ROLLBACK" if depth == 0 else f"ROLLBACK TO SAVEPOINT level{depth}")
                    if depth:
                        self._run(f"RELEASE SAVEPOINT level{depth}")
                raise
            finally:
                self._depth = depth
            if depth == 0 and self._flushing and self._left is not None:
                self._committed(self._left)

    def _before_an_effect(self) -> None:
        """For a transaction that the world is touched after: a power cut must not forget it."""
        if not self._flushing:
            raise StoreError(f"{self.where}: an intent can't be journalled in a transaction that is not flushed")

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise StoreError(f"{self.where}: opened before a fork; open it again in this process")

    def _run(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Run one statement; the answer has `rowcount`."""
        self._check_process()
        with self._lock:
            return self._execute(sql, values)

    @abstractmethod
    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a SELECT."""

    def _row(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        rows = self._rows(sql, values)
        return rows[0] if rows else None
