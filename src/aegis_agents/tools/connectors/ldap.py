"""Accounts in Active Directory or OpenLDAP (ldap3): disable, enable, reset the password."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final, Literal

from aegis_agents.errors import ConnectorError, SettingsError, TargetNotFound
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.addresses import shown, value_of
from aegis_agents.tools.connectors.directory_kinds import ActiveDirectory, DirectoryKind, OpenLdap, same_name
from aegis_agents.tools.connectors.directory_session import DirectoryServer, DirectorySession, Entry

_LONGEST: Final = 320


class LdapConnector:
    """Disables accounts and replaces passwords, in the directory at `url` (ldaps://host, or ldap:// with `start_tls`).

    `base_dn` and `scope` say where accounts lie: what lies elsewhere is not found. A target must be the
    exact name of exactly one account, or it is refused. `domain` is the NetBIOS name of an Active
    Directory, for targets like CORP\\ann. `policy` is the DN of OpenLDAP's default password policy.

    Refused whatever was approved: what is privileged in Active Directory (adminCount, privileged groups,
    the built-in administrator, krbtgt), the names in `never`, and the connector's own account.

    reset_password sets a random password that nobody knows, and that must be replaced at the next
    sign-in: the owner gets a new one from the service desk. (Only asking for a change would leave the choice to
    whoever knows the old one.) Sessions can't be ended here: Kerberos tickets live until they expire.
    """

    kind: ClassVar[str] = "ldap"
    extra: ClassVar[str] = "ldap"
    secrets: ClassVar[frozenset[str]] = frozenset({"password"})
    name = "ldap"
    actions: frozenset[ActionName] = frozenset({"disable_user", "reset_password"})

    def __init__(
        self,
        *,
        url: str,
        user: str,
        password: str,
        base_dn: str,
        directory: Literal["ad", "openldap"] = "ad",
        domain: str = "",
        policy: str = "",
        scope: Literal["subtree", "level"] = "subtree",
        never: Sequence[str] = (),
        ca_file: Path | None = None,
        start_tls: bool = False,
        timeout_s: float = 10.0,
    ) -> None:
        self._server = DirectoryServer(url, user, password, ca_file, start_tls, timeout_s)
        if not base_dn.strip():
            raise SettingsError('base_dn is empty (base_dn = "OU=People,DC=corp,DC=example")')
        if directory == "openldap" and not policy:
            raise SettingsError("policy: give the DN of the default password policy: without one no lock is heeded")
        for odd, value in (
            ("policy", policy if directory == "ad" else ""),
            ("domain", domain if directory != "ad" else ""),
        ):
            if value:
                raise SettingsError(f"{odd} means nothing with directory = {directory!r}")
        if ca_file is not None and not ca_file.is_file():
            raise SettingsError(f"ca_file: there is no file {ca_file}")
        self._kind: DirectoryKind = ActiveDirectory(domain) if directory == "ad" else OpenLdap(policy)
        self._base, self._scope = base_dn, scope
        self._never, self._user, self._own = tuple(never), user, _forms(user)

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Disable the account, or replace its password. Disabling twice is once."""
        self._check(action)
        with self._account(target) as (session, account):
            if why := self._guarded(session, account):
                raise ConnectorError(f"{shown(target.value)} is never touched: {why}")
            if action == "reset_password":
                self._kind.reset(session, account)
                if not self._kind.must_change(self._again(session, account)):
                    raise ConnectorError("the reset was accepted, and yet the password need not be changed")
                return f"new password set for {shown(account.dn)}, to be changed at the next sign-in"
            if why := self._kind.heeded(session, account):
                raise ConnectorError(f"disabling would keep nobody out: {why}")
            if not self._kind.locked(account):
                session.modify(account.dn, self._kind.lock(account))
            return account.dn

    def read(self, action: ActionName, target: Target) -> bool | None:
        """Whether the account is disabled; None for passwords: one that must be changed may be so for another reason."""
        self._check(action)
        if action == "reset_password":
            return None
        with self._account(target) as (session, account):
            return self._kind.locked(account) and not self._kind.heeded(session, account)

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Enable the account again, also one that may not be disabled any more."""
        self._check(action)
        if action == "reset_password":
            raise ConnectorError("a password that was replaced can't be brought back")
        with self._account(target) as (session, account):
            if self._kind.locked(account):
                session.modify(account.dn, self._kind.unlock(account))
            return account.dn

    def check(self) -> str:
        """Whether signing in works, and the base is there."""
        with self._server.session() as session:
            if not session.search(self._base, "base", "(objectClass=*)", ["objectClass"]):
                raise TargetNotFound(f"base_dn: {self._base} is not there, or may not be read")
            return f"signed in as {self._user}; {self._base} is there"

    def _check(self, action: ActionName) -> None:
        if action not in self.actions:
            raise ConnectorError(f"{self.name} can't {action}")

    @contextmanager
    def _account(self, target: Target) -> Iterator[tuple[DirectorySession, Entry]]:
        """The one account of this very name."""
        value = value_of(target, "user", "email")
        if not 0 < len(value) <= _LONGEST or value != value.strip() or not value.isprintable():
            raise TargetNotFound(f"{shown(value)} is no account's name")
        query = self._kind.query(value)
        with self._server.session() as session:
            found = session.search(self._base, self._scope, query, self._kind.attributes)
            if len(found) > 1:
                raise ConnectorError(f"{shown(value)} is the name of more than one account: do it by hand")
            if not found or not any(same_name(value, name) for name in self._kind.names(found[0])):
                raise TargetNotFound(f"the directory has no account {shown(value)} below {self._base}")
            yield session, found[0]

    def _again(self, session: DirectorySession, account: Entry) -> Entry:
        found = session.search(account.dn, "base", "(objectClass=*)", self._kind.attributes)
        if not found:
            raise TargetNotFound(f"{shown(account.dn)} is gone")
        return found[0]

    def _guarded(self, session: DirectorySession, account: Entry) -> str:
        names = [*self._kind.names(account), account.dn, _plain(account.dn)]
        if any(same_name(name, own) for name in names for own in self._own):
            return "it is the account that Aegis signs in with"
        if any(same_name(name, never) for name in names for never in self._never):
            return "the setting never names it"
        return self._kind.guarded(session, account)


def _forms(user: str) -> tuple[str, ...]:
    """Every name that the account may have which signs in so: CORP\\svc and svc@corp.example are svc, too."""
    return (_plain(user),) if "=" in user else (user, user.rpartition("\\")[2], user.partition("@")[0])


def _plain(dn: str) -> str:
    """A DN without the blanks that mean nothing, to compare by."""
    return ",".join(part.strip() for part in dn.split(","))
