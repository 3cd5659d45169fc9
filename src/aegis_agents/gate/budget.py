"""Budgets: how much may be done in an hour without a person, a circuit breaker, and a ceiling for persons too.

All of it is counted from the journal, so a restart forgets nothing. The breaker opens when `trip_after`
actions of the last hour failed or were undone, and closes by itself once fewer did; there is nothing to
reset, and while it is open a person approves each action. Only `most_per_hour` holds against approvals:
it bounds what a stolen approver can do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from aegis_agents.errors import SettingsError
from aegis_agents.gate import addresses
from aegis_agents.gate.request import GateRequest, Number, Ruling, allow
from aegis_agents.gate.tiers import TIERS

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext

SORTS: Final = ("accounts", "hosts", "addresses")
"""What blast radius counts apart; files, hashes and messages count in the whole alone."""
_SORT_OF: Final[Mapping[str, str]] = {
    "user": "accounts", "email": "accounts", "access_key": "accounts", "cloud_account": "accounts",
    "host": "hosts", "pod": "hosts", "process": "hosts", "resource": "hosts",
    "ip": "addresses", "domain": "addresses", "url": "addresses",
}  # fmt: skip
_ANY: Final = "*"


@dataclass(frozen=True)
class BudgetLimits:
    """Limits for one hour. Reaching one hands the next action to a person.

    actions_per_hour: contain and destroy actions; closings_per_hour: closed alerts; records_per_hour:
    tickets, messages, watch lists; per_tier: contain and destroy actions by asset tier, where 0 means
    that nothing is closed alone there either; per_group: the same by asset group, "*" standing for each
    group that is not named; blast_radius: distinct targets touched; per_sort: the same by accounts,
    hosts and addresses (one inside is a host); trip_after: failed and undone actions that open the
    breaker; most_per_hour: contain and destroy actions in all, approved ones too, beyond which even an
    approval waits.
    """

    actions_per_hour: int = 20
    closings_per_hour: int = 50
    records_per_hour: int = 1000
    per_tier: Mapping[str, int] = field(default_factory=lambda: {"standard": 20, "important": 5, "protected": 0})
    per_group: Mapping[str, int] = field(default_factory=lambda: {_ANY: 10})
    blast_radius: int = 10
    per_sort: Mapping[str, int] = field(default_factory=lambda: {"accounts": 5, "hosts": 5, "addresses": 10})
    trip_after: int = 3
    most_per_hour: int = 100

    @classmethod
    def load(cls, source: Mapping[str, Any] | BudgetLimits | None) -> BudgetLimits:
        """Limits from a mapping; SettingsError names what is unknown or not a whole number from 0 up."""
        if isinstance(source, BudgetLimits):
            return source
        shipped, values = cls(), dict[str, Any]()
        known = {item.name: getattr(shipped, item.name) for item in fields(cls)}
        for name, value in (source or {}).items():
            if name not in known:
                raise SettingsError(f"budgets.{name}: no such limit; limits are {', '.join(sorted(known))}")
            if isinstance(known[name], Mapping):
                values[name] = {**known[name], **_limits(name, value, _COLUMNS.get(name))}
            else:
                _whole(name, value)
                values[name] = value
        return cls(**values)


_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {"per_tier": TIERS, "per_sort": SORTS}
"""Names that a table may have; groups are the user's own."""


def _limits(name: str, value: object, columns: tuple[str, ...] | None) -> Mapping[str, int]:
    if not isinstance(value, Mapping) or (columns and not set(value) <= set(columns)):
        needed = f"some of {', '.join(columns)}" if columns else 'groups, as in {"lab": 5}'
        raise SettingsError(f"budgets.{name}: needs {needed}")
    for key, limit in value.items():
        _whole(f"{name}.{key}", limit)
    return value


def _whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SettingsError(f"budgets.{name}: {value!r} is no whole number from 0 up")


def sort_of(target_key: str) -> str:
    """Whether a target ("host:web-01") is an account, a host or an address; "" for what is neither."""
    kind, _, value = target_key.partition(":")
    if kind == "ip":
        address = addresses.parse(value)
        return "hosts" if address is not None and addresses.is_internal(address) else "addresses"
    return _SORT_OF.get(kind, "")


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Lower to ask when a budget is spent, the breaker is open, or the journal could not say; refuse at the ceiling."""
    usage, limits = request.usage, context.settings.budgets
    if usage is None:
        return Ruling("ask", "budget.unknown", "how much was done in the last hour is not known")
    if context.action_class == "record":
        return _first("records", [("records", "records", usage.by_class.get("record", 0), limits.records_per_hour)])
    closing = context.action_class == "close_alert"
    broken, in_tier = usage.failed + usage.undone, usage.by_tier.get(context.asset.tier, 0)
    tier_limit = limits.per_tier[context.asset.tier]
    rows = [
        ("breaker", "actions that failed or were undone", broken, limits.trip_after),
        ("tier", f"actions on {context.asset.tier} assets", in_tier, tier_limit),
    ]
    if closing:
        closed = usage.by_class.get("close_alert", 0)
        return _first("left", [*rows, ("closings", "closed alerts", closed, limits.closings_per_hour)])
    actions = usage.by_class.get("contain", 0) + usage.by_class.get("destroy", 0)
    if actions >= limits.most_per_hour:
        reason = f"{actions} actions in an hour, and no approval lifts the ceiling of {limits.most_per_hour}"
        numbers: dict[str, Number] = {"actions": actions, "most": limits.most_per_hour}
        return Ruling("refuse", "budget.most", reason, numbers=numbers)
    touched = usage.targets | {request.target_key}
    rows.insert(1, ("hour", "actions", actions, limits.actions_per_hour))
    rows += [
        ("group", f"actions on {name}", usage.by_group.get(name, 0), limits.per_group.get(name, limits.per_group[_ANY]))
        for name in sorted(context.asset.groups)
    ]
    # One target more than a limit allows is over it: written as the others, which count what was before.
    rows.append(("blast_radius", "targets", len(touched) - 1, limits.blast_radius))
    if sort := sort_of(request.target_key):
        rows.append((sort, f"different {sort}", _count(touched, sort) - 1, limits.per_sort[sort]))
    return _first("left", rows)


def _count(targets: Iterable[str], sort: str) -> int:
    return sum(sort_of(target) == sort for target in targets)


def _first(clear: str, rows: list[tuple[str, str, int, int]]) -> Ruling:
    """The first row that is spent, as a ruling; each is (rule, what is counted, so many, its limit)."""
    numbers: dict[str, Number] = {}
    for name, what, done, limit in rows:
        key = what.removeprefix("actions on ") if name == "group" else name
        numbers |= {key: done, f"{key}.limit": limit}
    for name, what, done, limit in rows:
        if done >= limit:
            reason = f"{done} {what} in an hour, the limit is {limit}"
            return Ruling("ask", f"budget.{name}", reason, numbers=numbers)
    return allow(f"budget.{clear}", **numbers)
