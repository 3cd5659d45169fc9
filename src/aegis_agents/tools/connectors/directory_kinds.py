"""What an account is, and what locking it means, in Active Directory and in OpenLDAP."""

from __future__ import annotations

import secrets
import struct
import unicodedata
from typing import Final, Protocol

from aegis_agents.errors import ConnectorError, TargetNotFound
from aegis_agents.tools.connectors.directory_session import Change, DirectorySession, Entry

_ACCOUNTDISABLE: Final = 0x0002  # [MS-ADTS] 2.2.16
_NOT_A_PERSONS: Final = 0x0800 | 0x1000 | 0x2000  # trust between domains, of a workstation, of a server
_LOCKED_FOREVER: Final = "000001010000Z"  # draft-behera-ldap-password-policy-10, 5.3.3

# What AdminSDHolder guards ([MS-ADTS] 3.1.1.6.1.2): the last number of the SID, in the domain ...
_PRIVILEGED: Final = frozenset({500, 502, 512, 516, 518, 519, 521, 526, 527})
# ... and of the built-in groups (S-1-5-32-…).
_BUILT_IN: Final = frozenset({544, 548, 549, 550, 551, 552})


class DirectoryKind(Protocol):
    """A directory's own ways. `attributes` are those that the methods look at."""

    attributes: tuple[str, ...]

    def query(self, value: str) -> str:
        """The filter that finds an account by a name. Raises TargetNotFound for a name that is not of this directory."""
        ...

    def names(self, account: Entry) -> list[str]:
        """Every name that finds this account."""
        ...

    def guarded(self, session: DirectorySession, account: Entry) -> str:
        """Why this account must never be touched; "" if it may be."""
        ...

    def locked(self, account: Entry) -> bool:
        """Whether it is marked as disabled."""
        ...

    def heeded(self, session: DirectorySession, account: Entry) -> str:
        """Why the mark would keep nobody out; "" if it does."""
        ...

    def lock(self, account: Entry) -> list[Change]:
        """What disables it."""
        ...

    def unlock(self, account: Entry) -> list[Change]:
        """What enables it again."""
        ...

    def reset(self, session: DirectorySession, account: Entry) -> None:
        """Replace its password by one that nobody knows, to be replaced again at the next sign-in."""
        ...

    def must_change(self, account: Entry) -> bool:
        """Whether a password must be replaced at the next sign-in."""
        ...


class ActiveDirectory:
    """Accounts by sAMAccountName, userPrincipalName or mail; disabled by a bit of userAccountControl."""

    attributes: tuple[str, ...] = (
        "sAMAccountName", "userPrincipalName", "mail", "userAccountControl", "adminCount", "objectSid", "pwdLastSet",
    )  # fmt: skip

    def __init__(self, domain: str) -> None:
        self._domain = domain

    def query(self, value: str) -> str:
        """`DOMAIN\\name` needs the domain's own NetBIOS name: in another domain the name is another person's."""
        domain, backslash, name = value.rpartition("\\")
        if backslash and domain.casefold() != self._domain.casefold():
            raise TargetNotFound(f"{domain} is not this directory's domain (setting domain: {self._domain or 'none'})")
        found = _escape(name)
        either = f"(|(userPrincipalName={found})(mail={found}))" if "@" in name else f"(sAMAccountName={found})"
        return f"(&(objectCategory=person)(objectClass=user){either})"

    def names(self, account: Entry) -> list[str]:
        """Alone, and behind the domain."""
        short = account.texts("sAMAccountName")
        behind = [f"{self._domain}\\{name}" for name in short] if self._domain else []
        return [*short, *behind, *account.texts("userPrincipalName"), *account.texts("mail")]

    def guarded(self, session: DirectorySession, account: Entry) -> str:
        """Machines' accounts, and privileged ones, by their own SID, adminCount, and every group that they are in (tokenGroups, which
        counts nested groups and knows at once what adminCount learns within the hour)."""
        if self._control(account) & _NOT_A_PERSONS:
            return "it is the account of a computer, a managed service or a trust, not a person's"
        sid = _last(account.raw("objectSid"))
        if sid is None:
            return "its objectSid can't be read, so it may be a privileged one"
        if sid in _PRIVILEGED:
            return "it is a built-in administrative account"
        if account.number("adminCount"):
            return "it is privileged (adminCount)"
        (own,) = session.search(account.dn, "base", "(objectClass=*)", ["tokenGroups"]) or [account]
        groups = own.raw("tokenGroups")
        if not groups:
            return "its groups (tokenGroups) can't be read, so it may be a privileged one"
        if any(_privileged(group) for group in groups):
            return "it is in a privileged group"
        return ""

    def locked(self, account: Entry) -> bool:
        """Whether the bit is set. Tickets that were issued before stay valid until they expire (10 hours at most,
        unless set otherwise)."""
        return bool(self._control(account) & _ACCOUNTDISABLE)

    def heeded(self, session: DirectorySession, account: Entry) -> str:
        """Always."""
        return ""

    def lock(self, account: Entry) -> list[Change]:
        """The bit set, if the others are still what was read."""
        return self._swap(account, self._control(account) | _ACCOUNTDISABLE)

    def unlock(self, account: Entry) -> list[Change]:
        """The bit taken out, if the others are still what was read."""
        return self._swap(account, self._control(account) & ~_ACCOUNTDISABLE)

    def reset(self, session: DirectorySession, account: Entry) -> None:
        """In one step, or whoever knows the old password could be the one to choose the new."""
        quoted = f'"{_password()}"'.encode("utf-16-le")  # [MS-ADTS] 3.1.1.3.1.5.1
        session.modify(account.dn, [("unicodePwd", "replace", [quoted]), ("pwdLastSet", "replace", ["0"])])

    def must_change(self, account: Entry) -> bool:
        """pwdLastSet 0."""
        return account.number("pwdLastSet") == 0

    @staticmethod
    def _control(account: Entry) -> int:
        found = account.number("userAccountControl")
        if found is None:
            raise ConnectorError("userAccountControl can't be read: these credentials may not, or it is no account")
        return found

    def _swap(self, account: Entry, to: int) -> list[Change]:
        was = str(self._control(account))
        return [("userAccountControl", "delete", [was]), ("userAccountControl", "add", [str(to)])]


