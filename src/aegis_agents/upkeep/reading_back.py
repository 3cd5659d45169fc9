"""After a restoration: what the journal says is compared with what the systems say, and nothing is done.

The journal is as old as the backup. Each row is brought to what is seen now, or handed to a person, with its reason:

in effect by the journal, and not seen any more   taken back since: undone
approved or under way, and seen                   done since: executed, so that it can be taken back
approved, and not seen or not readable            a person decides again: recommended
lifting itself soon                               put off, since somebody may have kept it since
waiting for an answer, and seen                   somebody may have answered since: told
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from aegis_agents.errors import ActionError
from aegis_agents.records import AEGIS, CATALOGUE, ActionReport
from aegis_agents.records.base import Record
from aegis_agents.tools.lifetimes import Lifetimes
from aegis_agents.tools.owners import this_process
from aegis_agents.tools.settling import look as look_at

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis
    from aegis_agents.ledger import JournalRow

RESTORED = "ledger.restored"
"""Ledger entry: it goes on from an older state; what was entered between that and now is not there."""
READ_BACK = "ledger.read_back"
"""Ledger entry: what is in effect was compared with what the restored journal says; the restoration is over."""

Seen = Literal["in effect", "not in effect", "not known"]


class Item(Record):
    """An action that a person should know of: how it stands now, what was seen of it, and what that means."""

    action: ActionReport
    seen: Seen
    what: str


class ReadBack(Record):
    """What was looked at, and what of it a person should know."""

    looked_at: int
    items: tuple[Item, ...]


def read_back(aegis: Aegis, *, look: bool = True) -> ReadBack:
    """Bring the restored journal to what the systems say; see the module. Nothing is done in any system.

    Without `look` nothing is asked, and everything that can't be known so is handed to a person. Once more does no harm.
    """
    store, path = aegis.store, aegis._write_path
    items: list[Item] = []
    looked = 0

    def seen(row: JournalRow) -> Seen:
        nonlocal looked
        connector = path._connector_of(row) if look else None
        looked += connector is not None
        there = look_at(connector, row) if connector is not None else None
        return "not known" if there is None else "in effect" if there else "not in effect"

    def tell(row: JournalRow, how: Seen, what: str) -> None:
        items.append(Item(action=store.action(row.action_id).report(), seen=how, what=what))

    for receipt in path.settle_open(timedelta(0)):
        row = store.action(receipt.action_id)
        tell(row, "not known" if row.state == "unconfirmed" else seen(row), f"was under way then; {receipt.detail}")
    for row in store.approved():
        _settle_approved(aegis, row, how := seen(row))
        done = how == "in effect"
        tell(
            row,
            how,
            "was approved then, and is in effect now: done since" if done else "was approved then: decide again",
        )
    for row in _in_effect(aegis):
        if (how := seen(row)) == "not in effect":
            _note_lifted(aegis, row)
            tell(row, how, "was in effect then, and is not any more: taken back since, or by somebody else")
    _put_off(aegis, items)
    for row in store.pending():
        if CATALOGUE[row.proposal.action].reversible and (how := seen(row)) == "in effect":
            tell(row, how, "waits for an answer, and is in effect: answered since, or done by somebody else")
    for incident_id in store.outdated_cases():
        aegis._refresh(incident_id)
    return ReadBack(looked_at=looked, items=tuple(items))


def _in_effect(aegis: Aegis) -> list[JournalRow]:
    from aegis_agents.ledger.since import begun_since

    rows = begun_since(aegis.store, datetime.min.replace(tzinfo=UTC))  # type: ignore[arg-type]  # ours: it was just restored
    return [row for row in rows if row.state == "executed" and CATALOGUE[row.proposal.action].reversible]


def _settle_approved(aegis: Aegis, row: JournalRow, how: Seen) -> None:
    store = aegis.store
    if how != "in effect":
        why = "restored from a backup: it may have been done since; not done by itself"
        store.settle(row.action_id, "recommended", None, f"{why} ({how})")
        return
    with store.transaction():
        begun = store.begin(row.action_id, owner=this_process()).row
        lasts = Lifetimes.load(aegis.settings.lifetimes, aegis.settings.undo_window).of(begun)
        store.settle(
            row.action_id, "executed", row.connector, "found in effect after a restoration: done since the backup",
            until=datetime.now(UTC) + lasts if lasts else None,
        )  # fmt: skip


def _note_lifted(aegis: Aegis, row: JournalRow) -> None:
    store = aegis.store
    try:
        with store.transaction():
            undoing = store.begin_undo(row.action_id, AEGIS, owner=this_process())
            if undoing.row.state == "undoing":
                detail = "found not in effect after a restoration; nothing was lifted"
                store.settle(row.action_id, "undone", row.connector, detail)
    except ActionError:
        return  # somebody has taken it back meanwhile


def _put_off(aegis: Aegis, items: list[Item]) -> None:
    """What would lift itself before a person has looked."""
    until = datetime.now(UTC) + timedelta(hours=aegis.settings.undo_window)
    for row in aegis.store.due(until):
        aegis.store.set_expiry(row.action_id, until, AEGIS, "put off by a restoration: somebody may have kept it since")
        what = f"would lift itself: put off to {until:%Y-%m-%d %H:%M} UTC (aegis keep, or aegis undo)"
        items.append(Item(action=aegis.store.action(row.action_id).report(), seen="not known", what=what))
