"""Approval: may it be done? Every proposal, closing included, passes the gate; nothing else leaves the graph.

The decisions are made in one node. Waiting for a person happens elsewhere (see
`aegis_agents.agents.waiting`), since LangGraph reruns a node from its top on resume.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from langgraph.runtime import Runtime
from langgraph.types import Send

from aegis_agents.agents.journal_view import charged, gate_usage
from aegis_agents.context import Context
from aegis_agents.gate import GateRequest, Usage
from aegis_agents.gate.caution import Caution, FellBack
from aegis_agents.gate.earned.cells import EarnedAutonomy
from aegis_agents.gate.request import class_of
from aegis_agents.ledger import JournalState
from aegis_agents.model.reask import Reask
from aegis_agents.records import CATALOGUE, Decision, ProposedAction
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


def earned_now(context: Context) -> EarnedAutonomy:
    """What reviewed decisions have unlocked by now."""
    return context.earned(datetime.now(UTC))


def caution_now(context: Context) -> Caution:
    """What has fallen back by now."""
    return context.caution(datetime.now(UTC))


def _moment(context: Context) -> tuple[Usage, EarnedAutonomy, Caution]:
    """What may be different a moment later: somebody else acts too, and trust is lost at the first error."""
    return usage_now(context), earned_now(context), caution_now(context)


def decide(
    state: IncidentState,
    context: Context,
    proposal: ProposedAction,
    usage: Usage,
    *,
    approved_by: tuple[str, ...] = (),
    earned: EarnedAutonomy | None = None,
    caution: Caution | None = None,
    left: float = 1.0,
    reask: Reask | None = None,
) -> Decision:
    """The gate's decision on one proposal, as things stand now.

    `earned` and `caution` None ask what reviews have unlocked and what fell back; `left` is the share of the attack
    that earlier actions leave; `reask` keeps what the model said without some facts, for all the incident's proposals.
    """
    incident = state["incident"]
    request = GateRequest(
        incident=incident,
        assessment=state["assessment"],
        conclusion=state["conclusion"],
        action=proposal,
        now=datetime.now(UTC),
        versions=context.versions,
        usage=usage,
        earned=earned_now(context) if earned is None else earned,
        caution=caution_now(context) if caution is None else caution,
        left=left,
        reassess=reask or Reask(context.model, incident),
        approved_by=approved_by,
    )
    return context.gate.decide(request)


def _decide_all(
    state: IncidentState, context: Context, usage: Usage, earned: EarnedAutonomy, caution: Caution, reask: Reask
) -> tuple[Decision, ...]:
    """A decision on each proposal, what the ones before it use up and achieve counted in."""
    decisions, left = [], 1.0
    for proposal in state["proposals"]:
        decision = decide(state, context, proposal, usage, earned=earned, caution=caution, left=left, reask=reask)
        if decision.verb == "execute":
            usage = charged(usage, proposal, decision)
            left = context.gate.settings.costs.left_after(left, proposal.action)
        decisions.append(decision)
    return tuple(decisions)


def approval(state: IncidentState, runtime: Runtime[Context]) -> dict[str, Any]:
    """Adds `decisions`, and journals each before anything is done about it.

    Where somebody else used up of the budgets meanwhile, an error took back what was earned, or autonomy fell back, it
    is decided again, under the writer's lock: two incidents at once must not both take the last of a budget.
    """
    context, incident = runtime.context, state["incident"]
    moment, reask = _moment(context), Reask(context.model, incident)
    decisions = _decide_all(state, context, *moment, reask)
    if _acts_alone(decisions, state) and (why := _too_many(context, incident.source)):
        context = replace(context, caution=lambda _: why)
        moment = _moment(context)
        decisions = _decide_all(state, context, *moment, reask)
    states = _SHADOW if context.mode == "shadow" else _STATES
    with context.store.transaction(flush=False):
        if any(d.verb == "execute" for d in decisions) and (now := _moment(context)) != moment:
            decisions = _decide_all(state, context, *now, reask)
        for proposal, decision in zip(state["proposals"], decisions, strict=True):
            context.store.record_decision(incident.id, proposal, decision, states[decision.verb])
    return {"decisions": decisions}


def _acts_alone(decisions: tuple[Decision, ...], state: IncidentState) -> bool:
    """Whether something other than a record would be done without a person."""
    pairs = zip(state["proposals"], decisions, strict=True)
    return any(d.verb == "execute" and class_of(CATALOGUE[p.action]) != "record" for p, d in pairs)


def _too_many(context: Context, source: str) -> Caution | None:
    """Caution for everything, where this source has had its share of acting alone (`hardening.limits`)."""
    why = context.limits.may_act_alone(source) if context.mode == "live" else ""
    return Caution(fallen=(FellBack(entry=0, scope="all", cause="hardening.source_rate", reason=why),)) if why else None


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