class OpenLdap:
    """Accounts by uid or mail; locked by the password policy overlay (slapo-ppolicy).

    The overlay heeds the lock only where the policy in force has pwdLockout TRUE: with any other the lock
    would be written and let everybody in, so it is read each time.
    """

    attributes: tuple[str, ...] = ("uid", "mail", "pwdAccountLockedTime", "pwdPolicySubentry", "pwdReset")

    def __init__(self, policy: str) -> None:
        self._policy = policy

    def query(self, value: str) -> str:
        """There are no domains here."""
        if "\\" in value:
            raise TargetNotFound("a name with a domain is none of this directory")
        return f"(&(objectClass=*)({'mail' if '@' in value else 'uid'}={_escape(value)}))"

    def names(self, account: Entry) -> list[str]:
        """uid and mail."""
        return [*account.texts("uid"), *account.texts("mail")]

    def guarded(self, session: DirectorySession, account: Entry) -> str:
        """OpenLDAP marks no account as privileged: name them in `never`."""
        return ""

    def locked(self, account: Entry) -> bool:
        """Locked for good; a lock that passes by itself is not ours."""
        return account.texts("pwdAccountLockedTime") == [_LOCKED_FOREVER]

    def heeded(self, session: DirectorySession, account: Entry) -> str:
        """Whether the policy in force has pwdLockout TRUE."""
        policy = (account.texts("pwdPolicySubentry") or [self._policy])[0]
        found = session.search(policy, "base", "(objectClass=*)", ["pwdLockout"])
        if found and found[0].texts("pwdLockout") == ["TRUE"]:
            return ""
        return f"the password policy {policy} has no pwdLockout TRUE, or can't be read"

    def lock(self, account: Entry) -> list[Change]:
        """Until somebody takes it away."""
        return [("pwdAccountLockedTime", "replace", [_LOCKED_FOREVER])]

    def unlock(self, account: Entry) -> list[Change]:
        """The lock, if it is still this one."""
        return [("pwdAccountLockedTime", "delete", [_LOCKED_FOREVER])]

    def reset(self, session: DirectorySession, account: Entry) -> None:
        """Password first: with the mark first, whoever knows the old one could be the one to choose the new."""
        session.replace_password(account.dn, _password())
        session.modify(account.dn, [("pwdReset", "replace", ["TRUE"])])

    def must_change(self, account: Entry) -> bool:
        """pwdReset."""
        return account.texts("pwdReset") == ["TRUE"]


def same_name(one: str, other: str) -> bool:
    """Whether two names are one. A directory thinks so of many that look alike (blanks, width, accents): we don't."""
    if one.isascii() and other.isascii():
        return one.lower() == other.lower()
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


def _escape(value: str) -> str:
    """RFC 4515: a filter's own characters, and all that is not plain ASCII, as their bytes."""
    return "".join(
        chr(byte) if 0x20 <= byte < 0x7F and chr(byte) not in "*()\\" else f"\\{byte:02x}" for byte in value.encode()
    )


def _password() -> str:
    """256 bits, and a character of each sort that rules of complexity ask for."""
    return f"{secrets.token_urlsafe(32)}aA1-"


def _last(sids: object) -> int | None:
    """The last number of a SID ([MS-DTYP] 2.4.2.2), 32 bits at its end."""
    if not isinstance(sids, (list, tuple)) or not sids or len(sids[0]) < 12:
        return None
    number: int = struct.unpack("<I", sids[0][-4:])[0]
    return number


def _privileged(sid: bytes) -> bool:
    built_in = len(sid) == 16 and sid[:12] == b"\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00"
    return _last([sid]) in (_BUILT_IN if built_in else _PRIVILEGED)
