"""Leases: several incidents can hold the same effect on the same target together.

Only what can be taken back is held: a block is a state that two incidents share, while ending an
account's sessions is an event that a second incident needs again.
"""

from __future__ import annotations

from typing import NamedTuple

from aegis_agents.ledger.intake import IntakeTable
from aegis_agents.ledger.rows import JournalRow
from aegis_agents.records import CATALOGUE, ActionName, Target


class Holder(NamedTuple):
    """An action that holds the effect, and how far it is."""

    action_id: str
    key: str
    state: str
    foreign: bool


class LeaseTable(IntakeTable):
    """The leases' part of the store. Its private methods run inside the journal's transactions."""

    def holders(self, action: ActionName, target: Target) -> list[str]:
        """Ids of the actions that hold this action on this target, the first holder first."""
        return [holder.action_id for holder in self._holders(action, target)]

    def _holders(self, action: ActionName, target: Target) -> list[Holder]:
        rows = self._rows(
            "SELECT l.action_id, j.key, j.state, l.foreign_made FROM leases l "
            "JOIN journal j ON j.action_id = l.action_id "
            "WHERE l.action = ? AND l.target_kind = ? AND l.target_value = ? ORDER BY l.ord",
            (action, target.kind, target.value),
        )
        return [Holder(row[0], row[1], row[2], bool(row[3])) for row in rows]

    def _others(self, row: JournalRow) -> list[Holder]:
        held = self._holders(row.proposal.action, row.target)
        return [holder for holder in held if holder.action_id != row.action_id]

    def _hold(self, row: JournalRow, *, foreign: bool) -> None:
        if CATALOGUE[row.proposal.action].reversible:
            self._run(
                "INSERT INTO leases (action, target_kind, target_value, action_id, foreign_made, held_at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (row.proposal.action, row.target.kind, row.target.value, row.action_id, int(foreign), self._now()),
            )

    def _mark_foreign(self, row: JournalRow) -> None:
        """All who hold it hold what was there before: none of them may lift it."""
        self._run(
            "UPDATE leases SET foreign_made = 1 WHERE action = ? AND target_kind = ? AND target_value = ?",
            (row.proposal.action, row.target.kind, row.target.value),
        )

    def _release(self, action_id: str) -> None:
        self._run("DELETE FROM leases WHERE action_id = ?", (action_id,))
