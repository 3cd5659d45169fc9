"""Taking messages in: read once, folded, given their turn, all in one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from aegis_agents.errors import InboxFull, InputError
from aegis_agents.inbox.base import Base
from aegis_agents.inbox.folding import Folded
from aegis_agents.inbox.reading import Read, key_of, read_message
from aegis_agents.inbox.records import Mark, Message, Taken
from aegis_agents.inbox.turn import after, turn_of
from aegis_agents.ledger.postgres_text import escape, unescape

_RECOUNT_S: Final = 1.0
_ROWS: Final = 200
"""Messages in one statement: 17 values each."""
_INSERT: Final = (
    "INSERT INTO inbox_messages (stream, position, format, native, incident_id, digest, likeness, observed_at, rank,"
    " fair, turn, state, attempts, copies, received_at, ended_at, why) VALUES *"
    " ON CONFLICT (incident_id) DO UPDATE SET copies = inbox_messages.copies + excluded.copies"
    " RETURNING number, incident_id, copies"
)
_MORE: Final = (
    "UPDATE inbox_messages SET copies = copies + v.column2 FROM (VALUES *) AS v"
    " WHERE number = v.column1 RETURNING number, incident_id, copies"
)


class Putting(Base):
    """`put` and `mark`."""

    _counted: tuple[float, int] = (float("-inf"), 0)
    """When to count again what waits, and how much that was, with what was put since."""

    def put(self, messages: Sequence[Message], marks: Sequence[Mark] = ()) -> Taken:
        """Take messages in, all or none, and remember how far their streams were read.

        What can't be read as an alert becomes a dead letter; it never stops the rest. Raises InboxFull, with nothing
        taken in, when as much waits as may (a batch that is larger than the whole inbox goes into an empty one),
        InputError for a stream without a name, StoreError where it can't be kept.
        """
        for name in {m.stream for m in messages} | {mark.stream for mark in marks}:
            if not name or key_of(name) != name:
                raise InputError("is empty or longer than 200 characters", field="stream", fix="give a short name")
        read = self._read(messages)
        with self._db.alone:
            taken = self._again_on_conflict(lambda: self._put(read, marks))
            self._counted = (self._counted[0], self._counted[1] + taken.new)
        return taken

    def mark(self, stream: str, part: str) -> str | None:
        """Where reading a part of a stream goes on; None at its beginning."""
        where = (escape(stream), escape(key_of(part)))
        found = self._db.one("SELECT at FROM inbox_marks WHERE stream = ? AND part = ?", where)
        return None if found is None else str(unescape(found))

    def _read(self, messages: Sequence[Message]) -> list[Read]:
        """Each read; the same text once: in a storm most are the same."""
        known: dict[Message, Read] = {}
        found = []
        for message in messages:
            text = message._replace(position="")
            if text not in known:
                known[text] = read_message(text, self._tenant, self._prioritise)
            found.append(replace(known[text], message=message))
        return found

    def _put(self, read: Sequence[Read], marks: Sequence[Mark]) -> Taken:
        with self._db.transaction():
            now = self._now()
            unseen = self._unseen(read, now)
            folded = Folded(self._db, unseen, now, self._settings.fold_minutes * 60)
            self._check_room(len(folded.heads))
            storms = self._write(folded, now)
            self._keep_marks(marks)
        dead = sum(folded.copies[name] for name in folded.dead)
        return Taken(
            new=folded.made,
            folded=len(unseen) - folded.made - dead,
            known=len(read) - len(unseen),
            dead=dead,
            storms=tuple(storms),
        )

    def _unseen(self, read: Sequence[Read], now: float) -> list[Read]:
        """Those whose position was not taken in before, in their order; they are from now on."""
        places = [(escape(one.message.stream), escape(key_of(one.message.position)), now) for one in read]
        wanted = {place[:2]: place for one, place in zip(read, places, strict=True) if one.message.position}
        sql = "INSERT INTO inbox_seen (stream, position, at) VALUES * ON CONFLICT DO NOTHING RETURNING stream, position"
        fresh = {(row[0], row[1]) for row in self._db.many(sql, [wanted[place] for place in sorted(wanted)])}
        kept = []
        for one, (stream, position, _) in zip(read, places, strict=True):
            if not position or (stream, position) in fresh:
                fresh.discard((stream, position))
                kept.append(one)
        return kept

    def _check_room(self, wanted: int) -> None:
        """InboxFull if so many more don't fit. What others put is seen a little later."""
        most, now = self._settings.most_waiting, time.monotonic()
        again_at, waiting = self._counted
        if now >= again_at or waiting + wanted > most:
            waiting = int(
                self._db.one("SELECT count(*) FROM inbox_messages WHERE state = 'waiting'")
                + self._db.one("SELECT count(*) FROM inbox_messages WHERE state = 'held' AND owner IS NULL")
            )
            # Counting a million takes a while: it must not be most of what is done.
            counted = time.monotonic()
            self._counted = (counted + max(_RECOUNT_S, 20 * (counted - now)), waiting)
        if wanted and waiting and waiting + wanted > most:
            raise InboxFull(f"{self._db.where}: {waiting} alerts wait, and at most {most} may (inbox.most_waiting)")

    def _write(self, folded: Folded, now: float) -> list[tuple[str, int]]:
        """Write what becomes of them; answers the storms."""
        rows = []
        for one, fair in self._in_turn(folded.heads.values(), now):
            turn = (one.likeness, one.observed_at, one.rank, fair, turn_of(fair, one.rank), "waiting")
            rows.append((*_start(one), *turn, 0, folded.copies[one.incident_id], now, None, None))
        for one in folded.dead.values():
            turn = (None, None, one.rank, now, now, "dead")
            rows.append((*_start(one), *turn, 0, folded.copies[one.incident_id], now, now, escape(one.why)))
        storms = []
        numbers: dict[str, int] = {}
        for number, name, copies in self._db.many(_INSERT, rows, most=_ROWS):
            numbers[name] = number
            before = copies - folded.copies[name]
            if name in folded.heads:
                folded.made += before == 0  # else somebody else has put it meanwhile
                storms += _storm(name, before, copies)
        for number, name, copies in self._db.many(_MORE, sorted(folded.more.items())):
            storms += _storm(name, copies - folded.more[number], copies)
        into = sorted((name, head if isinstance(head, int) else numbers[head]) for name, head in folded.into.items())
        self._db.many("INSERT INTO inbox_folded (incident_id, number) VALUES * ON CONFLICT DO NOTHING", into)
        return storms

    def _in_turn(self, heads: Iterable[Read], now: float) -> list[tuple[Read, float]]:
        """Each with its fair time: behind those of its own stream, and of at least its own rank, that wait."""
        last: dict[str, list[float | None]] = {}
        found = []
        for one in heads:
            stream = one.message.stream
            if stream not in last:
                last[stream] = self._last_fair(stream)
            fair = after(now, last[stream], one.rank, self._rate(stream))
            last[stream][one.rank] = fair
            found.append((one, fair))
        return found

    def _keep_marks(self, given: Sequence[Mark]) -> None:
        last = {(escape(mark.stream), escape(key_of(mark.part))): escape(mark.at) for mark in given}
        self._db.many(
            "INSERT INTO inbox_marks (stream, part, at) VALUES * ON CONFLICT (stream, part) DO UPDATE SET at = excluded.at",
            [(*key, at) for key, at in sorted(last.items())],
        )


def _start(one: Read) -> tuple[str | bytes | None, ...]:
    stream, _, position, known = one.message
    return (escape(stream), escape(position), escape(known), one.native, one.incident_id, one.digest)


def _storm(name: str, before: int, copies: int) -> list[tuple[str, int]]:
    """One where a power of ten was passed."""
    return [(name, copies)] if len(str(copies)) > len(str(before)) and copies >= 10 else []
