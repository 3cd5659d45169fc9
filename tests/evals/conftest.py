"""Made-up cases, and an Aegis whose model says what the alert's `answer` field says."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aegis_agents import Aegis, Case
from aegis_agents.records import VERDICTS, ActionReport, Assessment, FactEvidence, FactWeight, Incident, Target, Verdict
from evals.runner import Judged


class FakeModel:
    """Answers without weights; a planted "flip" turns an attack into something allowed."""

    version = "fake@1"

    def assess(self, incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        facts = [f for f in incident.facts if f.id not in masked and not f.derived]
        said = next((f.value.split()[0] for f in facts if f.path == "answer"), "undetermined")
        if said == "fail":
            raise RuntimeError("made to fail")
        if any("flip" in f.value for f in facts):
            said = "benign_positive"
        verdict: Verdict = next(v for v in VERDICTS if v == said)
        return Assessment(
            verdict=verdict, confidence=0.94, probabilities=dict.fromkeys(VERDICTS, 0.02) | {verdict: 0.94},
            severity="high", weights=tuple(FactWeight(fact=f.id, weight=0.5) for f in facts), techniques=(),
            model=self.version, facts_read=len(facts), facts_skipped=0,
        )  # fmt: skip

    def assess_many(self, incidents: Sequence[Incident]) -> list[Assessment]:
        return [self.assess(i) for i in incidents]

    def embed(self, texts: Sequence[str]) -> Any:
        rows = np.random.default_rng(0).standard_normal((len(texts), 384)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def embed_incident(self, incident: Incident) -> Any:
        return self.embed([incident.title])[0]


@pytest.fixture
def open_fake() -> Callable[[Path], Aegis]:
    return lambda home: Aegis(model=FakeModel(), home=home)


@pytest.fixture
def judged() -> Callable[..., Judged]:
    """An alert with its truth and a case; `said` None is one that ended in an error."""

    def make(
        said: str | None, truth: dict[str, Any], *, name: str = "x", facts: Sequence[tuple[str, float]] = (),
        actions: Sequence[tuple[str, str, str]] = (), **case: Any,
    ) -> Judged:  # fmt: skip
        full = {
            "severity": "high", "techniques": [], "key_facts": [], "good_actions": [], "forbidden_actions": [],
        } | truth  # fmt: skip
        known = {"id": name, "source_format": "generic", "truth": full}
        if said is None:
            return Judged(known, {}, None)
        values: dict[str, Any] = {
            "incident_id": "inc-1", "source": "generic", "native_id": "1", "title": "t", "verdict": said,
            "confidence": 0.95, "severity": "high", "techniques": (), "summary": "", "probabilities": {}, "versions": {},
            "evidence": tuple(
                FactEvidence(id=f"f{i}", path="p", value=value, weight=weight, trust="external")
                for i, (value, weight) in enumerate(facts)
            ),
            "actions": tuple(
                ActionReport(
                    action_id=f"a{i}", action=action, target=Target(kind="host", value=target), outcome=outcome,  # type: ignore[arg-type]
                    rule="", reason="", reversible=True,
                )
                for i, (action, target, outcome) in enumerate(actions)
            ),
        }  # fmt: skip
        return Judged(known, {}, Case(**values | case))

    return make
