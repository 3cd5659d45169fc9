"""The queue of incidents, newest first: what a list of cases shows, page by page.

A page goes on after a (time, id) pair and not after a number of rows: incidents that come in meanwhile shift
nothing, and the thousandth page costs what the first does, however many incidents there are, or actions that wait.
One that is for what waits costs what waits, up to `_FEW`; where more does, it is found on the way through the newest.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any, Literal

from pydantic_core import from_json

from aegis_agents.errors import InputError
from aegis_agents.ledger.database import Database, Row
from aegis_agents.ledger.journal import journal_row
from aegis_agents.ledger.retention import RetentionTable
from aegis_agents.ledger.rows import JournalRow
from aegis_agents.records import VERDICTS, Severity, Verdict
from aegis_agents.records.base import Record

QueueState = Literal["waiting", "open", "decided"]
"""waiting: an action waits for a person; open: not decided yet; decided: there is a case."""

MOST_ROWS = 500
_FEW = 10_000
"""Up to so many waiting actions, the incidents that they are of are looked up; beyond, the queue is walked for them."""

_EACH = "(SELECT count(*) FROM journal w WHERE w.incident_id = i.incident_id AND w.state = 'awaiting')"
"""How many wait of one incident: looked up for those of the page alone."""
_ALL = "(SELECT incident_id, count(*) AS n FROM journal WHERE state = 'awaiting' GROUP BY incident_id) w CROSS JOIN "
"""Those that wait come first: SQLite takes tables of a CROSS JOIN in this order, and PostgreSQL does by their size."""


class QueueRow(Record):
    """One incident of the queue; without a case yet, its verdict, confidence and severity are None."""

    incident_id: str
    title: str
    source: str
    verdict: Verdict | None
    confidence: float | None
    severity: Severity | None
    at: datetime
    waiting: int
    """How many of its actions wait for a person."""


class QueuePage(Record):
    """A page of the queue, and what to ask for the next one with; None at the end."""

    items: tuple[QueueRow, ...]
    next: str | None


class QueueTable(RetentionTable):
    """The queue's part of the store."""

    def queue(
        self,
        *,
        limit: int = 50,
        after: str | None = None,
        verdict: Verdict | None = None,
        state: QueueState | None = None,
    ) -> QueuePage:
        """A page of the queue; see Store.queue."""
        return read_queue(self, limit=limit, after=after, verdict=verdict, state=state)


def read_queue(
    store: Database,
    *,
    limit: int = 50,
    after: str | None = None,
    verdict: Verdict | None = None,
    state: QueueState | None = None,
) -> QueuePage:
    """A page of the queue, newest first: at most `limit` incidents after the cursor `after` of the last page.

    `verdict` keeps incidents of that verdict, `state` see QueueState. Raises InputError.
    """
    if not 1 <= limit <= MOST_ROWS:
        raise InputError(f"is {limit}", field="limit", fix=f"ask for 1 to {MOST_ROWS}")
    where: list[str] = []
    values: list[Any] = []
    if after is not None:
        at, incident_id = _read_cursor(after)
        where.append("(i.at, i.incident_id) < (?, ?)")
        values += [at, incident_id]
    if verdict is not None:
        if verdict not in VERDICTS:
            raise InputError(f"{verdict!r} is no verdict", field="verdict", fix=f"one of {', '.join(VERDICTS)}")
        where.append("i.verdict = ?")
        values.append(verdict)
    waiting, first = _EACH, ""
    if state == "waiting":
        if count_waiting(store, most=_FEW + 1) > _FEW:
            where.append(f"{_EACH} > 0")
        else:
            waiting, first = "w.n", _ALL
            where.append("i.incident_id = w.incident_id")
    elif state is not None:
        where.append(f"i.finished_at IS {'NULL' if state == 'open' else 'NOT NULL'}")
    rows = store._rows(
        f"SELECT i.incident_id AS incident_id, i.at AS at, i.case_json AS case_json,"  # noqa: S608 - words of ours
        f" CASE WHEN i.case_json IS NULL THEN i.incident END AS incident, {waiting} AS waiting FROM {first}intake i"
        f"{' WHERE ' + ' AND '.join(where) if where else ''} ORDER BY i.at DESC, i.incident_id DESC LIMIT ?",
        [*values, limit + 1],
    )
    more = len(rows) > limit
    shown = rows[:limit]
    return QueuePage(items=tuple(map(_queue_row, shown)), next=_cursor(shown[-1]) if more else None)


def count_waiting(store: Database, *, most: int | None = None) -> int:
    """How many actions wait for a person, counted up to `most` if given; none of them is read."""
    if most is None:
        return int(store._rows("SELECT count(*) FROM journal WHERE state = 'awaiting'")[0][0])
    some = "SELECT 1 AS one FROM journal WHERE state = 'awaiting' LIMIT ?"
    return int(store._rows(f"SELECT count(*) FROM ({some}) w", (most,))[0][0])  # noqa: S608 - words of ours


def read_waiting(store: Database, *, limit: int) -> list[JournalRow]:
    """The first actions that wait for a person, oldest first."""
    rows = store._rows("SELECT * FROM journal WHERE state = 'awaiting' ORDER BY ord LIMIT ?", (limit,))
    return [journal_row(row) for row in rows]


def _queue_row(row: Row) -> QueueRow:
    found = from_json(row["case_json"] or row["incident"])  # an incident has source and title too
    decided = row["case_json"] is not None
    return QueueRow(
        incident_id=row["incident_id"], title=found["title"], source=found["source"],
        verdict=found["verdict"] if decided else None, confidence=found["confidence"] if decided else None,
        severity=found["severity"] if decided else None, at=datetime.fromisoformat(row["at"]),
        waiting=int(row["waiting"]),
    )  # fmt: skip


def _cursor(row: Row) -> str:
    return base64.urlsafe_b64encode(f"{row['at']}\n{row['incident_id']}".encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[str, str]:
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
        at, incident_id = decoded.split("\n")
        datetime.fromisoformat(at)
    except (binascii.Error, ValueError) as error:
        fix = "give `next` of the page before, unchanged"
        raise InputError("is no cursor of this queue", field="cursor", fix=fix) from error
    return at, incident_id
