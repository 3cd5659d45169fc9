"""The action journal: what was decided, answered, begun, done and taken back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from aegis_agents.errors import (
    ActionError,
    AlreadyDecided,
    InputError,
    StoreError,
    TransientConnectorError,
    UnknownAction,
)
from aegis_agents.ledger.database import Row
from aegis_agents.ledger.ids import id_of_key, idempotency_key, record_json
from aegis_agents.ledger.rows import Begun, JournalRow, JournalState, Undoing, check_id
from aegis_agents.ledger.store import Settled
from aegis_agents.ledger.usage import UsageTable
from aegis_agents.records import AEGIS, CATALOGUE, ActionName, Decision, Principal, ProposedAction, Target

_NOTHING_DONE: frozenset[JournalState] = frozenset({"proposed", "refused"})
_SAID: frozenset[JournalState] = _NOTHING_DONE | {"recommended", "would_execute"}
_HIGHEST: Mapping[str, frozenset[JournalState]] = MappingProxyType(
    {
        "refuse": _NOTHING_DONE,
        "recommend": _SAID,
        "ask": _SAID | {"awaiting"},
        "execute": _SAID | {"awaiting", "approved"},
    }
)
"""What a decision may be journalled as: never more than its verb allows."""

_LEADS_TO: Mapping[JournalState, frozenset[Settled]] = MappingProxyType(
    {
        "approved": frozenset({"recommended"}),
        "intent": frozenset({"executed", "failed", "unconfirmed"}),
        "unconfirmed": frozenset({"executed", "failed"}),  # a later look can settle it
        "failed": frozenset({"executed"}),  # so can one that finds it done after all
        "undoing": frozenset({"undone", "expired", "executed", "unconfirmed"}),
    }
)

_COLUMNS = tuple(JournalRow.model_fields)
_OVER = frozenset({"denied", "refused", "recommended", "would_execute", "failed", "undone", "expired"})
_BEGUN = frozenset({"intent", "executed", "failed", "unconfirmed", "undoing", "undone", "expired"})


class JournalTable(UsageTable):
    """The journal's part of the store."""

    def record_decision(
        self, incident_id: str, action: ProposedAction, decision: Decision, state: JournalState
    ) -> JournalRow:
        """Journal what the gate decided; see Store.record_decision."""
        key = _check_decision(incident_id, action, decision, state)
        with self.transaction():
            if there := self._find(action.action_id):
                if there.state != "proposed":
                    return there
            elif self._row("SELECT 1 FROM intake WHERE incident_id = ?", (incident_id,)) is None:
                raise StoreError(f"incident {incident_id} was never taken in: call admit() first")
            now = self._now()
            self._run(
                "INSERT INTO journal (action_id, incident_id, key, action, target_kind, target_value, generation,"
                " effect, tier, groups, proposal, decision, state, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (action_id) DO UPDATE SET"
                " tier = excluded.tier, groups = excluded.groups, proposal = excluded.proposal,"
                " decision = excluded.decision, state = excluded.state, updated_at = excluded.updated_at",
                (
                    action.action_id, incident_id, key, action.action, action.target.kind, action.target.value, action.generation,
                    CATALOGUE[action.action].effect, str(decision.inputs.get("asset.tier", "")),
                    str(decision.inputs.get("asset.groups", "")), record_json(action, "action"), record_json(decision, "decision"),
                    state, now, now,
                ),
            )  # fmt: skip
            body = {"state": state, "proposal": action.model_dump(mode="json"), "decision": decision.model_dump()}
            self._enter("action.decided", incident_id, body)
            at = datetime.fromisoformat(now)
            return JournalRow(
                action_id=action.action_id, incident_id=incident_id, key=key, proposal=action, decision=decision,
                effect=CATALOGUE[action.action].effect, state=state,
                created_at=there.created_at if there else at, updated_at=at,
            )  # fmt: skip

    def answer(self, action_id: str, approve: bool, by: Principal, reason: str = "") -> JournalRow:
        """A person's answer; the first one stands. See Store.answer."""
        state = "approved" if approve else "denied"
        with self.transaction():
            now = self._now()
            won = self._run(
                "UPDATE journal SET state = ?, by = ?, principal = ?, answer = ?, answered_at = ?, updated_at = ?"
                " WHERE action_id = ? AND state = 'awaiting'",
                (state, by.shown, by.id, reason, now, now, action_id),
            )
            row = self.action(action_id)
            if won.rowcount != 1:
                raise AlreadyDecided(_who_and_when(row))
            who = {"by": by.shown, "principal": by.entry()}
            body = {"action_id": action_id, "state": state, "reason": reason} | who
            self._enter("action.answered", row.incident_id, body)
            return row

    def begin(self, action_id: str, owner: str = "") -> Begun:
        """Journal the intent and take the lease; see Store.begin."""
        with self.transaction():
            self._before_an_effect()
            row = self.action(action_id)
            check_id(row)
            if row.state in _BEGUN:
                raise AlreadyDecided(f"{action_id} was begun before: {row.state} at {_at(row.updated_at)}")
            if row.state != "approved":
                raise ActionError(f"{action_id} may not be done: it is {row.state}")
            others = self._others(row)
            if lifting := [other.action_id for other in others if other.state == "undoing"]:
                raise TransientConnectorError(f"{action_id}: {lifting[0]} is just being taken back; try again")
            row = self._move(row, "intent", owner=owner, begun=True)
            self._hold(row, foreign=any(other.foreign for other in others))
            ids = tuple(other.action_id for other in others)
            self._enter("action.begun", row.incident_id, {"action_id": action_id, "held_with": list(ids)})
        states = {other.state for other in others}
        sharing: Literal["executed", "unconfirmed"] | None = None
        if "executed" in states:
            sharing = "executed"
        elif "unconfirmed" in states:
            sharing = "unconfirmed"
        # Under one key a system does it once. What was done long ago may have been taken back there by hand.
        shared = others[0].key if others and others[0].state == "intent" else row.key
        return Begun(row=row, key=shared, others=ids, sharing=sharing)

    def begin_undo(
        self, action_id: str, by: Principal, owner: str = "", outcome: Literal["undone", "expired"] = "undone"
    ) -> Undoing:
        """Journal the intent to take it back; see Store.begin_undo."""
        with self.transaction():
            self._before_an_effect()
            row = self.action(action_id)
            check_id(row)
            if outcome == "expired" and row.expires_at is None:
                raise ActionError(f"{action_id} has no time any more: somebody kept it")
            if row.state in ("undoing", "undone", "expired"):
                at = _at(row.updated_at)
                raise AlreadyDecided(f"{action_id} was taken back before: {row.state} by {row.undo_by} at {at}")
            if row.state not in ("executed", "unconfirmed"):
                raise ActionError(f"{action_id} has nothing to take back: it is {row.state}")
            held = {holder.action_id: holder for holder in self._holders(row.proposal.action, row.target)}
            mine = held.pop(action_id, None)
            others = tuple(held)
            self._run(
                "UPDATE journal SET undo_by = ?, undo_principal = ?, undo_as = ? WHERE action_id = ?",
                (by.shown, by.id, outcome, action_id),
            )
            row = row.model_copy(update={"undo_by": by.shown, "undo_principal": by.id})
            if others:
                detail = f"not lifted: {', '.join(others)} holds it too"
                row = self._move(row, outcome, connector=row.connector, detail=detail)
                self._release(action_id)
            else:
                row = self._move(row, "undoing", owner=owner, connector=row.connector, detail=row.detail)
            who = {"by": by.shown, "principal": by.entry()}
            body = {"action_id": action_id, "state": row.state, "still_held_by": list(others)} | who
            self._enter("action.undoing", row.incident_id, body)
        return Undoing(row=row, key=row.key, others=others, foreign=mine is not None and mine.foreign)

    def settle(
        self, action_id: str, outcome: Settled, connector: str | None, detail: str, *,
        foreign: bool = False, until: datetime | None = None,
    ) -> JournalRow:  # fmt: skip
        """Journal what became of it; see Store.settle."""
        with self.transaction(flush=False):  # a power cut leaves the intent, which is then settled by looking
            row = self.action(action_id)
            if outcome not in _LEADS_TO.get(row.state, frozenset()):
                raise AlreadyDecided(f"{action_id} can't become {outcome}: {row.state} at {_at(row.updated_at)}")
            if outcome in ("failed", "undone", "expired"):
                self._release(action_id)
            elif outcome == "executed" and row.state == "failed":
                self._hold(row, foreign=False)
            if foreign:
                self._mark_foreign(row)
            given_up = row.state == "undoing" and outcome == "unconfirmed" and row.expires_at is not None
            row = self._move(row, outcome, connector=connector, detail=detail)
            body = {"action_id": action_id, "outcome": outcome, "connector": connector, "detail": detail}
            self._enter("action.settled", row.incident_id, body | {"was_there_before": foreign})
            if given_up:
                return self._expire_at(row, None, AEGIS, "whether it was lifted can't be read back: a person looks")
            return row if until is None else self._expire_at(row, until, AEGIS, "")

    @abstractmethod
    def _expire_at(self, row: JournalRow, at: datetime | None, by: Principal, reason: str) -> JournalRow:
        """Write down when it lifts itself; inside a transaction."""

    def _move(
        self, row: JournalRow, state: JournalState, *, owner: str | None = None,
        connector: str | None = None, detail: str = "", begun: bool = False,
    ) -> JournalRow:  # fmt: skip
        """Write the new state, and answer the row as it is then: nobody else writes meanwhile."""
        now = self._now()
        at = datetime.fromisoformat(now)
        moved = row.model_copy(
            update={
                "state": state, "owner": row.owner if owner is None else owner, "connector": connector,
                "detail": detail, "updated_at": at, "begun_at": at if begun else row.begun_at,
            }
        )  # fmt: skip
        self._run(
            "UPDATE journal SET state = ?, owner = ?, connector = ?, detail = ?, updated_at = ?,"
            " begun_at = CASE WHEN ? THEN ? ELSE begun_at END WHERE action_id = ?",
            (state, moved.owner, connector, detail, now, begun, now, row.action_id),
        )
        return moved

    def action(self, action_id: str) -> JournalRow:
        """One row. Raises UnknownAction."""
        if row := self._find(action_id):
            return row
        raise UnknownAction(f"no action has the id {action_id!r}")

    def _find(self, action_id: str) -> JournalRow | None:
        row = self._row("SELECT * FROM journal WHERE action_id = ?", (action_id,))
        return None if row is None else journal_row(row)

    def actions(self, incident_id: str) -> list[JournalRow]:
        """All actions of an incident, in the order they were decided."""
        rows = self._rows("SELECT * FROM journal WHERE incident_id = ? ORDER BY ord", (incident_id,))
        return [journal_row(row) for row in rows]

    def pending(self, limit: int | None = None) -> list[JournalRow]:
        """What waits for a person, oldest first: all of it, or the first `limit`."""
        waiting = "SELECT * FROM journal WHERE state = 'awaiting' ORDER BY ord"
        rows = self._rows(waiting) if limit is None else self._rows(f"{waiting} LIMIT ?", (limit,))
        return [journal_row(row) for row in rows]

    def ready(self) -> list[JournalRow]:
        """What may be done and was not begun, oldest first."""
        return [journal_row(row) for row in self._rows("SELECT * FROM journal WHERE state = 'approved' ORDER BY ord")]

    def approved(self) -> list[JournalRow]:
        """Approved and not begun, oldest first."""
        return [journal_row(row) for row in self._rows("SELECT * FROM journal WHERE state = 'approved' ORDER BY ord")]

    def open_intents(self) -> list[JournalRow]:
        """Rows in `intent` or `undoing`, oldest first."""
        rows = self._rows("SELECT * FROM journal WHERE state IN ('intent', 'undoing') ORDER BY ord")
        return [journal_row(row) for row in rows]

    def undo_outcome(self, action_id: str) -> Literal["undone", "expired"]:
        """What an undo under way is to end as."""
        row = self._row("SELECT undo_as FROM journal WHERE action_id = ?", (action_id,))
        return "expired" if row is not None and row["undo_as"] == "expired" else "undone"

    def next_generation(self, incident_id: str, action: ActionName, target: Target) -> int:
        """The generation for doing it again; see Store.next_generation."""
        last = self._row(
            "SELECT generation, state FROM journal WHERE incident_id = ? AND action = ? AND target_kind = ?"
            " AND target_value = ? ORDER BY generation DESC LIMIT 1",
            (incident_id, action, target.kind, target.value),
        )
        if last is None:
            return 0
        return int(last["generation"]) + (last["state"] in _OVER)


