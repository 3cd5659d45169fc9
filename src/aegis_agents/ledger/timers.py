"""Timers: what lifts itself when its time has come. They are rows, so no restart loses one."""

from __future__ import annotations

from datetime import UTC, datetime

from aegis_agents.errors import ActionError, InputError
from aegis_agents.ledger.journal import JournalTable, journal_row
from aegis_agents.ledger.rows import JournalRow
from aegis_agents.ledger.schema import LIVE
from aegis_agents.records import Principal


class TimerTable(JournalTable):
    """The timers' part of the store."""

    def set_expiry(self, action_id: str, at: datetime | None, by: Principal, reason: str = "") -> JournalRow:
        """When an action that is in effect lifts itself; None keeps it until somebody undoes it. See Store."""
        with self.transaction():
            row = self.action(action_id)
            if row.state not in ("executed", "unconfirmed"):
                raise ActionError(f"{action_id} is not in effect: it is {row.state}")
            return self._expire_at(row, at, by, reason)

    def _expire_at(self, row: JournalRow, at: datetime | None, by: Principal, reason: str) -> JournalRow:
        if at is not None and at.tzinfo is None:
            raise InputError("has no time zone", field="at", fix="use datetime.now(UTC) + timedelta(...)")
        try:
            until = None if at is None else at.astimezone(UTC)
        except OverflowError:
            raise InputError(f"{at} is no moment of UTC", field="at") from None
        text = None if until is None else until.isoformat(timespec="microseconds")
        self._run("UPDATE journal SET expires_at = ? WHERE action_id = ?", (text, row.action_id))
        body = {"action_id": row.action_id, "expires_at": text, "reason": reason, "principal": by.entry()}
        self._enter("action.expiry", row.incident_id, body)
        return row.model_copy(update={"expires_at": until})

    def due(self, now: datetime) -> list[JournalRow]:
        """What is in effect, or may be, and past its time, the longest overdue first."""
        rows = self._rows(
            f"SELECT * FROM journal WHERE {LIVE} AND expires_at <= ? ORDER BY expires_at, ord",  # noqa: S608 - ours
            (now.astimezone(UTC).isoformat(timespec="microseconds"),),
        )
        return [journal_row(row) for row in rows]

    def timers(self) -> list[JournalRow]:
        """What is in effect, or may be, and will lift itself, the next first."""
        rows = self._rows(
            # Later than the empty text: not NULL, in words that an index is read by.
            f"SELECT * FROM journal WHERE {LIVE} AND expires_at > '' ORDER BY expires_at, ord"  # noqa: S608 - ours
        )
        return [journal_row(row) for row in rows]
