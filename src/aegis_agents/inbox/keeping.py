"""What is not on its way: dead letters, counts, and forgetting what is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from aegis_agents.inbox.base import Base, moment
from aegis_agents.inbox.database import Row
from aegis_agents.inbox.reading import Read, as_text, read_message
from aegis_agents.inbox.records import Counts, DeadLetter, Message
from aegis_agents.inbox.turn import after, turn_of
from aegis_agents.ledger.postgres_text import escape, unescape

_AT_ONCE: Final = 5000
"""Rows removed in one transaction: others write in between."""
_READ_AT_ONCE: Final = 50
"""Dead letters in memory at once, each of up to 5 MB."""
_MOST: Final = 2**62
"""A database counts no further."""


class Keeping(Base):
    """`dead`, `replay`, `discard`, `copies`, `counts`, `forget` and `close`."""

    def dead(self, limit: int = 100, after: int = 0) -> list[DeadLetter]:
        """What was set aside, oldest first, with number > `after`."""
        rows = self._db.run(
            "SELECT number, stream, position, format, native, attempts, received_at, ended_at, why FROM inbox_messages"
            " WHERE state = 'dead' AND number > ? ORDER BY number LIMIT ?",
            (min(max(after, 0), _MOST), min(max(limit, 0), _MOST)),
        )
        return [
            DeadLetter(
                number, Message(unescape(stream), as_text(native), unescape(position), unescape(known)),
                unescape(why) or "", attempts, moment(received), moment(died),
            )
            for number, stream, position, known, native, attempts, received, died, why in rows
        ]  # fmt: skip

    def replay(self, numbers: Sequence[int] | None = None) -> int:
        """Let what was set aside wait again, these or all, with all its tries; answers how many."""
        waiting, last = 0, 0
        chosen = None if numbers is None else set(numbers)
        while some := self.dead(_READ_AT_ONCE, last):
            last = some[-1].number
            waiting += sum(self._replay(letter) for letter in some if chosen is None or letter.number in chosen)
        return waiting

    def _replay(self, letter: DeadLetter) -> bool:
        """Let one wait again. What could not be read is read once more, and stays where it can't be yet."""
        read = read_message(letter.message, self._tenant, self._prioritise)
        if read.why is not None:
            return False
        with self._db.transaction():
            other = self._db.one(
                "SELECT number FROM inbox_messages WHERE incident_id = ? AND number <> ?",
                (read.incident_id, letter.number),
            )
            if other is not None:  # unreadable at first, or made to collide: the incident has come by another way
                return self._join(letter.number, other, read)
            now, stream = self._now(), letter.message.stream
            fair = after(now, self._last_fair(stream), read.rank, self._rate(stream))
            return bool(
                self._db.run(
                    "UPDATE inbox_messages SET state = 'waiting', attempts = 0, owner = NULL, since = NULL, until = NULL,"
                    " ended_at = NULL, why = NULL, incident_id = ?, digest = ?, likeness = ?, observed_at = ?, rank = ?,"
                    " fair = ?, turn = ? WHERE number = ? AND state = 'dead' RETURNING number",
                    (
                        read.incident_id, read.digest, read.likeness, read.observed_at, read.rank,
                        fair, turn_of(fair, read.rank), letter.number,
                    ),
                )
            )  # fmt: skip

    def _join(self, number: int, other: int, read: Read) -> bool:
        """A dead letter that is a copy of another message becomes one; what only collides with it stays."""
        if self._db.one("SELECT digest FROM inbox_messages WHERE number = ?", (other,)) != read.digest:
            return False
        copies = self._db.one(
            "DELETE FROM inbox_messages WHERE number = ? AND state = 'dead' RETURNING copies", (number,)
        )
        if copies is None:
            return False
        self._db.run("UPDATE inbox_messages SET copies = copies + ? WHERE number = ?", (copies, other))
        return True

    def discard(self, numbers: Sequence[int] | None = None) -> int:
        """Remove what was set aside for good, these or all that is now; answers how many."""
        if numbers is None:
            numbers = [row[0] for row in self._db.run("SELECT number FROM inbox_messages WHERE state = 'dead'")]
        chosen, gone = sorted(n for n in set(numbers) if 0 < n < _MOST), 0
        for at in range(0, len(chosen), _AT_ONCE):
            with self._db.transaction():
                rows = self._db.many(
                    "DELETE FROM inbox_messages WHERE state = 'dead' AND number IN (*) RETURNING number, copies",
                    chosen[at : at + _AT_ONCE],
                )
                self._forget_beside(rows)
            gone += len(rows)
        return gone

    def _forget_beside(self, rows: Sequence[Row]) -> None:
        """What is kept of messages beside them goes with them, (number, copies) each; how many were copies stays counted."""
        if folded := sum(int(copies) - 1 for _, copies in rows):
            self._db.run(
                "INSERT INTO inbox_totals (name, value) VALUES ('copies', ?)"
                " ON CONFLICT (name) DO UPDATE SET value = inbox_totals.value + excluded.value",
                (folded,),
            )
        self._db.many("DELETE FROM inbox_folded WHERE number IN (*)", [number for number, _ in rows])

    def copies(self, incident_id: str) -> int:
        """How many messages there were of one incident, folded ones included; 0 if it never was in the inbox."""
        found = self._db.one("SELECT copies FROM inbox_messages WHERE incident_id = ?", (escape(incident_id),))
        return int(found or 0)

    def folded_into(self, incident_id: str) -> str | None:
        """The incident that an alert was folded into; None if it is its own, or is not known."""
        found = self._db.one(
            "SELECT m.incident_id FROM inbox_folded f JOIN inbox_messages m ON m.number = f.number"
            " WHERE f.incident_id = ?",
            (escape(incident_id),),
        )
        return None if found is None else str(found)

    def counts(self) -> Counts:
        """How things stand now."""
        with self._db.alone:
            now = self._now()
            by_stream: Counter[str] = Counter()
            for stream, count in self._db.run(
                "SELECT stream, count(*) FROM inbox_messages WHERE state = 'waiting' GROUP BY stream"
                " UNION ALL SELECT stream, count(*) FROM inbox_messages WHERE state = 'held' AND owner IS NULL"
                " GROUP BY stream"
            ):
                by_stream[unescape(stream)] += int(count)
            held = self._db.one("SELECT count(*) FROM inbox_messages WHERE state = 'held' AND owner IS NOT NULL")
            done = self._db.one("SELECT count(*) FROM inbox_messages WHERE state = 'done'")
            dead = self._db.one("SELECT count(*) FROM inbox_messages WHERE state = 'dead'")
            copies = self._db.one("SELECT sum(copies - 1) FROM inbox_messages WHERE copies > 1") or 0
            copies += self._db.one("SELECT value FROM inbox_totals WHERE name = 'copies'") or 0
            first = (
                self._db.one("SELECT received_at FROM inbox_messages WHERE state = 'waiting' ORDER BY number LIMIT 1"),
                self._db.one("SELECT min(received_at) FROM inbox_messages WHERE state = 'held' AND owner IS NULL"),
            )
            oldest = min((at for at in first if at is not None), default=now)
        return Counts(
            waiting=by_stream.total(), held=held, done=done, dead=dead, copies=int(copies),
            oldest_s=max(0.0, now - oldest), by_stream=dict(by_stream),
        )  # fmt: skip

    def forget(self, days: float) -> int:
        """Remove what was done so many days ago, and the positions it was read from; answers how many messages."""
        gone = 0
        before = self._now() - days * 86_400
        while True:
            with self._db.transaction(flush=False):
                rows = self._db.run(
                    "DELETE FROM inbox_messages WHERE number IN (SELECT number FROM inbox_messages"
                    " WHERE state = 'done' AND ended_at < ? LIMIT ?) RETURNING number, copies",
                    (before, _AT_ONCE),
                )
                self._forget_beside(rows)
            gone += len(rows)
            if len(rows) < _AT_ONCE:
                break
        while self._forget_positions(before):
            pass
        return gone

    def _forget_positions(self, before: float) -> bool:
        """Some of them; answers whether there are more."""
        with self._db.transaction(flush=False):
            rows = self._db.run(
                "DELETE FROM inbox_seen WHERE (stream, position) IN"
                " (SELECT stream, position FROM inbox_seen WHERE at < ? LIMIT ?) RETURNING 1",
                (before, _AT_ONCE),
            )
        return len(rows) == _AT_ONCE

    def close(self) -> None:
        """Release the database. Calling it twice is fine."""
        self._db.close()
