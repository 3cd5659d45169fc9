"""Which messages of a batch are an incident of their own, and which are copies of one.

An exact copy has the same incident id; it is folded as long as the inbox remembers the first, whatever
became of that one. A copy that differs in times and serial numbers alone (`likeness`) is folded into the
first of its kind if that one came, and happened, within the time that settings give, and is not a dead
letter. So what is repeated for ever is a new incident again and again, and what can't be decided takes
nothing else along.

A copy of an incident that has its case already raises its count, and no new case is made: its case
stands for all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from aegis_agents.inbox.database import Database
from aegis_agents.inbox.reading import COLLISION, Read

_COLLISION: Final = "another alert has the same incident id and is not the same: one of them was made to collide"
_ALIKE: Final = (
    "SELECT likeness, number, received_at, observed_at FROM inbox_messages"
    " WHERE likeness IN (*) AND received_at >= ? AND state <> 'dead' ORDER BY number"
)


class _Head(NamedTuple):
    """What a copy may be folded into: its number, or its incident id while it has none yet."""

    name: int | str
    received_at: float
    observed_at: float | None


class Folded:
    """What becomes of each message; made inside a transaction, and only read there."""

    def __init__(self, db: Database, given: Sequence[Read], now: float, fold_s: float) -> None:
        self.heads: dict[str, Read] = {}
        """By incident id: what is to be an incident of its own."""
        self.dead: dict[str, Read] = {}
        """By a key of its own: what is no alert, or has the id of another."""
        self.copies: Counter[str] = Counter()
        """How many there are of each of these in the batch."""
        self.more: Counter[int] = Counter()
        """By number: copies of what is in the inbox."""
        self.into: dict[str, int | str] = {}
        """Incident id of a copy that is not exact → what it was folded into, as in `_Head`."""
        self.made = 0
        """How many heads were new when they were written."""
        self._now, self._fold_s = now, fold_s
        alerts = [one for one in given if one.why is None]
        # Two who put the like at once: the second waits, and then sees what the first has put.
        db.together({f"{one.message.stream} {one.likeness}" for one in alerts if one.likeness})
        ids = sorted({one.incident_id for one in alerts})
        sql = "SELECT incident_id, number, digest FROM inbox_messages WHERE incident_id IN (*)"
        self._there = {row[0]: (int(row[1]), str(row[2])) for row in db.many(sql, ids)}
        sql = "SELECT incident_id, number FROM inbox_folded WHERE incident_id IN (*)"
        others = [name for name in ids if name not in self._there]
        self._folded = {row[0]: int(row[1]) for row in db.many(sql, others)}
        self._alike: dict[str, list[_Head]] = {}
        if fold_s > 0:
            likenesses = sorted({one.likeness for one in alerts if one.likeness})
            for likeness, *head in db.many(_ALIKE, likenesses, after=(now - fold_s,)):
                self._alike.setdefault(likeness, []).append(_Head(*head))
        for one in given:
            self._place(one)

    def _place(self, one: Read) -> None:
        name = one.incident_id
        if one.why is not None:
            self._set_aside(one)
        elif name in self._there:
            number, digest = self._there[name]
            self._count(number) if digest == one.digest else self._collide(one)
        elif name in self.heads:
            self._count(name) if self.heads[name].digest == one.digest else self._collide(one)
        elif name in self._folded:
            self._count(self._folded[name])
        elif (head := self._near(one)) is not None:
            self.into[name] = head
            self._count(head)
        else:
            self.heads[name] = one
            self._count(name)
            if one.likeness and self._fold_s > 0:
                self._alike.setdefault(one.likeness, []).append(_Head(name, self._now, one.observed_at))

    def _near(self, one: Read) -> int | str | None:
        """The first that is alike whose time, as it came and as the product says, is near enough."""
        for head in self._alike.get(one.likeness or "", ()):
            if abs(self._now - head.received_at) > self._fold_s:
                continue
            if head.observed_at is None or one.observed_at is None:
                if head.observed_at is one.observed_at:
                    return head.name
            elif abs(head.observed_at - one.observed_at) <= self._fold_s:
                return head.name
        return None

    def _count(self, name: int | str) -> None:
        if isinstance(name, int):
            self.more[name] += 1
        else:
            self.copies[name] += 1

    def _set_aside(self, one: Read) -> None:
        self.dead.setdefault(one.incident_id, one)
        self.copies[one.incident_id] += 1

    def _collide(self, one: Read) -> None:
        """Incident ids have 80 bits: two alerts that share one can be searched for, and must not pass for copies."""
        self._set_aside(replace(one, incident_id=f"{COLLISION}{one.digest}", why=_COLLISION))
