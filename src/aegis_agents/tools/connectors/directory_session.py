"""A session with a directory over LDAP (RFC 4511): encrypted, checked, never led elsewhere, with our errors."""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aegis_agents.errors import ConnectorError, NotPermitted, SettingsError, TargetNotFound, TransientConnectorError
from aegis_agents.tools.connectors.answers import clean, missing

_LOOPBACK = ("127.0.0.1", "localhost", "::1")

# Result codes of RFC 4511, appendix A.
_AGAIN = frozenset({3, 51, 52})  # timeLimitExceeded, busy, unavailable
_FORBIDDEN = frozenset({7, 8, 13, 48, 49, 50, 123})  # authentication, confidentiality, rights
_NO_SUCH_OBJECT, _NO_SUCH_ATTRIBUTE, _REFERRAL, _SIZE_LIMIT = 32, 16, 10, 4

Change = tuple[str, str, Sequence[str | bytes]]
"""Attribute, "add" | "delete" | "replace", values."""


@dataclass(frozen=True)
class Entry:
    """What a directory holds under a name: attribute → values as they came."""

    dn: str
    values: Mapping[str, Sequence[bytes]]

    def raw(self, attribute: str) -> Sequence[bytes]:
        """The values of an attribute, none if it is not there."""
        return self.values.get(attribute, ())

    def texts(self, attribute: str) -> list[str]:
        """The values as text; what is not UTF-8 fits no name."""
        return [value.decode("utf-8", "replace") for value in self.raw(attribute)]

    def number(self, attribute: str) -> int | None:
        """The value as a number; None where it is not there."""
        found = self.texts(attribute)
        return int(found[0]) if found and found[0].lstrip("-").isdigit() else None


@dataclass(frozen=True)
class DirectoryServer:
    """Where a directory is and how it is reached. Raises SettingsError for a way that would show the password."""

    url: str
    user: str
    password: str = field(repr=False)
    ca_file: Path | None
    start_tls: bool
    timeout_s: float

    def __post_init__(self) -> None:
        where = urlsplit(self.url)
        if where.scheme not in ("ldap", "ldaps") or not where.hostname or where.path not in ("", "/") or where.username:
            raise SettingsError(f"url: {clean(self.url)!r} is no ldaps://host[:port]")
        if where.scheme == "ldap" and not self.start_tls and where.hostname not in _LOOPBACK:
            raise SettingsError("url: ldap:// would send the password in the clear: use ldaps://, or start_tls = true")
        if where.scheme == "ldaps" and self.start_tls:
            raise SettingsError("start_tls: ldaps:// is encrypted already; use ldap:// or drop start_tls")
        # RFC 4513, 5.1.2: a bind with a name and no password succeeds, as nobody.
        if not self.user or not self.password:
            raise SettingsError("user, password: both are needed (an empty password would sign in as nobody)")
        if not self.timeout_s > 0:
            raise SettingsError(f"timeout_s: {self.timeout_s!r} is no time; give seconds above 0")

    @contextmanager
    def session(self) -> Iterator[DirectorySession]:
        """Signed in while the block runs. Errors as ConnectorError and its kinds."""
        ldap3 = _ldap3()
        where = urlsplit(self.url)
        server = ldap3.Server(
            where.hostname, where.port or (636 if where.scheme == "ldaps" else 389), use_ssl=where.scheme == "ldaps",
            tls=self._tls(ldap3), get_info=ldap3.NONE, connect_timeout=self.timeout_s,
        )  # fmt: skip
        connection = ldap3.Connection(
            server, self.user, self.password, authentication=ldap3.SIMPLE, raise_exceptions=True,
            auto_referrals=False, check_names=False, receive_timeout=math.ceil(self.timeout_s),
            return_empty_attributes=False,
        )  # fmt: skip
        try:
            with self._spoken():
                connection.open()
                if self.start_tls:
                    connection.start_tls()
                connection.bind()
            self._demand(connection)
            yield DirectorySession(self, connection)
        finally:
            _hang_up(connection)

    def _tls(self, ldap3: Any) -> Any:
        """TLS with the checks of Python's own default context, the host's name among them, in place of ldap3's."""
        context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        host = urlsplit(self.url).hostname

        class Checked(ldap3.Tls):  # type: ignore[misc]  # the package has no types
            def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
                # The end of the handshake and the first request are two small packets, and the second waits for 40 ms otherwise.
                connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.socket = context.wrap_socket(connection.socket, server_hostname=host)

        return Checked(validate=ssl.CERT_REQUIRED)

    @contextmanager
    def _spoken(self) -> Iterator[None]:
        """The package's errors as ours; without their cause, whose text is the server's."""
        from ldap3.core import exceptions as said

        try:
            yield
        except said.LDAPOperationResult as error:
            raise self._refusal(error.result, f"{error.description} {error.message or ''}") from None
        except said.LDAPException as error:
            text = clean(error, (self.password,))
            if "CERTIFICATE" in text.upper() or isinstance(error, said.LDAPStartTLSError):
                raise ConnectorError(f"the directory's certificate was not accepted: {text}") from None
            lost = said.LDAPCommunicationError, said.LDAPResponseTimeoutError
            raise (TransientConnectorError if isinstance(error, lost) else ConnectorError)(
                f"the directory did not answer: {text}"
            ) from None
        except OSError as error:
            raise TransientConnectorError(f"the directory did not answer: {clean(error, (self.password,))}") from None

    def _demand(self, connection: Any, *allowed: int) -> None:
        """Raise unless the last answer was success: the package says nothing of a referral or a search cut short."""
        last = connection.result
        if last["result"] not in (0, *allowed):
            raise self._refusal(last["result"], f"{last['description']} {last['message'] or ''}")

    def _refusal(self, code: int, text: str) -> ConnectorError:
        message = f"the directory answered {code}: {clean(text, (self.password,))}"
        if code in _FORBIDDEN:
            return NotPermitted(f"{message} (these credentials may not do that)")
        if code == _NO_SUCH_OBJECT:
            return TargetNotFound(message)
        if code in _AGAIN:
            return TransientConnectorError(message)
        if code == _NO_SUCH_ATTRIBUTE:
            return TransientConnectorError(f"{message} (it was changed in between)")
        if code == _REFERRAL:
            return ConnectorError(f"{message} (it refers elsewhere, which is not followed)")
        return ConnectorError(message)