def _check_decision(incident_id: str, action: ProposedAction, decision: Decision, state: JournalState) -> str:
    """The idempotency key, if what was given fits together."""
    key = idempotency_key(incident_id, action.action, action.target, action.generation)
    if action.action_id != id_of_key(key):
        raise InputError(
            f"{action.action_id!r} is not the id of this action", field="action_id", fix="use ledger.ids.action_id()"
        )
    if decision.action_id != action.action_id:
        raise InputError(f"is about {decision.action_id!r}, not {action.action_id!r}", field="decision.action_id")
    if state not in _HIGHEST[decision.verb]:
        raise InputError(
            f"{state!r} is more than the decision {decision.verb!r} allows", field="state",
            fix=f"one of {', '.join(sorted(_HIGHEST[decision.verb]))}",
        )  # fmt: skip
    return key


def _who_and_when(row: JournalRow) -> str:
    if row.by is not None and row.answered_at is not None:
        verb = "denied" if row.state == "denied" else "approved"
        return f"{row.action_id} was {verb} by {row.by} at {_at(row.answered_at)}"
    return f"{row.action_id} is not waiting for an answer: {row.state} by {row.decision.rule} at {_at(row.updated_at)}"


def _at(when: datetime) -> str:
    return when.isoformat(timespec="seconds")


def journal_row(row: Row) -> JournalRow:
    """The record of a row of the table."""
    fields = {name: row[name] for name in _COLUMNS}
    fields["proposal"] = ProposedAction.model_validate_json(row["proposal"])
    fields["decision"] = Decision.model_validate_json(row["decision"])
    return JournalRow(**fields)
