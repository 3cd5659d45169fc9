"""Wrong uses, each of which a type checker must refuse: the line ends with mypy's code of it."""

from __future__ import annotations

from pathlib import Path

from aegis_agents import Aegis, Case
from aegis_agents.client import Client
from aegis_agents.notebook import show
from aegis_agents.records import ActionName, Target
from aegis_agents.tools import Connector


class NoUndo:
    """A connector without a way back."""

    name = "half"
    actions: frozenset[ActionName] = frozenset()

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        return ""

    def read(self, action: ActionName, target: Target) -> bool | None:
        return None


def wrong(aegis: Aegis, case: Case, client: Client) -> None:
    """Nothing here is right."""
    aegis.investigate(42)  # wrong: arg-type
    aegis.approve(case.actions[0])  # wrong: arg-type
    aegis.approve("act-1", "alice")  # wrong: call-arg
    aegis.confirm(case.incident_id, "maybe")  # wrong: arg-type
    aegis.pending().approve()  # wrong: attr-defined
    if case.verdict == "malicious":  # wrong: comparison-overlap
        print("never")
    print(case.score)  # wrong: attr-defined
    print(case.evidence[0].weight)  # wrong: union-attr
    Target(kind="planet", value="mars")  # wrong: arg-type
    Aegis(tools=[NoUndo()])  # wrong: list-item
    connector: Connector = NoUndo()  # wrong: assignment
    print(connector, show(case, "everything"))  # wrong: arg-type
    client.investigate(42)  # wrong: arg-type
    print(client.investigate(Path("alert.json"))["score"])  # wrong: typeddict-item
    client.approve(action="act-1")  # wrong: call-arg
