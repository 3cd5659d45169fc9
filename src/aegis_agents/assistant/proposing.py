"""A person's wish for an action: tried dry before the gate, and put before it when the person says so.

A wish is an action like any other to gate, journal and ledger, with the reason "asked for by NAME". It never runs at
once, whatever the autonomy: the decision that is journalled has one step more, which asks a person. That step also
keeps wishes out of what earns autonomy: what somebody chose shows nothing of what Aegis would have chosen.
"""

from __future__ import annotations

from typing import Final

from aegis_agents.agents.approval import decide, usage_now
from aegis_agents.agents.rebuild import rebuild_state
from aegis_agents.context import Context
from aegis_agents.errors import InputError
from aegis_agents.ledger import JournalRow, JournalState
from aegis_agents.ledger.ids import action_id
from aegis_agents.records import (
    CATALOGUE,
    ActionName,
    Decision,
    EntityKind,
    Incident,
    Principal,
    ProposedAction,
    Target,
)

ASKED: Final = "action.asked"
"""Ledger entry: a person asked for an action, and what the gate said to it."""
WAITS: Final = "people.wish_waits"
"""The rule of the step that keeps a wish from running at once."""
MOST_REASON: Final = 500
_STATES: Final[dict[str, JournalState]] = {"ask": "awaiting", "recommend": "recommended", "refuse": "refused"}
_LIVE: Final = frozenset({"awaiting", "approved", "intent", "executed", "unconfirmed", "undoing"})


def check_wish(incident: Incident, action: str, kind: str, value: str) -> tuple[ActionName, Target]:
    """The action and its target, if the catalogue has the one and the incident itself names the other. Raises InputError."""
    spec = CATALOGUE.get(action)  # type: ignore[call-overload]  # any word may be asked for
    if spec is None:
        raise InputError(f"{action[:80]!r} is no action", field="action", fix=f"one of {', '.join(CATALOGUE)}")
    target = next(
        (Target(kind=e.kind, value=e.value) for e in incident.entities if (e.kind, e.value) == (kind, value)), None
    )
    if target is None:
        shown = f"{kind[:40]} {value[:80]}"
        raise InputError(
            f"{shown!r} is no entity of {incident.id}", field="target", fix="choose one that the incident names"
        )
    if target.kind not in spec.targets:
        raise InputError(
            f"{spec.name} takes no {target.kind}", field="target", fix=f"one of kind {', '.join(spec.targets)}"
        )
    return spec.name, target


def check_mode(context: Context, incident_id: str) -> None:
    """A shadow run's incident is never acted on live, nor a live one from a shadow. Raises InputError."""
    if ("-shadow-" in incident_id) != (context.mode == "shadow"):
        of, fix = ("live", "a live Aegis") if context.mode == "shadow" else ("a shadow run's", "its live incident")
        raise InputError(f"is {of}", field="incident_id", fix=f"propose it of {fix}")


def dry_decision(context: Context, incident_id: str, action: ActionName, target: Target) -> Decision:
    """What the gate says now; nothing is written. Raises InputError if the incident is not known, or of another mode."""
    check_mode(context, incident_id)
    state = rebuild_state(context.store, context, incident_id)
    return decide(
        state, context, _proposal(context, state["incident"], action, target, "asked about"), usage_now(context)
    )


def propose(
    context: Context,
    incident_id: str,
    action: str,
    kind: EntityKind | str,
    value: str,
    who: Principal,
    reason: str = "",
) -> JournalRow:
    """Put a person's wish before the gate; what it allows waits for an approver. Nothing is done here.

    The row that is there is answered where the same is waiting or in effect already. In shadow it is recommended at
    most. Raises InputError for an unknown incident, action or target, one that is no entity of the incident, and for a
    shadow run's incident where this is live (or the other way). Who may ask is for the caller to check.
    """
    if len(reason) > MOST_REASON:
        raise InputError(f"has {len(reason)} characters", field="reason", fix=f"at most {MOST_REASON}")
    check_mode(context, incident_id)
    state = rebuild_state(context.store, context, incident_id)
    incident = state["incident"]
    name, target = check_wish(incident, action, kind, value)
    while True:
        proposal = _proposal(context, incident, name, target, f"asked for by {who.shown}")
        decision = as_wish(decide(state, context, proposal, usage_now(context)), who)
        journalled = _STATES[decision.verb]
        if context.mode == "shadow" and journalled == "awaiting":
            journalled = "recommended"
        with context.store.transaction():
            if (there := live_row(context.store.actions(incident_id), name, target)) is not None:
                return there  # meanwhile, or before
            if context.store.next_generation(incident_id, name, target) != proposal.generation:
                continue  # somebody else's wish for it came and went meanwhile
            row = context.store.record_decision(incident_id, proposal, decision, journalled)
            said = {"action_id": row.action_id, "by": who.shown, "reason": reason, "state": row.state}
            context.store.append(ASKED, incident_id, said | {"principal": who.entry()})
            return row


def as_wish(decision: Decision, who: Principal) -> Decision:
    """The decision with the step that a wish adds: it asks a person, so that nothing runs at once."""
    inputs = {**decision.inputs, "wish": "ask", "wish.rule": WAITS, "wish.by": who.id}
    if decision.verb != "execute":
        return decision.model_copy(update={"inputs": inputs})
    reason = f"the gate has nothing against it ({decision.rule}); what a person asks for waits for an approver"
    return decision.model_copy(update={"verb": "ask", "rule": WAITS, "reason": reason, "inputs": inputs})


def live_row(rows: list[JournalRow], action: ActionName, target: Target) -> JournalRow | None:
    """The row of the same action and target that waits or is in effect, if there is one."""
    return next((r for r in rows if r.proposal.action == action and r.target == target and r.state in _LIVE), None)


def _proposal(context: Context, incident: Incident, action: ActionName, target: Target, reason: str) -> ProposedAction:
    generation = context.store.next_generation(incident.id, action, target)
    facts = next((e.facts for e in incident.entities if (e.kind, e.value) == (target.kind, target.value)), ())
    cites = facts or tuple(f.id for f in incident.facts[:1])
    return ProposedAction(
        action_id=action_id(incident.id, action, target, generation), action=action, target=target, reason=reason,
        cites=cites[:3], generation=generation,
    )  # fmt: skip
