"""Okta, by its SDK: suspends accounts, ends sessions, resets passwords.

Suspending, not deactivating: a suspended account keeps its groups and applications and comes back as
it was, while deactivating takes applications away for good. Okta suspends ACTIVE accounts only.

Resetting, not expiring: an expired password still lets whoever knows it choose the next one. A reset
locks the account out until the link that Okta mails to the account's owner was followed.

Checked against the SDK's own request code and models, which Okta generates from its OpenAPI document, with a
loopback server. Unverified against the vendor: the words of its errors, how soon a status changes, what
delegated authentication (Active Directory) does with a reset.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from aegis_agents.errors import ConnectorError, SettingsError, TargetNotFound, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.answers import checked_url, clean, missing, needed, raise_error, raise_for
from aegis_agents.tools.connectors.background import run
from aegis_agents.tools.connectors.names import account_name
from aegis_agents.tools.connectors.protocol import narrowed
from aegis_agents.tools.connectors.recall import Recall

if TYPE_CHECKING:
    from datetime import datetime

SYSTEM: Final = "Okta"
_OUT: Final = frozenset({"SUSPENDED", "DEPROVISIONED"})
_SCOPES: Final = ["okta.users.manage", "okta.users.read"]


class _Account(NamedTuple):
    id: str
    status: str
    password_changed: datetime | None


class OktaConnector:
    """disable_user (suspend), revoke_sessions (and OAuth tokens), reset_password (a mailed link).

    `org_url` is https://YOURS.okta.com. Signs in with an API `token`, or with `client_id` and
    `private_key` (PEM or JWK) of a service app that has the scopes okta.users.manage and
    okta.users.read. `timeout_s` is for one request. `actions` narrows what it does.
    """

    kind: ClassVar[str] = "okta"
    extra: ClassVar[str] = "okta"
    secrets: ClassVar[frozenset[str]] = frozenset({"token", "private_key"})
    name = "okta"
    actions: frozenset[ActionName] = frozenset({"disable_user", "revoke_sessions", "reset_password"})

    def __init__(
        self,
        *,
        org_url: str,
        token: str = "",
        client_id: str = "",
        private_key: str = "",
        timeout_s: float = 20.0,
        actions: Iterable[str] | None = None,
    ) -> None:
        try:
            import okta  # noqa: F401 - to fail at the start; okta.client itself takes two seconds
        except ImportError as error:
            raise missing(self.kind, "okta", self.extra) from error
        self.actions = narrowed(type(self).actions, actions, self.kind)
        if timeout_s <= 0:
            raise SettingsError("timeout_s is in seconds, and more than 0")
        self._url = checked_url(org_url, "org_url")
        if bool(token) == bool(private_key):
            raise SettingsError("connector okta: token, or client_id and private_key: one of the two")
        if private_key:
            needed(client_id, "client_id")
        self._token, self._client_id, self._key, self._timeout = token, client_id, private_key, timeout_s
        self._lock = threading.Lock()
        self._made: Any = None
        self._asked: Recall[_Account] = Recall()

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Suspend the account, end its sessions or mail its owner a link for a new password."""
        account = self._account(target)
        if action == "disable_user":
            if account.status in _OUT:
                return f"user {account.id} {account.status}"
            if account.status != "ACTIVE":
                raise ConnectorError(f"{SYSTEM} suspends ACTIVE accounts only, and {account.id} is {account.status}")
            self._run(self._client.suspend_user(account.id))
            return f"user {account.id} suspended"
        if action == "revoke_sessions":
            self._run(self._client.revoke_user_sessions(account.id, oauth_tokens=True))
            return f"user {account.id} sessions and tokens ended"
        if action != "reset_password":
            raise ConnectorError(f"{SYSTEM} does not do {action}")
        if not (self._asked.key(action, target) == key and self.read(action, target)):
            self._asked.note(action, target, key, account)
            with self._asked.unless_refused(action, target):
                # The link goes to the owner: sent to us it would be a secret in an answer.
                self._run(self._client.reset_password(account.id, send_email=True, revoke_sessions=True))
        return f"user {account.id} password reset"

    def read(self, action: ActionName, target: Target) -> bool | None:
        """Whether the account is out; whether a reset that this process asked for happened; None for sessions."""
        if action == "disable_user":
            return self._account(target).status in _OUT
        if action != "reset_password" or self._asked.key(action, target) is None:
            return None
        before, now = self._asked.before(action, target), self._account(target)
        if now.password_changed != before.password_changed or now.status != "RECOVERY":
            return now.password_changed != before.password_changed
        return None if before.status == "RECOVERY" else True  # a reset that was under way says nothing of ours

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Let a suspended account in again."""
        account = self._account(target)
        if account.status == "DEPROVISIONED":
            raise ConnectorError(f"{SYSTEM}: user {account.id} was deactivated since: activate it by hand")
        if account.status != "SUSPENDED":
            return ""
        self._run(self._client.unsuspend_user(account.id))
        return f"user {account.id} unsuspended"

    def _account(self, target: Target) -> _Account:
        """The account of exactly this login. Raises TargetNotFound."""
        login = account_name(target)
        user = self._run(self._client.get_user(login))
        # Okta folds letters with marks, and takes short names: what comes back must be what was asked for.
        known = str((user.profile.login if user and user.profile else None) or "")
        if known.lower() != login.lower() or not user.id or user.status is None:
            raise TargetNotFound(f"{SYSTEM} knows no account {login!r} (it answered with {clean(known)!r})")
        return _Account(str(user.id), str(user.status.value), user.password_changed)

    def _run(self, call: Coroutine[Any, Any, tuple[Any, ...]]) -> Any:
        try:
            return run(call, SYSTEM, self._timeout)[0]
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            # A page of a proxy, say. What was asked for may have happened all the same.
            said = clean(error, self._hidden())
            raise TransientConnectorError(f"{SYSTEM} answered what its SDK can't read: {said}") from None

    @property
    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._new_client()
            return self._made

    def _new_client(self) -> Any:
        from okta.client import Client

        who = (
            {"authorizationMode": "SSWS", "token": self._token}
            if self._token
            else {
                "authorizationMode": "PrivateKey",
                "clientId": self._client_id,
                "privateKey": self._key,
                "scopes": _SCOPES,
            }
        )
        try:
            return Client(
                {
                    "orgUrl": self._url,
                    "requestTimeout": self._timeout,
                    "rateLimit": {"maxRetries": 0},  # the write path tries again, and looks before it does
                    "cache": {"enabled": False},  # an account's status of a moment ago is no read-back
                    "logging": {"enabled": False},
                    "requestExecutor": _executor(self._hidden()),
                }
                | who
            )
        except ValueError as error:
            raise ConnectorError(f"{SYSTEM}: {clean(error, self._hidden())}") from None

    def _hidden(self) -> list[str]:
        return [s for s in (self._token, self._key) if s]


def _executor(secrets: list[str]) -> type:
    """The SDK's sender, but it raises our errors.

    The SDK's own loses them: an error with an empty body passes for success, and a connection
    that breaks ends in an AttributeError.
    """
    from okta.request_executor import RequestExecutor

    class Executor(RequestExecutor):
        async def create_request(self, *given: Any, **named: Any) -> Any:
            request, error = await super().create_request(*given, **named)
            if error:
                status = int(getattr(error, "status", 0) or 0)
                raise_error(status, _said(getattr(error, "message", error)), f"{SYSTEM} sign-in", secrets=secrets)
            if not self._is_oauth_mode:
                # The SDK (3.4) puts "SSWS" before the token without the space that Okta's API asks for.
                request["headers"]["Authorization"] = self._default_headers["Authorization"]
            return request, None

        async def execute(self, request: Any, response_type: Any = None) -> Any:
            _, response, body, error = await self.fire_request(request)
            if response is None:
                raise TransientConnectorError(
                    f"{SYSTEM} did not answer: {type(error).__name__} {clean(error, secrets)}"
                )
            raise_for(response.status, _said(body), SYSTEM, secrets=secrets)
            return response, body, None

    return Executor


def _said(body: object) -> str:
    """What Okta's error says, without its surroundings."""
    try:
        found = json.loads(str(body))
    except ValueError:
        return str(body or "")
    if not isinstance(found, dict):
        return str(body)
    causes = [c.get("errorSummary", "") for c in found.get("errorCauses") or () if isinstance(c, dict)]
    return ". ".join(str(s) for s in (found.get("errorCode"), found.get("errorSummary"), *causes) if s)
