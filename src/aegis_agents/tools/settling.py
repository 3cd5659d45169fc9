"""After a crash: what was under way is settled by looking at the world."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from aegis_agents.errors import AlreadyDecided, ConnectorError
from aegis_agents.ledger import JournalRow, Settled, Store
from aegis_agents.records import Receipt
from aegis_agents.tools.connectors.protocol import Connector
from aegis_agents.tools.owners import UNDER_WAY, may_take_over

FOUND = "action.found"
"""Ledger entry, written with the intent: it was in effect before Aegis acted, so it is not ours to lift."""
MOST_DETAIL = 2000
"""Characters of a system's words that the journal keeps."""


class Settle(Protocol):
    """Journals an outcome; WritePath's own."""

    def __call__(
        self, row: JournalRow, outcome: Settled, connector: Connector | None, detail: str, *, foreign: bool = False
    ) -> Receipt: ...


def look(connector: Connector, row: JournalRow) -> bool | None:
    """Whether it is in effect; what can't be asked is not known."""
    try:
        return connector.read(row.proposal.action, row.target)
    except ConnectorError:
        return None
    except Exception:  # noqa: BLE001 - a connector's mistake: not known, which every caller treats as doubt
        return None


def storable(detail: str) -> str:
    """A system's words so that any database keeps them: no lone surrogates, and not without end."""
    return detail[:MOST_DETAIL].encode("utf-8", "backslashreplace").decode()


def may_settle(row: JournalRow, stale_after: timedelta) -> bool:
    """Whether nobody is at work on an open intent any more; see `owners`."""
    if UNDER_WAY.given_up(row.owner, row.action_id):
        return True
    return may_take_over(row.owner, datetime.now(UTC) - row.updated_at, stale_after)


def found_before(store: Store, row: JournalRow) -> bool:
    """Whether the intent was written knowing that it was in effect already."""
    entries = store.entries(incident_id=row.incident_id, kind=FOUND)
    return any((entry.body or {}).get("action_id") == row.action_id for entry in entries)


def settle_by_looking(store: Store, connector: Connector | None, row: JournalRow, settle: Settle) -> Receipt | None:
    """Settle one open intent; None where somebody else settled it meanwhile."""
    there = look(connector, row) if connector else None
    outcome, detail = _found(store, row, there)
    try:
        with store.transaction():
            now = store.action(row.action_id)
            if (now.state, now.owner, now.updated_at) != (row.state, row.owner, row.updated_at):
                return None  # settled, or begun anew, while we looked
            foreign = outcome == "executed" and row.state == "intent" and found_before(store, row)
            return settle(row, outcome, connector, detail, foreign=foreign)
    except AlreadyDecided:
        return None


def _found(store: Store, row: JournalRow, there: bool | None) -> tuple[Settled, str]:
    if row.state == "undoing":
        if there is False:
            return store.undo_outcome(row.action_id), "found lifted after a crash"
        return ("executed" if there else "unconfirmed"), "the undo was cut off by a crash"
    if there:
        return "executed", "found in effect after a crash"
    if there is False:
        return "failed", "cut off by a crash before it took effect; not repeated"
    return "unconfirmed", "cut off by a crash, and can't be read back"
