"""Microsoft Entra ID, by msgraph-sdk: disables accounts, ends sessions, resets passwords.

An account that is synchronised from Active Directory belongs there: disabling it here holds until
the next synchronisation at the latest, which the receipt says, and its password is not reset here.

A reset sets a long random password that nobody sees, and asks for a new one at the next sign-in:
the owner comes back by self-service or the help desk. Asking for a change alone would not do, since
whoever knows the old password could choose the new one.

Checked against msgraph-sdk's own request code and models, which Microsoft generates from Graph's OpenAPI
document, with a loopback server; signing in goes through azure-identity. Unverified against the
vendor: how long a change takes to be seen, the words of its errors, which roles an application may touch.
"""

from __future__ import annotations

import secrets as random_source
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, Final

from aegis_agents.errors import ConnectorError, SettingsError, TargetNotFound
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.microsoft import Graph, SignIn, cloud_named, listed, odata
from aegis_agents.tools.connectors.names import account_name
from aegis_agents.tools.connectors.protocol import narrowed
from aegis_agents.tools.connectors.recall import Recall

SYSTEM: Final = "Entra"
_FIELDS: Final = [
    "id", "userPrincipalName", "accountEnabled", "onPremisesSyncEnabled", "signInSessionsValidFromDateTime",
    "lastPasswordChangeDateTime",
]  # fmt: skip


class EntraConnector:
    """disable_user, revoke_sessions, reset_password, for accounts by their user principal name (not by other addresses).

    `tenant_id`, `client_id` and `client_secret` are an application's, with the Graph permissions
    User.Read.All, User.EnableDisableAccount.All, User.RevokeSessions.All and User-PasswordProfile.ReadWrite.All
    for what it shall do. `cloud` is one of global, gcc, gcc_high, dod, china; `graph_url` and `authority`
    are for one that is none of these. `settle_s` is how long apply() and undo() wait to see a change;
    `timeout_s` is for one request. `actions` narrows what it does.
    """

    kind: ClassVar[str] = "entra"
    extra: ClassVar[str] = "microsoft"
    secrets: ClassVar[frozenset[str]] = frozenset({"client_secret"})
    name = "entra"
    actions: frozenset[ActionName] = frozenset({"disable_user", "revoke_sessions", "reset_password"})

    def __init__(
        self,
        *,
        tenant_id: str,
        client_id: str,
        client_secret: str,
        cloud: str = "global",
        graph_url: str = "",
        authority: str = "",
        timeout_s: float = 15.0,
        settle_s: float = 5.0,
        actions: Iterable[str] | None = None,
    ) -> None:
        self.actions = narrowed(type(self).actions, actions, self.kind)
        if settle_s < 0:
            raise SettingsError("settle_s is in seconds, and not below 0")
        where, self._settle = cloud_named(cloud), settle_s
        sign_in = SignIn(
            self.kind, tenant_id, client_id, client_secret, authority or where.authority, timeout_s, bool(authority)
        )
        self._graph = Graph(SYSTEM, self.kind, sign_in, graph_url or where.graph, timeout_s)
        self._asked: Recall[datetime | None] = Recall()

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Disable the account, end its sessions or give it a password that nobody knows."""
        user = self._user(target)
        if action == "disable_user":
            if user.account_enabled:
                self._enable(user.id, False, target)
            synchronised = ", synchronised: disable it in Active Directory too" if user.on_premises_sync_enabled else ""
            return f"user {user.id} disabled{synchronised}"
        if action not in ("revoke_sessions", "reset_password"):
            raise ConnectorError(f"{SYSTEM} does not do {action}")
        if action == "reset_password" and user.on_premises_sync_enabled:
            raise ConnectorError(f"{SYSTEM}: user {user.id} is synchronised: reset the password in Active Directory")
        if not (self._asked.key(action, target) == key and self.read(action, target)):
            self._asked.note(action, target, key, _stamp(action, user))
            with self._asked.unless_refused(action, target):
                (self._revoke if action == "revoke_sessions" else self._reset)(user.id)
            self._wait_for(action, target, True)
        return f"user {user.id} {'sessions ended' if action == 'revoke_sessions' else 'password reset'}"

    def read(self, action: ActionName, target: Target) -> bool | None:
        """Whether the account is disabled; whether an event that this process asked for happened."""
        if action == "disable_user":
            return not self._user(target).account_enabled
        if self._asked.key(action, target) is None:
            return None
        before, now = self._asked.before(action, target), _stamp(action, self._user(target))
        return now is not None and (before is None or now > before)

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Enable the account again."""
        user = self._user(target)
        if user.account_enabled:
            return ""
        self._enable(user.id, True, target)
        return f"user {user.id} enabled"

    def _user(self, target: Target) -> Any:
        """The account of exactly this user principal name. Raises TargetNotFound."""
        from msgraph.generated.users.users_request_builder import UsersRequestBuilder

        name = account_name(target)
        query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
            filter=f"userPrincipalName eq {odata(name)}", select=_FIELDS, top=2
        )
        asked = _asking(query)
        found = self._graph.run(lambda graph: graph.users.get(request_configuration=asked))
        users = [u for u in listed(found, SYSTEM) if (u.user_principal_name or "").lower() == name.lower()]
        if not users or users[0].id is None or users[0].account_enabled is None:
            raise TargetNotFound(f"{SYSTEM} knows no account {name!r}")
        if len(users) > 1:
            raise ConnectorError(f"{SYSTEM}: {name!r} is ambiguous")
        return users[0]

    def _enable(self, user_id: str, enabled: bool, target: Target) -> None:
        from msgraph.generated.models.user import User

        self._graph.run(lambda graph: graph.users.by_user_id(user_id).patch(User(account_enabled=enabled)))
        self._wait_for("disable_user", target, not enabled)

    def _revoke(self, user_id: str) -> None:
        answer = self._graph.run(lambda graph: graph.users.by_user_id(user_id).revoke_sign_in_sessions.post())
        if answer is not None and answer.value is False:
            raise ConnectorError(f"{SYSTEM} would not end the sessions of user {user_id}")

    def _reset(self, user_id: str) -> None:
        from msgraph.generated.models.password_profile import PasswordProfile
        from msgraph.generated.models.user import User

        # Three kinds of character whatever was drawn: passwordPolicies ask for that.
        password = random_source.token_urlsafe(48) + "aA1!"
        profile = PasswordProfile(password=password, force_change_password_next_sign_in=True)
        self._graph.run(lambda graph: graph.users.by_user_id(user_id).patch(User(password_profile=profile)))

    def _wait_for(self, action: ActionName, target: Target, wanted: bool) -> None:
        """The directory is copied in many places: a change is not seen everywhere at once."""
        until = time.monotonic() + self._settle
        while time.monotonic() < until and self.read(action, target) is not wanted:
            time.sleep(min(0.5, self._settle / 10))


def _stamp(action: ActionName, user: Any) -> datetime | None:
    stamp: datetime | None = (
        user.sign_in_sessions_valid_from_date_time
        if action == "revoke_sessions"
        else user.last_password_change_date_time
    )
    return stamp


def _asking(query: Any) -> Any:
    from kiota_abstractions.base_request_configuration import RequestConfiguration

    return RequestConfiguration(query_parameters=query)
