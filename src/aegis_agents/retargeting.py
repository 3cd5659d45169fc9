"""The same action on another entity of the incident: a person's correction of what waits for an answer.

The gate decides on the corrected action as on any other, and whatever it says, the action waits: to correct is
not yet to approve. The old one is denied by the same person in the same transaction, so that never both are open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aegis_agents.errors import ActionError, AlreadyDecided, InputError
from aegis_agents.ledger.ids import action_id as derive_action_id
from aegis_agents.records import CATALOGUE, Principal, Target

if TYPE_CHECKING:
    from aegis_agents.context import Context
    from aegis_agents.ledger import IntakeRow, JournalRow

RETARGETED = "action.retargeted"
"""Ledger entry: who put which action in the place of which."""
_LIVE = frozenset({"proposed", "awaiting", "approved", "intent", "executed", "unconfirmed", "undoing"})


def retarget(
    graph: Any, context: Context, action_id: str, kind: str, value: str, who: Principal, reason: str = ""
) -> JournalRow:
    """Let the action of a waiting row aim at another entity of its incident; answers the new row, which waits.

    Raises UnknownAction, AlreadyDecided if it does not wait any more, InputError for a target that is no entity of
    the incident or of a kind that the action does not take, ActionError where the gate would not let a person
    approve it, or where that very action was decided before. After an error everything is as it was.
    """
    from aegis_agents.agents.again import decide_again
    from aegis_agents.assistant.proposing import as_wish

    store = context.store
    row = store.action(action_id)
    target, facts = _target(store.intake(row.incident_id), row, kind, value)
    generation = store.next_generation(row.incident_id, row.proposal.action, target)
    key = derive_action_id(row.incident_id, row.proposal.action, target, generation)
    proposal = row.proposal.model_copy(
        update={
            "action_id": key, "target": target, "generation": generation,
            "reason": f"{row.proposal.reason}; aimed here by {who.shown} instead of {action_id}",
            "cites": tuple(dict.fromkeys((*row.proposal.cites, *facts[:3]))),
        }
    )  # fmt: skip
    asked = row.model_copy(update={"action_id": proposal.action_id, "proposal": proposal, "principal": None})
    decision = as_wish(decide_again(graph, context, asked, None), who)
    if decision.verb not in ("ask", "execute"):
        raise ActionError(
            f"{row.proposal.action} on {kind}:{value} may not be done: {decision.rule}: {decision.reason}"
        )
    with store.transaction():
        there = next((r for r in store.actions(row.incident_id) if r.action_id == proposal.action_id), None)
        if there is not None and there.state in _LIVE:
            raise AlreadyDecided(f"that is {there.action_id} already: {there.state}")
        store.answer(action_id, False, who, f"in its place {proposal.action_id}: {reason}".removesuffix(": "))
        new = store.record_decision(row.incident_id, proposal, decision, "awaiting")
        if new.state != "awaiting":  # it came and went since the generation was looked up
            raise AlreadyDecided(f"{new.action_id} was decided meanwhile: it is {new.state}; ask again")
        body = {
            "action_id": new.action_id,
            "instead_of": action_id,
            "target": new.target.model_dump(),
            "reason": reason,
        }
        store.append(RETARGETED, row.incident_id, body | {"principal": who.entry()})
    return new


def _target(intake: IntakeRow | None, row: JournalRow, kind: str, value: str) -> tuple[Target, tuple[str, ...]]:
    """The other target, and the facts that name it."""
    if row.state != "awaiting" or intake is None:
        raise AlreadyDecided(f"{row.action_id} does not wait for an answer any more: it is {row.state}")
    takes = CATALOGUE[row.proposal.action].targets
    if kind not in takes:
        fix = f"one of {', '.join(takes)}"
        raise InputError(f"{row.proposal.action} takes no target of the kind {kind!r}", field="kind", fix=fix)
    entity = next((e for e in intake.incident.entities if e.kind == kind and e.value == value), None)
    if entity is None:
        raise InputError("is no entity of this incident", field="value", fix="choose one that the incident names")
    target = Target(kind=entity.kind, value=entity.value)
    if target == row.target:
        raise InputError("is what it aims at already", field="value", fix="approve or deny it")
    return target, entity.facts
