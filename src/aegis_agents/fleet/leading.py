"""One worker of all that share a state leads: it does what is to be done once for all, until it ends.

Leading is a lock that the system takes back by itself when its holder dies: a lock on a file, or of a session of
PostgreSQL (flock(2); PostgreSQL's documentation, 13.3.5 Advisory Locks). Two may lead for a moment, where a network
is cut in two: whatever a leader does is safe beside another that does it too.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from aegis_agents.errors import StoreError
from aegis_agents.settings import Settings

if TYPE_CHECKING:
    from psycopg import Connection

    from aegis_agents.ledger.postgres_connection import Address

ASK_EVERY_S = 5.0
"""How often one that does not lead asks whether it may."""
_IDLE_S = 300
"""A session of which the server has heard nothing for so long is ended by it, and the lock with it."""


class Leading(Protocol):
    """Whether this worker leads."""

    def __call__(self) -> bool:
        """Whether it leads now. Raises StoreError if that can't be found out."""
        ...

    def close(self) -> None:
        """Leave it to another. Calling it twice is fine."""
        ...


class Everybody:
    """For what each worker does for itself: nobody has to lead."""

    def __call__(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing is held."""


def open_leading(settings: Settings) -> Leading:
    """The lock of a state: a file in `home`, or one in the database. Raises SettingsError for a wrong address."""
    if settings.database is None:
        return FileLeading(settings.home / "fleet.lock")
    from aegis_agents.ledger.postgres_connection import Address

    return PostgresLeading(Address(settings.database.get_secret_value(), settings.database_schema))


class FileLeading:
    """A lock on a file. Where the system knows no such locks, everybody leads, which is harmless."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._open: IO[bytes] | None = None

    def __call__(self) -> bool:
        try:
            import fcntl
        except ImportError:  # Windows
            return True
        if self._open is not None:
            return True
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle = os.fdopen(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "rb")
        except OSError as error:
            raise StoreError(f"{self._file}: can't be opened: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            return False
        except OSError as error:
            handle.close()
            raise StoreError(f"{self._file}: can't be locked: {error.strerror}") from error
        self._open = handle
        return True

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class PostgresLeading:
    """A lock of a session of its own, asked for now and then; the session is asked whether it lives, each time."""

    def __init__(self, address: Address, *, every_s: float = ASK_EVERY_S) -> None:
        self._address, self._every = address, every_s
        self._key = int.from_bytes(hashlib.sha256(f"aegis fleet {address.schema}".encode()).digest()[:8], signed=True)
        self._session: Connection[object] | None = None
        self._leads = False
        self._asked = float("-inf")

    def __call__(self) -> bool:
        from psycopg import Error

        if time.monotonic() - self._asked < self._every:
            return self._leads
        self._asked = time.monotonic()
        try:
            if self._session is None:
                self._session = self._connect()
            if self._leads:
                self._session.execute("SELECT 1")
            else:
                got = self._session.execute("SELECT pg_try_advisory_lock(%s)", (self._key,)).fetchone()
                self._leads = got == (True,)
        except Error as error:
            self.close()
            raise StoreError(f"{self._address.shown}: {self._address.clean(error)}") from None
        return self._leads

    def _connect(self) -> Connection[object]:
        """A session that the server ends when this machine has gone dark."""
        session = self._address.connect()
        self._address.set_up(session, idle_session_timeout=f"{_IDLE_S}s", tcp_keepalives_idle="30")
        return session

    def close(self) -> None:
        self._leads = False
        if self._session is not None:
            self._session.close()
            self._session = None
