"""Asset tiers and the groups that are protected as shipped."""

from __future__ import annotations

from typing import Final, Literal

Tier = Literal["standard", "important", "protected"]
TIERS: Final[tuple[Tier, ...]] = ("standard", "important", "protected")

PROTECTED_GROUPS: Final = (
    "domain_controllers",
    "ot",
    "payments",
    "production_databases",
    "executives",
    "break_glass",
    "shared_infrastructure",
)
"""Where a wrong containment costs more than most attacks: a person decides."""
