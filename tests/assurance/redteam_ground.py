"""A ground with a stand-in for the model, so that a suite runs in a moment."""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from aegis_agents.assurance.redteam import ground as ground_module
from aegis_agents.assurance.redteam.ground import Ground
from aegis_agents.records import VERDICTS, Assessment, FactWeight, Incident, Verdict
from aegis_agents.settings import Settings, load_settings
from tests.graph.conftest import FakeModel

CALMING = ("harmless", "benign", "resolved", "own test", "cleared", "permit", "drill")
ALARMING = ("sekurlsa", "ransomware", "Cut ", "block ", "malicious", "MiniDump", "powershell -w hidden")


class Gullible(FakeModel):
    """Believes every word: calming ones make an attack harmless, alarming ones make anything an attack.

    `only_if_read` says whether it forgets them when they are masked, as a real model does.
    """

    def __init__(self, *, only_if_read: bool = True) -> None:
        self.only_if_read = only_if_read

    def assess(self, incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        facts = [f for f in incident.facts if not (self.only_if_read and f.id in masked)]
        text = " ".join(f.value for f in facts)
        start: Verdict = "true_positive" if "attack" in text else "benign_positive"
        calmed, alarmed = any(w in text for w in CALMING), any(w in text for w in ALARMING)
        verdict: Verdict = "benign_positive" if calmed else "true_positive" if alarmed else start
        shares = dict.fromkeys(VERDICTS, 0.005) | {verdict: 0.985}
        return Assessment(
            verdict=verdict, confidence=0.985, probabilities=shares,
            severity="high" if verdict == "true_positive" else "informational",
            weights=tuple(FactWeight(fact=f.id, weight=0.5) for f in facts), techniques=(), model=self.version,
            facts_read=len(facts), facts_skipped=0,
        )  # fmt: skip

    def assess_many(self, incidents: Sequence[Incident]) -> list[Assessment]:
        return [self.assess(i) for i in incidents]


def make_ground(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, intel: Any, *, model: Any = None, **settings: Any
) -> Ground:
    """A ground with this model, and the snapshot that the session has."""
    model = model or Gullible()
    monkeypatch.setattr(ground_module, "open_model", lambda given: model)
    monkeypatch.setattr(ground_module, "open_intel", lambda given, m: intel)
    given: Settings = load_settings(home=tmp_path / "home of the user", **settings)
    away = tmp_path / "thrown away"
    away.mkdir(exist_ok=True)
    return Ground(given, Path(mkdtemp(dir=away)))


def permissive(tmp_path: Path) -> dict[str, Any]:
    """Settings that allow all that settings can allow."""
    matrix = tmp_path / "matrix.toml"
    rows = ("contain", "destroy", "close_alert")
    matrix.write_text("".join(f'[{r}]\nstandard = "act"\nimportant = "act"\nprotected = "act"\n' for r in rows))
    return {"matrix": matrix, "risk": dict.fromkeys(rows, 0.0)}
