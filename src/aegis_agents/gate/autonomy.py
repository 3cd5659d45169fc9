"""Autonomy: which kind of action may go how far on which kind of asset.

A matrix, action class (or single action) by asset tier, of levels from observe to
act. The gate's own autonomy is a ceiling over all of it. Protected assets and what
Cedar forbids are not decided here, and no cell can open them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aegis_agents.errors import SettingsError
from aegis_agents.gate.request import ACTION_CLASSES, ActionClass, GateRequest, Ruling, Verb
from aegis_agents.gate.tiers import TIERS, Tier
from aegis_agents.records import AUTONOMY_LEVELS, CATALOGUE, Autonomy

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext

_SHIPPED: Final[Mapping[str, Autonomy]] = {"open_ticket": "act", "notify_owner": "act", "add_watchlist": "act"}
"""They touch nothing but people and lists. Every other cell is "ask"."""

_VERB: Final[Mapping[Autonomy, Verb]] = {
    "observe": "refuse", "recommend": "recommend", "ask": "ask", "act_undo": "execute", "act": "execute",
}  # fmt: skip


@dataclass(frozen=True)
class AutonomyMatrix:
    """The user's cells over the shipped ones: cells[action or class][tier]."""

    cells: Mapping[str, Mapping[Tier, Autonomy]]

    @classmethod
    def load(cls, source: Mapping[str, Any] | str | Path | None) -> AutonomyMatrix:
        """Cells from a mapping or a TOML file: `[block_ip]` then `standard = "act"`.

        Rows are action classes (record, contain, destroy, close_alert) or single
        actions, columns asset tiers. SettingsError names what is unknown.
        """
        if source is None:
            return cls({})
        if not isinstance(source, Mapping):
            source = _read(Path(source))
        for row, columns in source.items():
            if row not in CATALOGUE and row not in ACTION_CLASSES:
                raise SettingsError(f"autonomy.{row}: no such action or class; classes are {', '.join(ACTION_CLASSES)}")
            if not isinstance(columns, Mapping):
                raise SettingsError(f'autonomy.{row}: needs tiers, as in {{"standard": "ask"}}')
            for tier, level in columns.items():
                if tier not in TIERS:
                    raise SettingsError(f"autonomy.{row}.{tier}: no such tier; tiers are {', '.join(TIERS)}")
                if level not in AUTONOMY_LEVELS:
                    raise SettingsError(
                        f"autonomy.{row}.{tier}: {level!r} is no level; levels are {', '.join(AUTONOMY_LEVELS)}"
                    )
        return cls({row: dict(columns) for row, columns in source.items()})

    def level(self, action: str, action_class: ActionClass, tier: Tier) -> Autonomy:
        """The level of one cell: the user's action, the user's class, the shipped one; "ask" otherwise."""
        for row in (action, action_class):
            if tier in self.cells.get(row, {}):
                return self.cells[row][tier]
        return _SHIPPED.get(action, "ask")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"autonomy: {path} can't be read: {error}") from error


def check_level(level: str) -> Autonomy:
    """The level, or SettingsError."""
    for known in AUTONOMY_LEVELS:
        if level == known:
            return known
    raise SettingsError(f"autonomy: {level!r} is no level; levels are {', '.join(AUTONOMY_LEVELS)}")


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Lower to what the cell and the ceiling over it allow."""
    spec, settings = context.spec, context.settings
    cell = settings.matrix.level(spec.name, context.action_class, context.asset.tier)
    level = min(cell, settings.autonomy, key=AUTONOMY_LEVELS.index)
    numbers = {"cell": cell, "ceiling": settings.autonomy, "level": level, "tier": context.asset.tier}
    if level == "act_undo" and not spec.reversible:
        return Ruling(
            "ask", "autonomy.act_undo", f"{spec.name} can't be undone, and the level wants a way back", numbers=numbers
        )
    by = "the ceiling" if level != cell else f"the cell {spec.name} on {context.asset.tier} assets"
    return Ruling(_VERB[level], f"autonomy.{level}", f"{by} says {level}", numbers=numbers)
