"""A protected target is not touched without a person, and not destroyed without two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aegis_agents.gate.request import GateRequest, Number, Ruling, allow
from aegis_agents.gate.tiers import PROTECTED_GROUPS

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Lower containment and destruction of a protected asset to ask."""
    asset = context.asset
    if asset.tier != "protected" or context.action_class not in ("contain", "destroy"):
        return allow("target.not_protected", tier=asset.tier)
    group, why = next(
        ((name, why) for name, why in asset.signs if name in PROTECTED_GROUPS), ("tier", "the asset list")
    )
    needed = 2 if context.action_class == "destroy" else 1
    numbers: dict[str, Number] = {"tier": asset.tier, "group": group, "approvals_needed": needed}
    return Ruling("ask", f"protected.{group}", f"the target is protected ({group}, by {why})", needed, numbers)
