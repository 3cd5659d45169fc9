"""Budgets: how much may be done in an hour without a person, and a circuit breaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from aegis_agents.errors import SettingsError
from aegis_agents.gate.request import GateRequest, Ruling, allow
from aegis_agents.gate.tiers import TIERS

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext


@dataclass(frozen=True)
class BudgetLimits:
    """Limits for one hour. Reaching one hands the next action to a person.

    actions_per_hour: actions other than records; records_per_hour: tickets, messages,
    watch lists; per_tier: actions other than records, by asset tier; blast_radius:
    distinct targets touched; trip_after: failed and undone actions that open the breaker.
    """

    actions_per_hour: int = 20
    records_per_hour: int = 1000
    per_tier: Mapping[str, int] = field(default_factory=lambda: {"standard": 20, "important": 5, "protected": 0})
    blast_radius: int = 10
    trip_after: int = 3

    @classmethod
    def load(cls, source: Mapping[str, Any] | BudgetLimits | None) -> BudgetLimits:
        """Limits from a mapping; SettingsError names what is unknown or not a whole number from 0 up."""
        if isinstance(source, BudgetLimits):
            return source
        values: dict[str, Any] = dict(source or {})
        known = {item.name for item in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise SettingsError(f"budgets.{name}: no such limit; limits are {', '.join(sorted(known))}")
            if name == "per_tier":
                if not isinstance(value, Mapping) or not set(value) <= set(TIERS):
                    raise SettingsError(f"budgets.per_tier: needs some of {', '.join(TIERS)}")
                for tier, limit in value.items():
                    _whole(f"per_tier.{tier}", limit)
            else:
                _whole(name, value)
        if "per_tier" in values:
            values["per_tier"] = {**cls().per_tier, **values["per_tier"]}
        return cls(**values)


def _whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SettingsError(f"budgets.{name}: {value!r} is no whole number from 0 up")


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Lower to ask when a budget is spent, the breaker is open, or the journal could not say."""
    usage, limits = request.usage, context.settings.budgets
    if usage is None:
        return Ruling("ask", "budget.unknown", "how much was done in the last hour is not known")
    if context.action_class == "record":
        done = usage.by_class.get("record", 0)
        if done >= limits.records_per_hour:
            return _spent("records", f"{done} records in an hour, the limit is {limits.records_per_hour}", done)
        return allow("budget.records", records=done)
    actions = sum(count for name, count in usage.by_class.items() if name != "record")
    in_tier = usage.by_tier.get(context.asset.tier, 0)
    targets = len(usage.targets | {request.target_key})
    broken = usage.failed + usage.undone
    numbers = {"actions": actions, "in_tier": in_tier, "targets": targets, "failed_or_undone": broken}
    if broken >= limits.trip_after:
        return _spent("breaker", f"{broken} actions failed or were undone within an hour", **numbers)
    if actions >= limits.actions_per_hour:
        return _spent("hour", f"{actions} actions in an hour, the limit is {limits.actions_per_hour}", **numbers)
    tier_limit = limits.per_tier[context.asset.tier]
    if in_tier >= tier_limit:
        reason = f"{in_tier} actions on {context.asset.tier} assets in an hour, the limit is {tier_limit}"
        return _spent("tier", reason, **numbers)
    if targets > limits.blast_radius:
        return _spent("blast_radius", f"it would be the {targets}th target in an hour", **numbers)
    return allow("budget.left", **numbers)


def _spent(name: str, reason: str, done: int | None = None, **numbers: int) -> Ruling:
    return Ruling("ask", f"budget.{name}", reason, numbers=numbers if done is None else {"records": done})
