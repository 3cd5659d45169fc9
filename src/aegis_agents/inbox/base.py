"""What the parts of the inbox share: database, settings, clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeVar

from aegis_agents.inbox.database import Conflict, Database
from aegis_agents.inbox.priority import Prioritise
from aegis_agents.inbox.turn import PRIORITIES
from aegis_agents.ledger.postgres_text import escape
from aegis_agents.settings_inbox import InboxSettings

Clock = Callable[[], datetime]

T = TypeVar("T")

_TRIES: Final = 5
# One look-up at the end of an index for each rank.
_LAST: Final = "SELECT " + ", ".join(  # noqa: S608 - a number of ours
    "(SELECT max(fair) FROM inbox_messages WHERE state = 'waiting' AND stream = ? AND rank = *)".replace("*", str(rank))
    for rank in range(len(PRIORITIES))
)


class Base:
    """An open database and how it is used."""

    def __init__(
        self,
        database: Database,
        settings: InboxSettings,
        *,
        tenant: str,
        rates: Mapping[str, float],
        prioritise: Prioritise,
        clock: Clock | None,
    ) -> None:
        self._db, self._settings, self._tenant = database, settings, tenant
        self._rates, self._prioritise, self._clock = dict(rates), prioritise, clock

    def _now(self) -> float:
        """Seconds since 1970: by the clock given, else the database's, which all its clients share, else this machine's."""
        if self._clock is not None:
            return self._clock().timestamp()
        return float(self._db.one(f"SELECT {self._db.clock}")) if self._db.clock else datetime.now(UTC).timestamp()

    def _rate(self, stream: str) -> float:
        """Alerts a second of this stream; 0 for no limit."""
        return self._rates.get(stream, self._settings.rate_per_stream)

    def _last_fair(self, stream: str) -> list[float | None]:
        """By rank: the latest fair time of what waits of a stream."""
        return list(self._db.run(_LAST, [escape(stream)] * len(PRIORITIES))[0])

    def _again_on_conflict(self, work: Callable[[], T]) -> T:
        """Do it, and again where another transaction was in the way: nothing of it was kept then."""
        for _ in range(_TRIES - 1):
            try:
                return work()
            except Conflict:
                continue
        return work()


def moment(seconds: float) -> datetime:
    """A time of the database's as others know it."""
    return datetime.fromtimestamp(seconds, UTC)
