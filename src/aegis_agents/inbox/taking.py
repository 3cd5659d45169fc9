"""Working on messages: taken in turn, held for a time, done or tried again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aegis_agents.errors import InputError
from aegis_agents.inbox.base import Base, moment
from aegis_agents.inbox.database import Row
from aegis_agents.inbox.reading import as_text
from aegis_agents.inbox.records import Held, Message
from aegis_agents.inbox.turn import EVERY, PRIORITIES
from aegis_agents.ledger.postgres_text import escape, unescape

_WAIT_S: Final = 5.0
_LONGEST_WAIT_S: Final = 900.0
_CLOCKS_DIFFER_S: Final = 5.0
_SILENT: Final = "whoever took it {attempts} times never said that it was done; it may end the process that works on it"
# MATERIALIZED: PostgreSQL might else pick anew for each row, and take more than were asked for.
_TAKE: Final = (
    "WITH picked AS MATERIALIZED (SELECT number FROM inbox_messages WHERE state = 'waiting'"
    " ORDER BY turn, number LIMIT ? /*skip*/) UPDATE inbox_messages SET state = 'held', owner = ?, since = ?, until = ?,"
    " attempts = attempts + 1 WHERE number IN (SELECT number FROM picked)"
    " RETURNING turn, number, stream, position, format, native, incident_id, rank, copies, attempts, received_at"
)
_TAKE_OLDEST: Final = _TAKE.replace("turn, number LIMIT", "number LIMIT")
_RAN_OUT: Final = "SELECT 1 FROM inbox_messages WHERE state = 'held' AND (until <= ? OR since > ?) LIMIT 1"
# Whoever said `again` has no hold any more, and does not wait in silence.
_LET_GO: Final = (
    "WITH ended AS MATERIALIZED (SELECT number FROM inbox_messages WHERE state = 'held' AND (until <= ? OR since > ?)"
    " LIMIT 1000 /*skip*/) UPDATE inbox_messages SET"
    " state = CASE WHEN owner IS NOT NULL AND attempts >= ? THEN 'dead' ELSE 'waiting' END,"
    " ended_at = CASE WHEN owner IS NOT NULL AND attempts >= ? THEN ? END,"
    " why = CASE WHEN owner IS NOT NULL AND attempts >= ? THEN ? ELSE why END,"
    " owner = NULL, since = NULL, until = NULL WHERE number IN (SELECT number FROM ended)"
)
_GIVE_BACK: Final = (
    "UPDATE inbox_messages SET state = 'waiting', owner = NULL, since = NULL, until = NULL, attempts = attempts - 1"
    " WHERE state = 'held' AND owner = ? AND number IN (*)"
)
_DONE: Final = (
    "UPDATE inbox_messages SET state = 'done', native = ?, owner = NULL, since = NULL, until = NULL, ended_at = /*now*/, why = NULL"
    " WHERE number = ? AND state = 'held' AND owner = ? RETURNING number"
)


class Taking(Base):
    """`take`, `extend`, `give_back`, `done`, `again` and `kill`."""

    _turns = 0
    """How many this object took, for the turn of the oldest."""

    def take(self, owner: str, most: int = 1) -> list[Held]:
        """The next in turn, at most `most`, held for `owner` until `hold_s` has passed; empty if none waits.

        A hold that ran out is let go first: its message waits again, or is set aside where it was taken
        `attempts` times. One message in sixteen is the one that came first, whatever its turn.
        """
        if not owner or most < 1:
            raise InputError("needs a name, and at least 1 to take", field="owner, most", fix='take("host:pid", 10)')
        with self._db.alone:
            return self._again_on_conflict(lambda: self._take(escape(owner), most))

    def _take(self, owner: str, most: int) -> list[Held]:
        with self._db.transaction(flush=False):  # a power cut that forgets it lets the message wait, which is harmless
            now = self._now()
            self._let_go(now)
            oldest = (self._turns % EVERY + most) // EVERY
            rows = self._pick(_TAKE_OLDEST, oldest, owner, now) if oldest else []
            if most > len(rows):
                rows += self._pick(_TAKE, most - len(rows), owner, now)
            self._turns += len(rows)
        return [_held(row) for row in sorted(rows, key=lambda row: (row[0], row[1]))]

    def _pick(self, sql: str, most: int, owner: str, now: float) -> list[Row]:
        values = (most, owner, now, now + self._settings.hold_s)
        return self._db.run(sql.replace("/*skip*/", self._db.skip_locked), values)

    def _let_go(self, now: float) -> None:
        """End the holds that have run out, or that began in the future: then the clock went back."""
        future = now + _CLOCKS_DIFFER_S
        if self._db.run(_RAN_OUT, (now, future)):
            most = self._settings.attempts
            values = (now, future, most, most, now, most, _SILENT.format(attempts=most))
            self._db.run(_LET_GO.replace("/*skip*/", self._db.skip_locked), values)

    def extend(self, owner: str, numbers: Sequence[int]) -> list[int]:
        """Hold them `hold_s` longer from now; answers those that are still this owner's."""
        with self._db.transaction(flush=False):
            now = self._now()
            sql = (
                "UPDATE inbox_messages SET since = ?, until = ? WHERE state = 'held' AND owner = ? AND number IN (*)"
                " RETURNING number"
            )
            rows = self._db.many(sql, sorted(set(numbers)), before=(now, now + self._settings.hold_s, escape(owner)))
        return sorted(int(row[0]) for row in rows)

    def done(self, owner: str, number: int) -> bool:
        """It has its case: its text is let go of, since the ledger's intake has it. False if it is no longer this owner's."""
        # Forgotten in a power cut it is done again, which is harmless.
        if self._clock is None and self._db.clock:
            return bool(self._db.lazily(_DONE.replace("/*now*/", self._db.clock), (b"", number, escape(owner))))
        values = (b"", self._now(), number, escape(owner))
        return bool(self._db.lazily(_DONE.replace("/*now*/", "?"), values))

    def give_back(self, owner: str, numbers: Sequence[int]) -> None:
        """They were not begun: those that are still this owner's wait as if nobody had taken them."""
        with self._db.transaction(flush=False):
            self._db.many(_GIVE_BACK, sorted(set(numbers)), before=(escape(owner),))

    def again(self, owner: str, number: int, why: str) -> bool:
        """It could not be decided now: it waits 5 s, twice as long each time up to 15 minutes. True if it was set aside.

        That is after `attempts` tries. Nothing happens, and False is answered, if it is no longer this owner's.
        """
        with self._db.transaction():
            now = self._now()
            attempts = self._db.one(
                "SELECT attempts FROM inbox_messages WHERE number = ? AND state = 'held' AND owner = ?",
                (number, escape(owner)),
            )
            if attempts is None:
                return False
            if attempts >= self._settings.attempts:
                return self._set_aside(owner, number, why, now)
            wait = min(_WAIT_S * 2 ** (attempts - 1), _LONGEST_WAIT_S)
            self._db.run(
                "UPDATE inbox_messages SET owner = NULL, since = ?, until = ?, why = ?"
                " WHERE number = ? AND state = 'held' AND owner = ?",
                (now, now + wait, escape(why[:2000]), number, escape(owner)),
            )
        return False

    def kill(self, owner: str, number: int, why: str) -> None:
        """It can never be decided: set it aside, whole, with the reason. Nothing happens if it is no longer this owner's."""
        with self._db.transaction():
            self._set_aside(owner, number, why, self._now())

    def _set_aside(self, owner: str, number: int, why: str, now: float) -> bool:
        sql = (
            "UPDATE inbox_messages SET state = 'dead', owner = NULL, since = NULL, until = NULL, ended_at = ?, why = ?"
            " WHERE number = ? AND state = 'held' AND owner = ? RETURNING number"
        )
        return bool(self._db.run(sql, (now, escape(why[:2000]), number, escape(owner))))


def _held(row: Row) -> Held:
    _, number, stream, position, known, native, incident_id, rank, copies, attempts, received = row
    message = Message(unescape(stream), as_text(native), unescape(position), unescape(known))
    return Held(number, message, incident_id, PRIORITIES[rank], copies, attempts, moment(received))
