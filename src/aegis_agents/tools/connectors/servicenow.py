"""Tickets in ServiceNow (pysnc, Table API)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

from aegis_agents.errors import ConnectorError, SettingsError, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.answers import checked_url, clean, missing, needed, raise_for
from aegis_agents.tools.connectors.bounded import adapter
from aegis_agents.tools.connectors.ticket_text import alert_of, body, marks, title

_TABLE: Final = re.compile(r"[a-z][a-z0-9_]{1,79}")
_VALUE: Final = re.compile(r"[\w .:/-]{1,100}")
_TITLE, _TEXT, _MOST = 160, 4_000, 50


class ServiceNowConnector:
    """Opens a record of `table` at `url` (https://corp.service-now.com), and resolves it with `closed_state`.

    Signs in with `user` and `password`, or with `client_id` and `client_secret` (OAuth 2.0 client
    credentials). `fields` are set on each record besides ours ({assignment_group = "…"}), `closing_fields`
    when it is resolved ({close_code = "Solution provided"}: instances differ in what they demand).

    A record carries in correlation_id a mark of the alert and one of the very action. By the second it is
    opened once, by the first it is read and resolved. ServiceNow ignores a condition on a column that it does not
    know and then answers with every record, so each one's mark is looked at again.
    """

    kind: ClassVar[str] = "servicenow"
    extra: ClassVar[str] = "servicenow"
    secrets: ClassVar[frozenset[str]] = frozenset({"password", "client_secret"})
    name = "servicenow"
    actions: frozenset[ActionName] = frozenset({"open_ticket"})

    def __init__(
        self,
        *,
        url: str,
        user: str = "",
        password: str = "",
        client_id: str = "",
        client_secret: str = "",
        table: str = "incident",
        closed_state: str = "6",
        fields: Mapping[str, str] | None = None,
        closing_fields: Mapping[str, str] | None = None,
        ca_file: Path | None = None,
        timeout_s: float = 20.0,
    ) -> None:
        self._url = checked_url(url, "url")
        if not self._url.startswith("https://"):
            raise SettingsError("url: ServiceNow's package speaks https only")
        basic, oauth = bool(user or password), bool(client_id or client_secret)
        if basic == oauth:
            raise SettingsError("give user and password, or client_id and client_secret")
        for field, value in (("user", user), ("password", password)) if basic else (
            ("client_id", client_id), ("client_secret", client_secret),
        ):  # fmt: skip
            needed(value, field)
        if not _TABLE.fullmatch(table):
            raise SettingsError(f"table: {clean(table)!r} is no table's name (like incident)")
        if not _VALUE.fullmatch(closed_state):
            raise SettingsError(f"closed_state: {clean(closed_state)!r} is no state's value (like 6)")
        self._basic, self._oauth = (user, password), (client_id, client_secret) if oauth else None
        self._hidden = tuple(secret for secret in (password, client_secret) if secret)
        self._table, self._closed = table, closed_state
        self._fields, self._closing = dict(fields or {}), dict(closing_fields or {})
        if ours := sorted(self._fields.keys() & {"short_description", "description", "correlation_id", "state"}):
            raise SettingsError(f"fields: {ours[0]} is set by Aegis")
        self._ca_file, self._timeout = ca_file, timeout_s

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Open the record, once for each `key`. Returns its number ("INC0010001")."""
        alert = alert_of(action, target, self.name)
        about, once = marks(target, key)
        mark = f"aegis:{about}:{once}"
        with self._client() as client:
            if there := self._marked(client, f"correlation_id={mark}", mark):
                return there[0]["number"]
            record = client.GlideRecord(self._table)
            record.initialize()
            values = self._fields | {
                "short_description": title(alert, _TITLE), "description": body(alert, note, key, _TEXT),
                "correlation_id": mark, "correlation_display": "Aegis",
            }  # fmt: skip
            for field, value in values.items():
                record.set_value(field, value)
            made = record.insert()
            return str(record.get_value("number") or made or "")

    def read(self, action: ActionName, target: Target) -> bool:
        """Whether a record about this alert is open."""
        alert_of(action, target, self.name)
        with self._client() as client:
            return bool(self._open(client, target))

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Resolve the records about this alert."""
        alert_of(action, target, self.name)
        with self._client() as client:
            closed = []
            for found in self._open(client, target):
                record = client.GlideRecord(self._table)
                if not record.get(found["sys_id"]):
                    continue  # deleted since
                for field, value in (self._closing | {"state": self._closed}).items():
                    record.set_value(field, value)
                record.update()
                closed.append(found["number"])
            return ", ".join(closed)

    def check(self) -> str:
        """Whether the table may be read with these credentials."""
        with self._client() as client:
            record = client.GlideRecord(self._table)
            record.fields = ["sys_id", "correlation_id"]
            record.limit = 1
            record.query()
            seen = "and its records" if record.next() else "but no record of it (none there, or none may be read)"
            return f"signed in; sees the table {self._table}, {seen}"

    def _open(self, client: Any, target: Target) -> list[dict[str, str]]:
        mark = f"aegis:{marks(target, '')[0]}:"
        found = self._marked(client, f"active=true^state!={self._closed}^correlation_idSTARTSWITH{mark}", mark)
        return [one for one in found if one["active"] == "true" and one["state"] != self._closed]

    def _marked(self, client: Any, query: str, mark: str) -> list[dict[str, str]]:
        record = client.GlideRecord(self._table)
        record.fields = ["sys_id", "number", "state", "active", "correlation_id"]
        record.limit = _MOST
        record.add_encoded_query(query)
        record.query()
        found = []
        while record.next():
            one = {field: str(record.get_value(field) or "") for field in record.fields}
            if one["correlation_id"].startswith(mark):
                found.append(one)
        return found

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """ServiceNow, asked over one session; its errors as ours."""
        try:
            import pysnc
            from pysnc import exceptions as said
            from requests import ConnectionError as NoConnection
            from requests import RequestException, Session, Timeout
            from requests.exceptions import SSLError
        except ImportError as error:
            raise missing("servicenow", "pysnc", "servicenow") from error
        theirs = (
            said.AuthenticationException, said.RoleException, said.RestException, said.NotFoundException,
            said.RequestException, said.InstanceException, said.ResponseException,
        )  # fmt: skip
        try:
            with Session() as session:
                session.mount("https://", adapter(self._timeout))
                # A redirect would carry the password elsewhere; no proxy or netrc from the environment.
                session.max_redirects, session.trust_env = 0, False
                session.verify = str(self._ca_file) if self._ca_file else True
                session.hooks["response"].append(self._checked)
                self._sign_in(session)
                # The write path repeats, so the package does not.
                yield pysnc.ServiceNowClient(self._url, session, auto_retry=False)
        # Without their cause, whose text holds what was sent and answered.
        except SSLError:
            raise ConnectorError("ServiceNow's certificate was not accepted (ca_file)") from None
        except (NoConnection, Timeout) as error:
            raise TransientConnectorError(f"ServiceNow did not answer: {clean(error, self._hidden)}") from None
        except (*theirs, RequestException, ValueError, KeyError, TypeError, AttributeError) as error:
            # What was asked for may have happened all the same.
            text = clean(f"{type(error).__name__} {error}", self._hidden)
            raise TransientConnectorError(f"ServiceNow's answer can't be read: {text}") from None

    def _sign_in(self, session: Any) -> None:
        if self._oauth is None:
            session.auth = self._basic
            return
        asked = {"grant_type": "client_credentials", "client_id": self._oauth[0], "client_secret": self._oauth[1]}
        token = session.post(f"{self._url}/oauth_token.do", data=asked).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"

    def _checked(self, response: Any, *_: Any, **__: Any) -> None:
        """Every answer passes here: the package forgets the status of most errors."""
        if response.status_code >= 400:
            raise_for(response.status_code, response.text, "ServiceNow", secrets=self._hidden)
