"""What was earned, as the gate reads it: a level and the confidence that it was shown at, for each cell."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from aegis_agents.records import Autonomy
from aegis_agents.records.base import Record


class EarnedCell(Record):
    """One cell, action class or action by asset tier ("contain/standard", "block_ip/standard").

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
        """What was earned for this action on this tier: its own cell, else its class's."""
        return self.cells.get(f"{action}/{tier}") or self.cells.get(f"{action_class}/{tier}")


NOTHING_EARNED: Final = EarnedAutonomy()
