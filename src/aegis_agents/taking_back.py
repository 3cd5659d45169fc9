"""Taking back everything that was done since a time: when what Aegis did can't be trusted any more.

Each action goes through the one write path, as if somebody had taken back just that one: journalled, read back, recorded.
What is held for an earlier incident too stays. What can't be taken back is named, with what to do by hand, and so is what
is approved and not begun. Cut off, or where something failed, the same call goes on with what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

from aegis_agents.answering import Answering
from aegis_agents.errors import ActionError, AlreadyDecided, InputError
from aegis_agents.identity import Token
from aegis_agents.records import CATALOGUE, ActionName, ActionReport
from aegis_agents.records.base import Record

if TYPE_CHECKING:
    from aegis_agents.ledger import JournalRow
    from aegis_agents.ledger.database import Database

UNDO_SINCE: Final = "action.undo_since"
"""Ledger entry: somebody takes back everything since a time; the entries of each action follow."""

BY_HAND: Final[Mapping[ActionName, str]] = MappingProxyType(
    {
        "reset_password": "give the person a new password, and tell them why the old one ended",
        "revoke_sessions": "nothing to do but tell the person: signing in again is enough",
        "kill_process": "start the process again on its host, if it was a rightful one",
        "notify_owner": "tell whoever was told that it does not hold",
    }
)
"""What a person does about what can't be taken back."""


class Left(Record):
    """An action that was not taken back, why, and what to do by hand."""

    action: ActionReport
    why: str
    by_hand: str


class UndoneSince(Record):
    """What `undo_since` did, or would do: each list newest first.

    `undone` ended undone (or were nobody's to lift, see their detail), `left` were not, and want a person.
    """

    since: datetime
    dry_run: bool
    undone: tuple[ActionReport, ...]
    left: tuple[Left, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is left for a person."""
        return not self.left


def undo_since(
    aegis: Answering,
    since: datetime,
    *,
    by_aegis_only: bool = False,
    dry_run: bool = False,
    reason: str = "",
    by: str | None = None,
    token: Token = None,
) -> UndoneSince:
    """Take back what was begun at `since` or later and is in effect, or may be; newest first.

    `by_aegis_only` leaves what a person approved. `dry_run` answers what would be done, and touches nothing. Works
    while the kill switch is engaged. What fails does not keep the others from being taken back. Needs the role operator.
    Raises InputError for a time without zone or in the future, ActionError in shadow, StoreError where the journal can't be
    written: then what was done so far stands, and the same call goes on.
    """
    from aegis_agents.ledger.since import begun_since

    if since.tzinfo is None:
        raise InputError("has no time zone", field="since", fix="as in 2026-11-26T09:00:00+00:00, or 2h")
    if since > datetime.now(UTC):
        raise InputError("lies in the future", field="since", fix="when what is to be taken back began")
    who = aegis._who("operator", by, token)
    rows = begun_since(cast("Database", aegis.store), since)
    chosen = [row for row in rows if not (by_aegis_only and row.principal is not None)]
    if not dry_run:
        aegis._not_in_shadow("taken back")
        ids = [row.action_id for row in chosen]
        said = {"since": since.astimezone(UTC).isoformat(), "actions": ids, "by_aegis_only": by_aegis_only}
        aegis.store.append(UNDO_SINCE, None, said | {"reason": reason, "by": who.shown, "principal": who.entry()})
    undone: list[ActionReport] = []
    left: list[Left] = []
    for row in aegis.store.approved():  # whoever drives it next would do it, after everything else was taken back
        if not (by_aegis_only and row.principal is not None):
            how = "engage the kill switch and run `aegis recover`, which then leaves it undone; else give this command again"
            left.append(_left(row, "it is approved, and may be begun at any moment", how))
    for row in chosen:
        if not CATALOGUE[row.proposal.action].reversible:
            left.append(_left(row, "it can't be taken back"))
        elif row.state in ("intent", "undoing"):
            left.append(
                _left(row, f"it is under way ({row.state})", "run `aegis recover`, then give this command again")
            )
        elif dry_run:
            undone.append(row.report())
        else:
            _take_back(aegis, row, by, token, reason, undone, left)
    return UndoneSince(since=since, dry_run=dry_run, undone=tuple(undone), left=tuple(left))


def _take_back(
    aegis: Answering, row: JournalRow, by: str | None, token: Token, reason: str,
    undone: list[ActionReport], left: list[Left],
) -> None:  # fmt: skip
    try:
        report = aegis.undo(row.action_id, by=by, reason=reason, token=token)
    except AlreadyDecided:
        report = aegis.store.action(row.action_id).report()  # somebody else was quicker
    except ActionError as error:
        left.append(_left(aegis.store.action(row.action_id), str(error)))
        return
    if report.outcome in ("undone", "expired"):
        undone.append(report)
    else:
        left.append(_left(aegis.store.action(row.action_id), report.detail or f"it is {report.outcome}"))


def _left(row: JournalRow, why: str, by_hand: str | None = None) -> Left:
    what = f"{row.proposal.action} on {row.target.kind}:{row.target.value}"
    told = (
        by_hand
        or BY_HAND.get(row.proposal.action)
        or f"lift {what} in the system that did it ({row.connector or 'none'})"
    )
    return Left(action=row.report(), why=why, by_hand=told)
