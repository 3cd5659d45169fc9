"""What was done since a time, the newest first: what taking it all back goes through."""

from __future__ import annotations

from datetime import UTC, datetime

from aegis_agents.ledger.database import Database
from aegis_agents.ledger.journal import journal_row
from aegis_agents.ledger.rows import JournalRow


def begun_since(store: Database, since: datetime) -> list[JournalRow]:
    """Actions begun at `since` (with time zone) or later that are in effect, may be, or are under way; newest first."""
    rows = store._rows(
        "SELECT * FROM journal WHERE begun_at >= ? AND state IN ('executed', 'unconfirmed', 'intent', 'undoing')"
        " ORDER BY begun_at DESC, ord DESC",
        (since.astimezone(UTC).isoformat(timespec="microseconds"),),
    )
    return [journal_row(row) for row in rows]
