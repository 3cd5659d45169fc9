"""A store with approved actions, and the contract's cases as parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aegis_agents.ledger import SqliteStore, action_id
from aegis_agents.records import ActionName, Claim, Decision, Entity, Incident, ProposedAction, Target

Approved = Callable[..., str]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`case` runs over the class's `cases`."""
    cases = getattr(metafunc.cls, "cases", None)
    if cases is not None and "case" in metafunc.fixturenames:
        metafunc.parametrize("case", cases, ids=str)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    found = SqliteStore(tmp_path / "aegis.sqlite")
    yield found
    found.close()


@pytest.fixture
def approved(store: SqliteStore) -> Approved:
    """Journal an approved action; answers its id."""

    def make(action: ActionName, target: Target, incident: str = "inc-1", generation: int = 0) -> str:
        store.admit(
            Incident(
                id=incident, source="generic", native_id="n", title="t", observed_at=None, claim=Claim(), facts=(),
                entities=(Entity(kind=target.kind, value=target.value),), digest="0" * 64,
            ),
            "{}",
            {},
        )  # fmt: skip
        key = action_id(incident, action, target, generation)
        proposal = ProposedAction(
            action_id=key, action=action, target=target, reason="it beacons", cites=("f1",), generation=generation
        )
        decision = Decision(action_id=key, verb="execute", rule="test", reason="test")
        store.record_decision(incident, proposal, decision, "approved")
        return key

    return make
