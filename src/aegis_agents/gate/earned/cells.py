"""What was earned, as the gate reads it: a level and the confidence that it was shown at, for each cell."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pydantic import Field

from aegis_agents.gate.tiers import Tier
from aegis_agents.records import CATALOGUE, Autonomy
from aegis_agents.records.base import Record

EARNED_TIERS: Final[tuple[Tier, ...]] = ("standard", "important")
"""Protected assets stay with people, whatever was shown elsewhere."""

MOST_EARNED: Final[Mapping[str, Autonomy]] = MappingProxyType(
    {
        **{s.name: "act" for s in CATALOGUE.values() if s.effect == "contain" and s.reversible},
        # Few wrong closings are no bound on missed attacks: where one alert in 200 is an attack, closing
        # every alert errs in 0.5 %. A closing that was earned comes back by itself when its window ends.
        "close_alert": "act_undo",
    }
)
"""Action → the highest level that reviews can unlock. What is not named (records, which act as shipped, and what
can't be given back) earns nothing."""

CELLS: Final = tuple(f"{action}/{tier}" for action in MOST_EARNED for tier in EARNED_TIERS)
"""Every cell that can be earned. One an action and not one a class: a hundred right blocks of addresses say
nothing about isolating hosts."""


class EarnedCell(Record):
    """One cell, action by asset tier ("block_ip/standard"); a class by tier ("contain/standard") is read too.

    `level` is what it may do alone; `threshold` is the least confidence of the decisions that
    showed it, 0..1; `evidence` names the ledger entry of the promotion.
    """

    cell: str
    level: Autonomy
    threshold: float = Field(ge=0, le=1)
    evidence: int


class EarnedAutonomy(Record):
    """All earned cells, by name."""

    cells: dict[str, EarnedCell] = {}

    def find(self, action: str, action_class: str, tier: str) -> EarnedCell | None:
        """What was earned for this action on this tier: its own cell, else its class's; nothing where none can be."""
        if action not in MOST_EARNED or tier not in EARNED_TIERS:
            return None
        return self.cells.get(f"{action}/{tier}") or self.cells.get(f"{action_class}/{tier}")


NOTHING_EARNED: Final = EarnedAutonomy()
