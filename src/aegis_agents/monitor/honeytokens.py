"""Honeytokens: planted once a store, the same for every process, and told of in the ledger when one would have left."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import string
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aegis_agents.agents.planted import PLANTED, USED
from aegis_agents.honeytokens import arm, disarm, leaked, listen, stopped
from aegis_agents.monitor.falling import fall_back
from aegis_agents.records import AEGIS

if TYPE_CHECKING:
    from aegis_agents.ledger import Store

__all__ = ["LEFT", "PLANTED", "USED", "disarm", "leaked", "plant", "stopped", "tokens_of"]

LEFT: Final = "monitor.honeytoken_left"
"""Ledger entry: a honeytoken was about to leave, and was stopped."""
_BAIT: Final = "token.bak"
_NAME: Final = "backup-export"
_LONG: Final = timedelta(days=3650)
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{20,200}")


def tokens_of(seed: str) -> dict[str, str]:
    """The fake secrets of a deployment, by name: a cloud key, a password, a host. Nobody can guess them without the seed."""
    letters = string.ascii_uppercase + "234567"
    return {
        "key": "AKIA" + _drawn(seed, "key", letters, 16),
        "password": _drawn(seed, "password", string.ascii_letters + string.digits, 18),
        "host": "SRV-" + _drawn(seed, "host", letters, 10),
    }


def _drawn(seed: str, name: str, letters: str, length: int) -> str:
    stream = hashlib.shake_256(f"honeytoken {name} {seed}".encode()).digest(length * 2)
    return "".join(letters[int.from_bytes(stream[i * 2 : i * 2 + 2]) % len(letters)] for i in range(length))


def plant(store: Store, home: Path, *, falls: bool = True) -> dict[str, str]:
    """Plant them where it was not done before, and arm this process; answers them by name.

    An API token that nobody gets is added to the principals, and left as a bait in `home`/token.bak. With `falls`
    autonomy falls back when one would leave.
    """
    bait = home / _BAIT
    with store.transaction():
        there = next((e.body for e in store.entries(kind=PLANTED, limit=1) if e.body), None)
        if there is None:
            before = {row.token_id for row in store.tokens()}
            token = store.add_token(_NAME, ["viewer"], AEGIS, valid_for=_LONG)
            token_id = next(row.token_id for row in store.tokens() if row.token_id not in before)
            there = {"seed": secrets.token_hex(32), "token_id": token_id}
            store.append(PLANTED, None, there)
            _write(bait, token)
    found = tokens_of(str(there["seed"]))
    try:
        token = bait.read_text("ascii").strip()
        if _TOKEN.fullmatch(token):  # else it was cut short, or is another text, which may well have to leave
            found["token"] = token
    except (OSError, UnicodeDecodeError):
        pass  # planted by another machine, or taken away: its use is noticed all the same
    arm(found)
    listen(_Teller(store, falls))
    return found


def _write(bait: Path, token: str) -> None:
    """Readable by the account alone: who reads it was in."""
    bait.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(bait, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as out:
        out.write(token + "\n")


class _Teller:
    """Writes down each leak that was stopped. One a store, whoever plants how often."""

    def __init__(self, store: Store, falls: bool) -> None:
        self._store, self._falls = store, falls

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Teller) and other._store is self._store

    def __hash__(self) -> int:
        return id(self._store)

    def __call__(self, name: str, way: str) -> None:
        reason = f"the honeytoken {name!r} was about to leave by the {way}"
        with self._store.transaction():
            self._store.append(LEFT, None, {"token": name, "way": way})
            if self._falls:
                fall_back(self._store, "honeytoken.left", reason, figures={"token": name, "way": way})
