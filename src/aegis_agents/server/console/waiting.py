"""What waits, in its order, without reading all of it: a page shows 25 actions, and thousands may wait."""

from __future__ import annotations

import hashlib
from typing import Final, Literal, NamedTuple

from pydantic_core import from_json

from aegis_agents.agents.journal_view import ENDORSED
from aegis_agents.ledger.database import Database

Order = Literal["urgent", "oldest"]
_SEVERITY: Final = {"critical": 0, "high": 1, "medium": 2, "low": 3, "informational": 4}


class Waiting(NamedTuple):
    """An action that waits: where it stands in the list, and its id."""

    severity: int
    since: str
    incident_id: str
    at: int
    action_id: str


def read_waiting(database: Database, order: Order) -> list[str]:
    """Ids of what waits, those of one incident together: the most urgent incident first, or the one that waits longest."""
    rows = database._rows(
        "SELECT ord, action_id, incident_id, created_at, decision FROM journal WHERE state = 'awaiting' ORDER BY ord"
    )
    first: dict[str, tuple[int, str]] = {}
    for row in rows:
        if row["incident_id"] not in first:  # the severity is the incident's, so its first action says it
            first[row["incident_id"]] = (_severity(row["decision"]) if order == "urgent" else 0, row["created_at"])
    return [
        one.action_id
        for one in sorted(
            Waiting(*first[row["incident_id"]], row["incident_id"], row["ord"], row["action_id"]) for row in rows
        )
    ]


def _severity(decision: str) -> int:
    return _SEVERITY.get(str(from_json(decision)["inputs"].get("severity")), 2)


def state_of(database: Database, salt: str) -> str:
    """A digest that changes when what waits does, or somebody says yes; it tells nothing else."""
    waiting = database._row("SELECT count(*), max(ord), max(updated_at) FROM journal WHERE state = 'awaiting'")
    said = database._row("SELECT max(seq) FROM ledger_entries WHERE kind = ?", (ENDORSED,))
    return hashlib.sha256(repr([*(waiting or ()), *(said or ()), salt]).encode()).hexdigest()[:16]