class DirectorySession:
    """What the connector asks of a directory."""

    def __init__(self, server: DirectoryServer, connection: Any) -> None:
        self._server, self._connection = server, connection

    def search(self, base: str, scope: str, query: str, attributes: Sequence[str]) -> list[Entry]:
        """At most two entries (two are one too many): `scope` is "base", "level" or "subtree"."""
        scopes = {"base": "BASE", "level": "LEVEL", "subtree": "SUBTREE"}
        size = 0 if scope == "base" else 2
        with self._server._spoken():
            self._connection.search(base, query, scopes[scope], attributes=list(attributes), size_limit=size)
        # There may be more than the two that are wanted: two are here all the same.
        self._server._demand(self._connection, _SIZE_LIMIT)
        found = self._connection.response or []
        # What is referred to lies in another directory: it is not asked.
        return [Entry(one["dn"], one["raw_attributes"]) for one in found if one["type"] == "searchResEntry"]

    def modify(self, dn: str, changes: Sequence[Change]) -> None:
        """All changes or none. TransientConnectorError where a value to delete is not there any more."""
        asked: dict[str, list[tuple[str, list[str | bytes]]]] = {}
        for attribute, verb, values in changes:
            asked.setdefault(attribute, []).append((f"MODIFY_{verb.upper()}", list(values)))
        with self._server._spoken():
            self._connection.modify(dn, asked)
        self._server._demand(self._connection)

    def replace_password(self, dn: str, password: str) -> None:
        """RFC 3062: the directory hashes it as it is set up to."""
        with self._server._spoken():
            self._connection.extend.standard.modify_password(dn, new_password=password)
        self._server._demand(self._connection)


def _hang_up(connection: Any) -> None:
    """Sign out and close the socket, which the package leaves open where an answer was lost."""
    from ldap3.core.exceptions import LDAPException

    kept = connection.socket
    try:
        connection.unbind()
    except (LDAPException, OSError):
        pass  # the answer is there, or its loss was said: how the connection ends does not matter
    if kept is not None:
        kept.close()


def _ldap3() -> Any:
    try:
        import ldap3
    except ImportError as error:
        raise missing("ldap", "ldap3", "ldap") from error
    return ldap3
