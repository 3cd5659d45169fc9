"""Autonomy: which kind of action may go how far on which kind of asset.

A matrix, action class (or single action) by asset tier, of levels from observe to
act: what the user set, else what reviews have earned, else what is shipped. A cell that
the user set stands in both directions: an "ask" is a cap that no evidence lifts, and an
"act" is the user's own word. The gate's own autonomy is a ceiling over all of it. Protected
assets and what Cedar forbids are not decided here, and no cell can open them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from aegis_agents.errors import SettingsError
from aegis_agents.gate.earned.cells import MOST_EARNED, EarnedAutonomy, EarnedCell
from aegis_agents.gate.request import ACTION_CLASSES, ActionClass, GateRequest, Number, Ruling, Verb
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
        return self.configured(action, action_class, tier) or _SHIPPED.get(action, "ask")

    def configured(self, action: str, action_class: ActionClass, tier: Tier) -> Autonomy | None:
        """The user's own cell: the action's, else its class's; None where the user named neither."""
        for row in (action, action_class):
            if tier in self.cells.get(row, {}):
                return self.cells[row][tier]
        return None


class InForce(NamedTuple):
    """The level of one cell before the ceiling, where it comes from, and what was earned where that is it."""

    level: Autonomy
    source: Literal["configured", "earned", "shipped"]
    earned: EarnedCell | None = None


def in_force(
    matrix: AutonomyMatrix, earned: EarnedAutonomy, action: str, action_class: ActionClass, tier: Tier
) -> InForce:
    """The level of one cell: configured, else earned, else shipped. What was earned only ever raises."""
    configured, shipped = matrix.configured(action, action_class, tier), matrix.level(action, action_class, tier)
    if configured is not None:
        return InForce(configured, "configured")
    found = earned.find(action, action_class, tier)
    if found is None:
        return InForce(shipped, "shipped")
    level = min(found.level, MOST_EARNED[action], key=AUTONOMY_LEVELS.index)
    if AUTONOMY_LEVELS.index(level) <= AUTONOMY_LEVELS.index(shipped):
        return InForce(shipped, "shipped")
    return InForce(level, "earned", found)


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


def level_of(request: GateRequest, context: GateContext) -> tuple[InForce, Autonomy]:
    """The cell that an action falls under, and its level under the ceiling."""
    settings, name = context.settings, context.spec.name
    cell = in_force(settings.matrix, request.earned, name, context.action_class, context.asset.tier)
    return cell, min(cell.level, settings.autonomy, key=AUTONOMY_LEVELS.index)


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Lower to what the cell and the ceiling over it allow."""
    spec, settings = context.spec, context.settings
    cell, level = level_of(request, context)
    numbers: dict[str, Number] = {
        "cell": cell.level, "source": cell.source, "ceiling": settings.autonomy, "level": level,
        "tier": context.asset.tier,
    }  # fmt: skip
    if cell.earned is not None:
        numbers |= {"earned": cell.earned.cell, "evidence": cell.earned.evidence}
    if level == "act_undo" and not spec.reversible:
        return Ruling(
            "ask", "autonomy.act_undo", f"{spec.name} can't be undone, and the level wants a way back", numbers=numbers
        )
    by = "the ceiling" if level != cell.level else f"the cell {spec.name} on {context.asset.tier} assets"
    how = f" (earned, ledger entry {cell.earned.evidence})" if cell.earned is not None else ""
    return Ruling(_VERB[level], f"autonomy.{level}", f"{by} says {level}{how}", numbers=numbers)
