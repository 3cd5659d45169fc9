"""What being wrong costs: a table that anybody can read, argue with and replace.

The shipped one is `costs.toml` beside this module, with the reason for every figure. It is in analyst
minutes; the unit is the user's, and only proportions decide.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from aegis_agents.errors import SettingsError
from aegis_agents.gate.tiers import TIERS, Tier
from aegis_agents.records import CATALOGUE, SEVERITIES, ActionSpec, Severity

QUESTIONS: Final = ("approval", "closing", "open_alert", "undo", "record")
"""Kinds of an analyst's work that are costed."""
_HOURS: Final = "hours"
_TABLES: Final = ("missed", "spread", "waiting", "minutes", "averts", "outage")
_MOST: Final = 1e12
"""No figure may be larger: sums of them must stay finite."""


@dataclass(frozen=True)
class CostModel:
    """All figures, in `unit`.

    missed[severity][tier]: an attack that is never contained. spread[severity]: the share of that in each
    hour that it goes on. waiting: hours until a person looks ("approval", "open_alert"). minutes: analyst
    minutes by QUESTIONS, each costing `per_minute`. averts[action]: the share of an attack that it ends.
    outage[action][tier]: what the action breaks, in all: per hour times hours for what can be undone.
    `version` is a hash of all figures.
    """

    unit: str
    per_minute: float
    missed: Mapping[Severity, Mapping[Tier, float]]
    spread: Mapping[Severity, float]
    waiting: Mapping[str, float]
    minutes: Mapping[str, float]
    averts: Mapping[str, float]
    outage: Mapping[str, Mapping[Tier, float]]
    version: str = field(compare=False)

    @classmethod
    def load(cls, source: Mapping[str, Any] | str | Path | CostModel | None = None) -> CostModel:
        """The shipped figures, and those of a mapping or TOML file over them.

        SettingsError names what is unknown, negative, no number, or a share that is not in 0..1.
        """
        if isinstance(source, CostModel):
            return source
        if source is None:
            return _shipped_model()
        given = source if isinstance(source, Mapping) else _read(Path(source))
        return _build(_over(_shipped(), given, "costs"))

    def minute(self, question: str) -> float:
        """What one such piece of an analyst's work costs."""
        return self.minutes[question] * self.per_minute

    def left_after(self, left: float, action: str) -> float:
        """The share of an attack that is left once this was done, of a share `left` before; 0..1."""
        return left * (1.0 - self.averts.get(action, 0.0))

    def lost_while(self, severity: Severity, tier: Tier, wait: str, left: float = 1.0) -> float:
        """What an attack does while a person is waited for: never more than one that is never contained."""
        return self.missed[severity][tier] * left * min(1.0, self.spread[severity] * self.waiting[wait])


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"costs: {path} can't be read: {error}") from error


@lru_cache(maxsize=1)
def _shipped() -> Mapping[str, Any]:
    return tomllib.loads((resources.files("aegis_agents.gate") / "costs.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _shipped_model() -> CostModel:
    return _build(_shipped())


def _over(shipped: Mapping[str, Any], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The given figures over the shipped ones; the shipped table says which names there are."""
    merged = dict(shipped)
    for name, value in given.items():
        at = f"{where}.{name}"
        if name not in shipped:
            raise SettingsError(f"{at}: no such cost; known are {', '.join(sorted(shipped))}")
        known = shipped[name]
        if isinstance(known, Mapping):
            if not isinstance(value, Mapping):
                raise SettingsError(f"{at}: needs figures, as in {{{next(iter(known))} = ...}}")
            merged[name] = _over(known, value, at)
        elif name == "unit":
            if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > 40:
                raise SettingsError(f"{at}: needs a name of at most 40 characters, as in {known!r}")
            merged[name] = value.strip()
        else:
            merged[name] = _figure(value, at)
    return merged


def _figure(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        raise SettingsError(f"{where}: {value!r} is no cost; give a number from 0 to {_MOST:g}")
    return float(value)


def _build(table: Mapping[str, Any]) -> CostModel:
    for name, share in table["averts"].items():
        if not 0 <= share <= 1:
            raise SettingsError(f"costs.averts.{name}: {share!r} is no share; give 0 to 1")
    outage = {name: _outage(CATALOGUE[name], table["outage"][name]) for name in table["outage"]}
    text = json.dumps(table, sort_keys=True)
    return CostModel(
        unit=str(table["unit"]),
        per_minute=float(table["per_minute"]),
        missed={s: {t: float(table["missed"][s][t]) for t in TIERS} for s in SEVERITIES},
        spread={s: float(table["spread"][s]) for s in SEVERITIES},
        waiting={name: float(hours) for name, hours in table["waiting"].items()},
        minutes={name: float(table["minutes"][name]) for name in QUESTIONS},
        averts={name: float(share) for name, share in table["averts"].items()},
        outage=outage,
        version=hashlib.sha256(text.encode()).hexdigest()[:16],
    )


def _outage(spec: ActionSpec, row: Mapping[str, float]) -> dict[Tier, float]:
    """What it breaks in all: the hours count only where it can be taken back."""
    hours = float(row[_HOURS]) if spec.reversible else 1.0
    found = {tier: float(row[tier]) * hours for tier in TIERS}
    if not all(math.isfinite(value) for value in found.values()):
        raise SettingsError(f"costs.outage.{spec.name}: is not finite")
    return found
