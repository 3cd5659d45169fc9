"""The investigation graph for LangGraph's own server (`langgraph.json` names it): settings → context → build_graph.

The server brings its checkpointer; settings come from AEGIS_* variables. Start a run with
`{"alert": {...}}`, any supported product's native alert.
"""

from __future__ import annotations

import asyncio
import json
from functools import cache
from threading import Lock
from typing import Any

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from aegis_agents import Aegis, Incident, build_graph
from aegis_agents.cases import shadow_id
from aegis_agents.records import Conclusion
from aegis_agents.sources import parse
from aegis_agents.tools.owners import this_process

_BUILDING = Lock()


class Investigation(TypedDict, total=False):
    """In: `alert`. Out: `conclusion`; its actions are in Aegis' journal."""

    alert: dict[str, Any]
    incident: Incident
    conclusion: Conclusion


async def graph() -> Any:
    """Take the alert in, then the agents. The server asks for it with each run, on its event loop, which must not wait."""
    return await asyncio.to_thread(_built_once)


def _built_once() -> Any:
    with _BUILDING:
        return _built()


@cache
def _built() -> Any:
    aegis = Aegis()

    def intake(state: Investigation) -> Investigation:
        incident, versions = parse(state["alert"], tenant=aegis.settings.tenant), aegis.context.versions
        if aegis.settings.mode == "shadow":  # under an id of its own: what shadow decided must not stand for live
            incident = incident.model_copy(update={"id": shadow_id(incident.id, versions)})
        aegis.store.admit(incident, json.dumps(state["alert"]), versions, owner=this_process())
        return {"incident": incident}

    builder = StateGraph(Investigation)
    builder.add_node("intake", intake)
    builder.add_node("agents", build_graph(aegis.context).compile())
    builder.add_edge(START, "intake")
    builder.add_edge("intake", "agents")
    builder.add_edge("agents", END)
    return builder.compile()
