"""An Aegis with a fake model: its verdict is what the alert's `answer` field says, so that the path can be tested."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aegis_agents import Aegis
from aegis_agents.records import VERDICTS, Assessment, FactWeight, Incident, Target, TechniqueScore, Verdict


class FakeModel:
    """Reads its verdict from the alert; a stand-in for the weights, never shipped."""

    version = "fake@1"

    def assess(self, incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        facts = [f for f in incident.facts if f.id not in masked and not f.derived]
        verdict: Verdict = next(
            (v for f in facts if f.path == "answer" for v in VERDICTS if v == f.value), "undetermined"
        )
        rest = dict.fromkeys(VERDICTS, 0.01) | {verdict: 0.97}
        sign = {"true_positive": 1.0, "undetermined": 0.0}.get(verdict, -1.0)
        return Assessment(
            verdict=verdict, confidence=0.97, probabilities=rest, severity="high",
            weights=tuple(FactWeight(fact=f.id, weight=0.5 * sign) for f in facts),
            techniques=(TechniqueScore(technique="T1059.001", score=0.8),), model=self.version,
            facts_read=len(facts), facts_skipped=0,
        )  # fmt: skip

    def assess_many(self, incidents: Sequence[Incident]) -> list[Assessment]:
        return [self.assess(i) for i in incidents]

    def embed(self, texts: Sequence[str]) -> Any:
        rows = []
        for text in texts:
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
            row = np.random.default_rng(seed).standard_normal(384)
            rows.append(row / np.linalg.norm(row))
        return np.array(rows, np.float32)

    def embed_incident(self, incident: Incident) -> Any:
        return self.embed([incident.title])[0]


class SureModel(FakeModel):
    """Its verdict holds whatever is masked, so that the counterfactual check lets it act."""

    def assess(self, incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        return super().assess(incident)


class FakeFirewall:
    """A connector that remembers what it was told."""

    name = "fake-firewall"
    actions = frozenset({"block_ip", "isolate_host"})

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.in_effect: set[tuple[str, str]] = set()

    def apply(self, action: str, target: Target, *, key: str, note: str) -> str:
        self.calls.append((action, target.value))
        self.in_effect.add((action, target.value))
        return "done"

    def read(self, action: str, target: Target) -> bool | None:
        return (action, target.value) in self.in_effect

    def undo(self, action: str, target: Target, *, key: str) -> str:
        self.in_effect.discard((action, target.value))
        return "lifted"


ATTACK = {
    "event_id": "a-1", "title": "Beacon", "answer": "true_positive", "source_ip": "10.1.2.3",
    "hostname": "wks-041", "destination_ip": "203.0.113.9",
}  # fmt: skip


@pytest.fixture(scope="session")
def intel_home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One snapshot for all tests: building it takes a second."""
    from aegis_agents.intel import Intel

    return Intel.open(tmp_path_factory.mktemp("intel"), FakeModel())


@pytest.fixture
def firewall() -> FakeFirewall:
    return FakeFirewall()


@pytest.fixture
def make(tmp_path: Path, firewall: FakeFirewall, intel_home: Any) -> Iterator[Callable[..., Aegis]]:
    made: list[Aegis] = []

    def build(**settings: Any) -> Aegis:
        model = settings.pop("model", None) or FakeModel()
        aegis = Aegis(model=model, intel=intel_home, tools=[firewall], home=tmp_path, **settings)
        made.append(aegis)
        return aegis

    yield build
    for aegis in made:
        aegis.close()
