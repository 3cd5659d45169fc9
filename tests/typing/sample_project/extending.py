"""Parts of one's own: a node in the graph, a connector, a model, a language model."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any, assert_type

import numpy as np
from langchain_core.language_models import FakeListChatModel
from langgraph.graph import StateGraph
from langgraph.runtime import Runtime
from numpy.typing import NDArray

from aegis_agents import Aegis, Context, Incident, build_graph
from aegis_agents.model import IncidentModel
from aegis_agents.records import ActionName, Assessment, Target
from aegis_agents.state import IncidentState
from aegis_agents.tools import Connector


def owner(state: IncidentState, runtime: Runtime[Context]) -> dict[str, Any]:
    """A node: reads the state and the context, answers what it adds."""
    incident: Incident | None = state.get("incident")  # the state is filled as the agents go
    hosts = [entity.value for entity in incident.entities if entity.kind == "host"] if incident else []
    return {"notes": (*hosts, runtime.context.model.version)}


def own_graph() -> Any:
    """The graph with that node."""
    builder = build_graph()
    assert_type(builder, StateGraph[IncidentState, Context, IncidentState, IncidentState])
    builder.add_node("owner", owner)
    builder.add_edge("reasoning", "owner")
    builder.add_edge("owner", "approval")
    return builder.compile()


class Firewall:
    """A connector: no base class is needed."""

    name = "edge"
    actions: frozenset[ActionName] = frozenset({"block_ip"})

    def __init__(self) -> None:
        self.blocked: set[str] = set()

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        self.blocked.add(target.value)
        return key

    def read(self, action: ActionName, target: Target) -> bool | None:
        return target.value in self.blocked

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        self.blocked.discard(target.value)
        return ""


class Rules:
    """A model of one's own, by the Protocol."""

    version = "rules@1"

    def assess(self, incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        raise NotImplementedError

    def assess_many(self, incidents: Sequence[Incident]) -> list[Assessment]:
        return [self.assess(incident) for incident in incidents]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.zeros((len(texts), 384), np.float32)

    def embed_incident(self, incident: Incident) -> NDArray[np.float32]:
        return np.zeros(384, np.float32)


def put_together() -> Aegis:
    """All of it in one Aegis."""
    connector: Connector = Firewall()
    model: IncidentModel = Rules()
    return Aegis(model=model, tools=[connector], llm=FakeListChatModel(responses=["..."]), policy="rules.cedar")
