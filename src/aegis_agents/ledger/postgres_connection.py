"""Connecting to PostgreSQL: an address that errors can name, and a session that keeps what the store promises."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aegis_agents.errors import SettingsError, StoreError

if TYPE_CHECKING:
    from psycopg import Connection

DEFAULT_SCHEMA = "aegis"
"""The PostgreSQL schema that holds the tables; several ledgers can live in one database, each in its own."""

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_SECRETS = ("password", "sslpassword")
_WITHIN: dict[str, str] = {
    # The server's own default may be weaker: what was answered must survive its power cut.
    "synchronous_commit": "on",
    # Others wait for the lock of who holds it: a machine that froze or went dark must let go of it.
    "idle_in_transaction_session_timeout": "60s",
    "client_encoding": "UTF8",
    "timezone": "UTC",
    "default_transaction_read_only": "off",
}


class Address:
    """Where the database is, and how to name it without its password.

    Raises SettingsError for what is no "postgresql://" address, or a schema that is no plain lower-case name.
    """

    def __init__(self, url: str, schema: str = DEFAULT_SCHEMA) -> None:
        psycopg = load_psycopg()
        from psycopg.conninfo import conninfo_to_dict

        if not _SCHEMA.fullmatch(schema) or schema.startswith("pg_"):
            raise SettingsError(f"database_schema: {schema!r} is no lower-case name of letters, digits and _")
        try:
            fine = urlsplit(url).scheme in ("postgresql", "postgres")
            parts: dict[str, Any] = conninfo_to_dict(url) if fine else {}
            if not str(parts.get("port") or "").replace(",", "").isdecimal() and parts.get("port"):
                parts = {}
        except (psycopg.Error, ValueError):
            parts = {}  # its message would repeat the address, and with it the password
        if not parts:
            raise SettingsError("database: not an address of the form postgresql://user@host:5432/name") from None
        self._url, self.schema = url, schema
        self._secrets = [str(parts[name]) for name in _SECRETS if parts.get(name)]
        place = f"{parts.get('host') or 'localhost'}:{parts.get('port') or 5432}"
        self.shown = f"postgresql://{place}/{parts.get('dbname') or parts.get('user') or ''} (schema {schema})"

    @property
    def digest(self) -> str:
        """A short name of this ledger's place, for files that belong to it."""
        return hashlib.sha256(self.shown.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    def clean(self, error: Exception) -> str:
        """What an error says, in one line and without the password."""
        text = str(error)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())

    def connect(self, *, lock_timeout_s: float = 10.0) -> Connection[Any]:
        """A connection in autocommit mode whose session is set up. Raises StoreError.

        Tables are looked for in the schema alone, which need not exist yet.
        """
        psycopg = load_psycopg()
        try:
            connection = psycopg.connect(self._url, autocommit=True, connect_timeout=10, application_name="aegis")
        except (psycopg.Error, UnicodeError) as error:
            raise StoreError(f"{self.shown}: can't be opened: {self.clean(error)}") from None
        try:
            self.set_up(connection, lock_timeout=f"{lock_timeout_s * 1000:.0f}ms")
        except psycopg.Error as error:
            connection.close()
            raise StoreError(f"{self.shown}: can't be opened: {self.clean(error)}") from None
        except BaseException:
            connection.close()
            raise
        return connection  # type: ignore[no-any-return]

    def set_up(self, connection: Connection[Any], **settings: str) -> None:
        """Set a session up, with `settings` besides ours. Raises StoreError for a database that can't hold our text."""
        from psycopg import sql

        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreError(f"{self.shown}: its encoding is {encoding}; create the database with ENCODING 'UTF8'")
        # pg_temp last: where it is not named it comes first, and a temporary table could stand in for ours.
        wanted = _WITHIN | {"search_path": f"{self.schema}, pg_temp"} | settings
        together = sql.SQL("; ").join(
            sql.SQL("SELECT set_config({}, {}, false)").format(name, value) for name, value in wanted.items()
        )
        connection.execute(together, prepare=False)  # several statements at once can't be prepared


def load_psycopg() -> Any:
    """The psycopg module. Raises SettingsError naming the extra where it is not installed."""
    try:
        import psycopg
    except ImportError as error:
        raise SettingsError(
            f"database: PostgreSQL needs the extra: pip install 'aegis-soc-agents[postgres]' ({error})"
        ) from error
    return psycopg
