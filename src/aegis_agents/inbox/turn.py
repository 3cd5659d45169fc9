"""Whose turn it is: each stream its share, and the serious first; nothing waits for ever.

A message gets a deadline when it comes, and the earliest deadline is taken first. Without
limits that deadline is the time it came. A stream with a rate r has its messages spaced
1/r seconds apart from the last of its own that still waits, as VirtualClock does (Zhang,
"VirtualClock: a new traffic control algorithm", SIGCOMM 1990; the generic cell rate
algorithm of ITU-T I.371 counts the same way; fair queueing by finish times is Demers,
Keshav and Shenker, SIGCOMM 1989). A stream that floods writes its own deadlines into the
future, and those of others come first. Unlike VirtualClock a stream that has nothing waiting
owes nothing for what it had when nobody else wanted it.

A priority is a head start in seconds. Within a stream a message is spaced only behind those
of at least its own priority, so that noise cannot hold back what is serious. Since a deadline
is fixed and time goes on, whatever comes after it by more than the longest head start is taken
after it (Liu and Layland's earliest deadline first, JACM 1973).

Deadlines need a clock that goes forward. Where it jumps, one take in `EVERY` goes to what has
waited longest by number, whatever its deadline says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from aegis_agents.inbox.records import Priority

PRIORITIES: Final[tuple[Priority, ...]] = ("low", "normal", "high", "urgent")
"""By rank."""

HEAD_START_S: Final[Mapping[Priority, float]] = {"low": 0.0, "normal": 600.0, "high": 3600.0, "urgent": 14_400.0}
"""Seconds by which a message overtakes those of rank 0."""

EVERY: Final = 16
"""One message in so many is the oldest that waits, whatever its turn."""


def after(now: float, last: Sequence[float | None], rank: int, rate: float) -> float:
    """The fair time of a message that comes `now`: `last` are those of the latest that wait of its stream, by rank."""
    before = [at for at in last[rank:] if at is not None]
    return max(now, max(before) + 1.0 / rate) if before and rate > 0 else now


def turn_of(fair: float, rank: int) -> float:
    """The deadline: its fair time less the head start of its rank."""
    return fair - HEAD_START_S[PRIORITIES[rank]]
