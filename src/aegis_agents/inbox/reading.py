"""A message read once, before anything is written: which incident it is, what it is like, how serious it may be."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from aegis_agents.errors import InputError
from aegis_agents.inbox.likeness import likeness_of
from aegis_agents.inbox.priority import Prioritise
from aegis_agents.inbox.records import Message
from aegis_agents.inbox.turn import PRIORITIES

UNREAD = "unread-"
"""Begins the key of what is no alert; no incident id does."""
COLLISION = "collision-"
"""Begins the key of an alert whose incident id is that of another one."""
_LONGEST_KEY = 200
"""Longer names are kept by their hash: an index has a limit."""


@dataclass(frozen=True, slots=True)
class Read:
    """A message and what was understood of it; with `why` it is no alert."""

    message: Message
    native: bytes
    incident_id: str
    digest: str
    likeness: str | None = None
    observed_at: float | None = None
    rank: int = 0
    why: str | None = None


def read_message(message: Message, tenant: str, prioritise: Prioritise) -> Read:
    """Read one message, expecting the worst of it; never raises for what it says."""
    from aegis_agents.sources import parse

    native = as_bytes(message.native)
    try:
        incident = parse(message.native, format=message.format, tenant=tenant)
    except InputError as error:
        return _unread(message, native, str(error))
    except Exception as error:  # noqa: BLE001 - a reader's bug must not hold up a batch; the message is kept, with it
        return _unread(message, native, f"reading it failed: {type(error).__name__}: {error}")
    try:
        likeness, rank = likeness_of(incident, message.stream), PRIORITIES.index(prioritise(incident))
    except Exception:  # noqa: BLE001 - they tell its turn and what it may be folded into: without them it comes in alone
        likeness, rank = None, PRIORITIES.index("high")
    return Read(
        message=message,
        native=native,
        incident_id=incident.id,
        digest=incident.digest,
        likeness=likeness,
        observed_at=incident.observed_at.timestamp() if incident.observed_at else None,
        rank=rank,
    )


def as_bytes(native: str) -> bytes:
    """The text as it is kept: whole, lone surrogates and NUL included."""
    return native.encode("utf-8", "surrogatepass")


def as_text(native: bytes) -> str:
    """The text as it came."""
    return bytes(native).decode("utf-8", "surrogatepass")


def key_of(name: str) -> str:
    """A name that strangers chose, as a key: itself, or its hash where it is too long."""
    if len(name) <= _LONGEST_KEY:
        return name
    return f"sha256:{hashlib.sha256(as_bytes(name)).hexdigest()}"


def _unread(message: Message, native: bytes, why: str) -> Read:
    digest = hashlib.sha256(b"\0".join((as_bytes(message.stream), as_bytes(message.format or ""), native))).hexdigest()
    return Read(message=message, native=native, incident_id=f"{UNREAD}{digest}", digest=digest, why=why[:2000])
