"""Where it happens: the user's settings, a home that is thrown away, and connectors that only take notes.

Nothing of the user's is touched: of their settings only those that decide are taken over (KEPT), every other is
set to its default, so that a setting that names a system, a database or a secret can't reach it.
"""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aegis_agents.aegis import Aegis
from aegis_agents.assembly import open_intel, open_model
from aegis_agents.errors import ConnectorError
from aegis_agents.model import IncidentModel
from aegis_agents.records import (
    CATALOGUE,
    ActionName,
    Assessment,
    FactWeight,
    Incident,
    Target,
    TechniqueScore,
    Verdict,
)
from aegis_agents.settings import Settings

KEPT: Final = (
    "autonomy", "matrix", "policy", "assets", "risk", "costs", "budgets", "max_actions_per_hour", "lifetimes", "undo_window",
    "require_token", "tenant", "clearance", "indicator_strength", "memory_strength", "tolerated_error", "threads",
    "cache",
)  # fmt: skip
"""Settings that decide. What is not named here is not taken over."""


class Done(NamedTuple):
    """What a connector was told to do."""

    action: ActionName
    kind: str
    value: str
    note: str


class Recorder:
    """A connector for every action that does nothing but remember. With `failing` it refuses instead."""

    name = "redteam-recorder"
    actions: frozenset[ActionName] = frozenset(CATALOGUE)

    def __init__(self, *, failing: bool = False) -> None:
        self.failing, self.done = failing, list[Done]()
        self._in_effect: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Remember it."""
        with self._lock:
            self.done.append(Done(action, target.kind, target.value, note))
            if self.failing:
                raise ConnectorError("the recorder refuses")
            self._in_effect.add((action, target.kind, target.value))
        return key

    def read(self, action: ActionName, target: Target) -> bool | None:
        """Whether it was remembered; None for what can't be taken back."""
        if not CATALOGUE[action].reversible:
            return None
        return (action, target.kind, target.value) in self._in_effect

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Forget it."""
        self._in_effect.discard((action, target.kind, target.value))
        return key

    @property
    def harmful(self) -> list[Done]:
        """What contained or destroyed something."""
        return [d for d in self.done if CATALOGUE[d.action].effect in ("contain", "destroy")]

    @property
    def closed(self) -> list[Done]:
        """Alerts that were closed."""
        return [d for d in self.done if d.action == "close_alert"]


class Certain:
    """A model that holds everything for one verdict, whatever is masked: then only the gate's other steps stand."""

    def __init__(self, real: IncidentModel, verdict: Verdict) -> None:
        self._real, self._verdict = real, verdict

    @property
    def version(self) -> str:
        """Named so that nobody takes its decisions for real ones."""
        return f"redteam-certain-{self._verdict}"

    def assess(self, incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        """The verdict, with near certainty."""
        shares: dict[Verdict, float] = {
            "true_positive": 0.001, "benign_positive": 0.001, "false_positive": 0.001, "undetermined": 0.001,
        }  # fmt: skip
        shares[self._verdict] = 0.997
        return Assessment(
            verdict=self._verdict, confidence=0.997, probabilities=shares, severity="high", weights=_telling(incident),
            techniques=(TechniqueScore(technique="T1059", score=0.8),), model=self.version,
            facts_read=len(incident.facts), facts_skipped=0,
        )  # fmt: skip

    def assess_many(self, incidents: Sequence[Incident]) -> list[Assessment]:
        """The same of each."""
        return [self.assess(i) for i in incidents]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As the real model."""
        return self._real.embed(texts)

    def embed_incident(self, incident: Incident) -> NDArray[np.float32]:
        """As the real model."""
        return self._real.embed_incident(incident)


def _telling(incident: Incident) -> tuple[FactWeight, ...]:
    """Every fact weighs, an attacker's own text most, so that it stands in what is said of the incident."""
    return tuple(FactWeight(fact=f.id, weight=0.9 if f.trust == "external" else 0.4) for f in incident.facts)


class Ground:
    """Makes an Aegis for each attack, with the user's settings and a state of its own under `folder`."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count()
        self.settings, self.set_aside = without_reach(settings, folder)
        self.model = open_model(settings)
        self._built = folder / "built"
        self._intel = open_intel(self.settings.model_copy(update={"home": self._built}), self.model)

    @contextmanager
    def aegis(
        self, *, certain: Verdict | None = None, failing: bool = False, own_intel: bool = False, home: Path | None = None,
        **changes: Any,
    ) -> Iterator[tuple[Aegis, Recorder]]:  # fmt: skip
        """An Aegis and the recorder that stands for every system.

        `certain` replaces the model by one that says nothing but this; `own_intel` gives it a snapshot that may be
        changed; `home` is one used before; `changes` are settings.
        """
        home = home or self._folder / f"home{next(self._numbers)}"
        if own_intel and not (home / "intel").exists():
            shutil.copytree(self._built / "intel", home / "intel")
        recorder = Recorder(failing=failing)
        aegis = Aegis(
            settings=self.settings.model_copy(update={"home": home, **changes}),
            model=Certain(self.model, certain) if certain else self.model,
            intel=None if own_intel else self._intel,
            tools=[recorder],
        )
        try:
            yield aegis, recorder
        finally:
            if own_intel and "context" in aegis.__dict__ and aegis.context.intel is not None:
                aegis.context.intel.close()
            aegis.close()

    def new_home(self) -> Path:
        """A folder for a home that outlives one Aegis."""
        return self._folder / f"home{next(self._numbers)}"

    def close(self) -> None:
        """Release the snapshot."""
        self._intel.close()


def without_reach(settings: Settings, folder: Path) -> tuple[Settings, tuple[str, ...]]:
    """The settings with everything but KEPT at its default, and the names of those that were changed by that.

    Copied, not made anew: the environment is not read again. A default that is a place becomes one under `folder`.
    """
    changes: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        if name not in KEPT:
            default = field.get_default(call_default_factory=True, validated_data={})
            changes[name] = folder / name if isinstance(default, Path) else default
    aside = [n for n, v in changes.items() if not isinstance(v, Path) and getattr(settings, n) != v]
    return settings.model_copy(update=changes), tuple(aside)
