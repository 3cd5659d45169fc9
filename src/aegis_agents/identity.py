"""Who is asking: the operating system's account, or the holder of a token."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from aegis_agents.errors import IdentityError
from aegis_agents.records import ROLES, Principal, Role

if TYPE_CHECKING:
    from aegis_agents.ledger import Store


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


def identify(store: Store, role: Role, *, by: str | None, token: str | None, token_needed: bool) -> Principal:
    """Who is asking, and that they may.

    With a `token` its holder; `by` may then only repeat the holder's name. Without one the account of
    this process, `by` being kept as what was said. Raises IdentityError.
    """
    if token:
        who = store.authenticate(token)
        if by and by.strip().casefold() != who.person:
            raise IdentityError(f"by: this token is {who.name}'s, not {by.strip()}'s; leave `by` out")
    elif token_needed:
        raise IdentityError("token: settings ask for a token (require_token); `aegis token add NAME` makes one")
    else:
        who = os_account(by or "")
    if role not in who.roles:
        raise IdentityError(f"{who.id} is no {role}: it has {', '.join(sorted(who.roles)) or 'no role'}")
    return who
