"""The state graph: wiring only.

triage → intel → reasoning → approval → one `act` subgraph per action (wait, then respond)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from aegis_agents.agents.approval import approval, route_actions
from aegis_agents.agents.intel import intel
from aegis_agents.agents.reasoning import reasoning
from aegis_agents.agents.response import respond
from aegis_agents.agents.triage import triage
from aegis_agents.agents.waiting import wait
from aegis_agents.context import Context
from aegis_agents.state import ActionResult, ActionState, IncidentState
from aegis_agents.telemetry.watch import now


def _bind(node: Callable[..., Any], context: Context | None, name: str = "") -> Callable[..., Any]:
    """The node with its context given beforehand, for hosts that can't pass one with each run; an agent by its name,
    so that whoever listens sees it.
    """

    def bound(state: Any, runtime: Runtime[Context]) -> Any:
        if context is not None:
            runtime = runtime.override(context=context)
        listener = now() if name else None
        return node(state, runtime) if listener is None else listener.agent(name, node, state, runtime)

    return bound


def _build_action_graph(context: Context | None) -> Any:
    """Wait for a person where one is needed, then act. Compiled, so that each action waits on its own."""
    builder = StateGraph(ActionState, context_schema=Context, output_schema=ActionResult)
    builder.add_node("wait", wait)
    builder.add_node("respond", _bind(respond, context, "response"))
    builder.add_edge(START, "wait")
    builder.add_edge("wait", "respond")
    builder.add_edge("respond", END)
    return builder.compile()


def build_graph(context: Context | None = None) -> StateGraph[IncidentState, Context]:
    """The graph, not yet compiled: add nodes and edges of your own, then `compile(checkpointer=...)`.

    Invoke it with `{"incident": Incident}` and a `Context`; a `context` given here is used
    instead of the run's. The incident must have been taken in (`Store.admit`). Waiting
    actions need a checkpointer.
    """
    builder: StateGraph[IncidentState, Context] = StateGraph(IncidentState, context_schema=Context)
    for name, agent in (("triage", triage), ("intel", intel), ("reasoning", reasoning), ("approval", approval)):
        builder.add_node(name, _bind(agent, context, name))
    builder.add_node("act", _build_action_graph(context))
    builder.add_edge(START, "triage")
    builder.add_edge("triage", "intel")
    builder.add_edge("intel", "reasoning")
    builder.add_edge("reasoning", "approval")
    builder.add_conditional_edges("approval", _bind(route_actions, context), ["act", END])
    return builder
