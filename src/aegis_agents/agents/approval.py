"""Approval: may it be done? Every proposal, closing included, passes the gate; nothing else leaves the graph.

The decisions are made in one node. Waiting for a person happens elsewhere (see
`aegis_agents.agents.waiting`), since LangGraph reruns a node from its top on resume.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from langgraph.runtime import Runtime
from langgraph.types import Send

from aegis_agents.agents.journal_view import charged, gate_usage
from aegis_agents.context import Context
from aegis_agents.gate import GateRequest, Usage
from aegis_agents.ledger import JournalState
from aegis_agents.records import Decision, ProposedAction
from aegis_agents.state import ActionState, IncidentState

_STATES: dict[str, JournalState] = {
    "execute": "approved",
    "ask": "awaiting",
    "recommend": "recommended",
    "refuse": "refused",
}
# In shadow nothing may be left behind that a later approval would carry out.
_SHADOW: dict[str, JournalState] = _STATES | {"execute": "would_execute", "ask": "recommended"}
BUDGET_WINDOW = timedelta(hours=1)


def usage_now(context: Context) -> Usage:
    """What budgets have used up by now."""
    return gate_usage(context, datetime.now(UTC) - BUDGET_WINDOW)


def decide(
    state: IncidentState,
    context: Context,
    proposal: ProposedAction,
    usage: Usage,
    *,
    approved_by: tuple[str, ...] = (),
) -> Decision:
    """The gate's decision on one proposal, as things stand now."""
    incident = state["incident"]
    request = GateRequest(
        incident=incident,
        assessment=state["assessment"],
        conclusion=state["conclusion"],
        action=proposal,
        now=datetime.now(UTC),
        versions=context.versions,
        usage=usage,
        reassess=lambda masked: context.model.assess(incident, masked=masked),
        approved_by=approved_by,
    )
    return context.gate.decide(request)


def approval(state: IncidentState, runtime: Runtime[Context]) -> dict[str, Any]:
    """Adds `decisions`, and journals each before anything is done about it."""
    context, incident = runtime.context, state["incident"]
    decisions: list[Decision] = []
    usage = usage_now(context)
    for proposal in state["proposals"]:
        decision = decide(state, context, proposal, usage)
        if decision.verb == "execute":
            usage = charged(usage, proposal, decision)  # it counts against the budget of the next
        decisions.append(decision)
    states = _SHADOW if context.mode == "shadow" else _STATES
    with context.store.transaction():
        for proposal, decision in zip(state["proposals"], decisions, strict=True):
            context.store.record_decision(incident.id, proposal, decision, states[decision.verb])
    return {"decisions": tuple(decisions)}


def route_actions(state: IncidentState, runtime: Runtime[Context]) -> list[Send] | str:
    """Each action that may run, or waits for a person, gets a subgraph of its own, so none holds back another."""
    if runtime.context.mode == "shadow":
        return "__end__"
    proposals = {p.action_id: p for p in state["proposals"]}
    open_ones = [d for d in state["decisions"] if d.verb in ("execute", "ask")]
    sends = [
        Send(
            "act",
            cast(dict[str, Any], ActionState(incident=state["incident"], proposal=proposals[d.action_id], decision=d)),
        )
        for d in open_ones
    ]
    return sends or "__end__"
