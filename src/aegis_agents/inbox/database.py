"""What the inbox needs of a database: durable, transactions, SQL written once with `?` for values.

Smaller than the ledger's: no chain has to be kept, so writers need not wait for each other
except where a database has one writer anyway.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from aegis_agents.errors import StoreError
from aegis_agents.inbox.schema import VERSION, Dialect, statements

Row = Sequence[Any]


class Conflict(StoreError):
    """Two transactions were in each other's way; nothing was kept, and doing it again helps."""


class Database(ABC):
    """One connection guarded by a lock. `where` is how errors name it, without a password."""

    dialect: Dialect
    skip_locked: str
    """Ends a SELECT of what is to be updated: what others are about to change is passed over."""
    clock: str
    """SQL for seconds since 1970 by the database's clock, which all its clients share; empty where it has none."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.alone = self._lock = threading.RLock()
        self._inside = False
        self._process: Final = os.getpid()

    def create(self) -> None:
        """Make the tables where there are none. Raises StoreError for those of another version."""
        found = self._stored_version()
        if found == 0:
            with self.transaction():
                self._alone()
                found = self._stored_version()
                if found == 0:
                    for statement in statements(self.dialect):
                        self.run(statement)
                    found = VERSION
        if found != VERSION:
            newer = "a newer" if found > VERSION else "an older"
            raise StoreError(f"{self.where}: its inbox is of {newer} version ({found}, this one knows {VERSION})")

    @contextmanager
    def transaction(self, *, flush: bool = True) -> Iterator[None]:
        """All or nothing; with `flush` it is on disk in the end. Does not nest. Raises StoreError."""
        with self._lock:
            self._check_process()
            if self._inside:
                raise StoreError(f"{self.where}: a transaction of the inbox does not nest")
            self._set_flush(flush=flush)
            self._begin()
            self._inside = True
            try:
                yield
                self.run("COMMIT")
            except BaseException:
                if self._open_transaction():  # SQLite itself rolls back on a full disk
                    self.run("ROLLBACK")
                raise
            finally:
                self._inside = False

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one statement; answers the rows that it gives. Raises StoreError."""
        with self._lock:
            self._check_process()
            return self._execute(sql, values)

    def lazily(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one statement as a transaction of its own that does not wait for the disk. Raises StoreError.

        Where the connection broke it is sent once more: it must be one that may be done twice.
        """
        with self._lock:
            self._check_process()
            if self._inside:
                raise StoreError(f"{self.where}: a transaction of the inbox does not nest")
            self._set_flush(flush=False)
            return self._execute(sql, values, twice=True)

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first value of the first row; None if there is none."""
        rows = self.run(sql, values)
        return rows[0][0] if rows else None

    def many(
        self, sql: str, rows: Sequence[Any], before: Sequence[Any] = (), after: Sequence[Any] = (), most: int = 500
    ) -> list[Row]:
        """Run one statement for many values: `*` in it stands for `?, ?` or, where rows are tuples, `(?, ?), (?, ?)`.

        In slices of `most` rows, since a statement takes so many values and no more; `before` and `after` are the
        values around them. Answers the rows of all.
        """
        found: list[Row] = []
        for at in range(0, len(rows), most):
            some = rows[at : at + most]
            tuples = isinstance(some[0], tuple)
            one = "(" + ", ".join("?" * len(some[0])) + ")" if tuples else "?"
            values = [value for row in some for value in row] if tuples else some
            marks = ", ".join([one] * len(some))
            found += self.run(sql.replace("*", marks), [*before, *values, *after])
        return found

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise StoreError(f"{self.where}: opened before a fork; open it again in this process")

    @abstractmethod
    def together(self, keys: Collection[str]) -> None:
        """In a transaction: wait until no other one that named any of these keys is open."""

    @abstractmethod
    def close(self) -> None:
        """Release the connection. Calling it twice is fine."""

    @abstractmethod
    def _alone(self) -> None:
        """In a transaction: wait until nobody else makes tables."""

    @abstractmethod
    def _stored_version(self) -> int:
        """The version of the tables; 0 where there are none."""

    @abstractmethod
    def _set_flush(self, *, flush: bool) -> None:
        """Before a transaction: whether its commit waits for the disk."""

    @abstractmethod
    def _begin(self) -> None: ...

    @abstractmethod
    def _open_transaction(self) -> bool: ...

    @abstractmethod
    def _execute(self, sql: str, values: Sequence[Any], *, twice: bool = False) -> list[Row]:
        """Run one statement; with `twice` it is sent again where the connection broke."""
