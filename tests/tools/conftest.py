"""A store with one approved action, and a connector whose every answer can be set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.ledger import SqliteStore, action_id
from aegis_agents.records import ActionName, Claim, Decision, Entity, Incident, ProposedAction, Target

ADDRESS = Target(kind="ip", value="203.0.113.9")


class ScriptedSystem:
    """Acts as told: `on_apply` and `on_undo` run instead of the plain effect."""

    name = "scripted"
    actions: frozenset[ActionName] = frozenset({"block_ip", "reset_password"})

    def __init__(self) -> None:
        self.in_effect: set[tuple[str, str]] = set()
        self.applied: list[str] = []
        self.readable = True
        self.on_apply: Callable[[], str] | None = None
        self.on_undo: Callable[[], str] | None = None

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        self.applied.append(key)
        if self.on_apply:
            return self.on_apply()
        self.in_effect.add((action, target.value))
        return "ref-1"

    def read(self, action: ActionName, target: Target) -> bool | None:
        return (action, target.value) in self.in_effect if self.readable else None

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        if self.on_undo:
            return self.on_undo()
        self.in_effect.discard((action, target.value))
        return ""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    found = SqliteStore(tmp_path / "aegis.sqlite")
    yield found
    found.close()


@pytest.fixture
def system() -> ScriptedSystem:
    return ScriptedSystem()


@pytest.fixture
def approved(store: SqliteStore) -> Callable[..., str]:
    """Journal an approved action; answers its id."""

    def make(
        action: ActionName = "block_ip", target: Target = ADDRESS, incident: str = "inc-1", **decision: Any
    ) -> str:
        store.admit(
            Incident(
                id=incident, source="generic", native_id="n", title="t", observed_at=None, claim=Claim(), facts=(),
                entities=(Entity(kind=target.kind, value=target.value),), digest="0" * 64,
            ),
            "{}",
            {},
        )  # fmt: skip
        key = action_id(incident, action, target)
        proposal = ProposedAction(action_id=key, action=action, target=target, reason="it beacons", cites=("f1",))
        store.record_decision(
            incident, proposal, Decision(action_id=key, verb="execute", rule="test", reason="test"), "approved"
        )
        return key

    return make
