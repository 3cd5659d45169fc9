"""Who is asking: the operating system's account, the holder of a token, or somebody the server has authenticated."""

from __future__ import annotations

import os
import socket
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aegis_agents.errors import IdentityError, InputError
from aegis_agents.records import ROLES, Principal, Role

if TYPE_CHECKING:
    from aegis_agents.ledger import Store

Token = str | Principal | None
"""What a method takes to know who asks: a token, or the Principal that a server around Aegis has authenticated."""
MOST_SAID = 200
"""Characters of a name that somebody types."""


def os_account(said: str = "") -> Principal:
    """The account that this process runs as, by the kernel's word and not the environment's.

    It has every role: whoever runs Aegis can already read and write its state.
    """
    if hasattr(os, "getuid"):
        import pwd

        uid = os.getuid()
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:  # a container's uid need not have a name
            name = str(uid)
        detail = f"uid {uid} on {socket.gethostname()}"
    else:
        name, detail = os.getlogin(), f"account on {socket.gethostname()}"
    return Principal(name=name, method="os_account", roles=frozenset(ROLES), said=said.strip(), detail=detail)


def identify(store: Store, role: Role, *, by: str | None, token: Token, token_needed: bool) -> Principal:
    """Who is asking, and that they may.

    With a `token` its holder; `by` may then only repeat the holder's name. A Principal is believed, but for a
    token that has ended since. Without one the account of this process, `by` being kept as what was said. Raises IdentityError, InputError for a `by` that is no name.
    """
    by = said_name(by)
    if token:
        who = _still(store, token) if isinstance(token, Principal) else authenticated(store, token)
        if by and one_form(by).casefold() != one_form(who.name).casefold():
            raise IdentityError(f"by: this token is {who.name}'s, not {by}'s; leave `by` out")
    elif token_needed:
        raise IdentityError("token: settings ask for a token (require_token); `aegis token add NAME` makes one")
    else:
        who = os_account(by)
    if role not in who.roles:
        raise IdentityError(f"{who.id} is no {role}: it has {', '.join(sorted(who.roles)) or 'no role'}")
    return who.model_copy(update={"name": one_form(who.name)})


def authenticated(store: Store, token: str) -> Principal:
    """Whose token this is. Raises IdentityError, also for the planted one that nobody was given (`agents.planted`)."""
    from aegis_agents.agents.planted import refuse_planted

    who = store.authenticate(token)
    refuse_planted(store, who)
    return who


def _still(store: Store, who: Principal) -> Principal:
    """Somebody who was authenticated before, unless their token was revoked or has expired. Raises IdentityError."""
    if who.method == "token":
        token_id, now = who.detail.removeprefix("token "), datetime.now(UTC)
        if not any(t.token_id == token_id and t.revoked_at is None and t.expires_at > now for t in store.tokens()):
            raise IdentityError("token: it is not known, has expired or was revoked")
    elif who.method != "oidc":
        raise IdentityError(f"token: {who.id} is nobody that a server can vouch for")
    return who


def said_name(by: str | None, field: str = "by") -> str:
    """A typed name without the spaces around it, "" for none. Raises InputError for what can't be shown, or is no name.

    It stands in the ledger and on the screens of others: a line break or an escape sequence in it could
    make up what they read. Bytes of a command line that are no UTF-8 are spelt out.
    """
    name = (by or "").strip().encode("utf-8", "backslashreplace").decode()
    if len(name) > MOST_SAID or not name.isprintable():
        fix = f"a name of at most {MOST_SAID} printable characters"
        raise InputError("is too long, or has characters that can't be seen", field=field, fix=fix)
    return name


def one_form(name: str) -> str:
    """A name as it is compared: Unicode writes "José" in several ways, and they must not be several persons (NFKC)."""
    return unicodedata.normalize("NFKC", name).strip()
