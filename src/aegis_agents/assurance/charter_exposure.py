"""The charter's answers about misuse: what a compromise could reach, and what stands against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aegis_agents.assurance.charter import Line
from aegis_agents.gate.earned.rule import VOTES_A_DAY
from aegis_agents.gate.killswitch import engaged
from aegis_agents.gate.probe import probe
from aegis_agents.gate.tiers import PROTECTED_GROUPS
from aegis_agents.gate.validators import RAILS
from aegis_agents.records import CATALOGUE, ROLES, ActionName

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis


def compromise(aegis: Aegis) -> Iterator[Line]:
    """What the engine, a token of each role, a connector's account and the host could do."""
    limits = aegis.context.gate.settings.budgets
    hour = {
        "actions": limits.actions_per_hour, "closings": limits.closings_per_hour, "targets": limits.blast_radius,
        **{f"tier.{name}": limit for name, limit in limits.per_tier.items()},
        **{f"group.{name}": limit for name, limit in limits.per_group.items()},
        **{f"different {name}": limit for name, limit in limits.per_sort.items()},
    }  # fmt: skip
    said = ", ".join(f"{name} {limit}" for name, limit in hour.items())
    yield Line(text=f"a model or an alert that fools it, at most in an hour alone: {said}", figures=dict(hour),
               source="setting budgets")  # fmt: skip
    yield Line(
        text=f"a breaker hands everything to people after {limits.trip_after} failed or undone actions in an hour",
        figures={"trip_after": limits.trip_after}, source="setting budgets.trip_after",
    )  # fmt: skip
    yield from _roles(aegis)
    yield from _connectors(aegis)
    host = "acts with every connector below, without the gate" if _reach(aegis) else "reads and writes the state"
    yield Line(
        text=f"who holds the account that runs Aegis, or its home {aegis.settings.home}: {host}; "
        "the ledger shows a change only to who keeps its head or a signed checkpoint elsewhere",
        source="setting home, connectors",
    )


def _roles(aegis: Aegis) -> Iterator[Line]:
    now, limits = datetime.now(UTC), aegis.context.gate.settings.budgets
    in_force = [token for token in aegis.store.tokens() if token.revoked_at is None and token.expires_at > now]
    held = Counter(role for token in in_force for role in token.roles.split())
    pending = len(aegis.pending())
    could = {
        "viewer": "read every case, the ledger and the queue of this tenant",
        "analyst": "hand in alerts of their own making, and so have done what Aegis does alone; read as a viewer",
        "approver": f"approve what waits ({pending} now), at most {limits.most_per_hour} contain and destroy actions "
        "an hour; not alone where two persons are needed, and nothing that policy forbids outright",
        "operator": "take back what is in effect and can be undone, and keep what would lift itself",
        "reviewer": "say what was right of what was put before reviewers, and what was wrong of anything: one error "
        "takes a cell's autonomy back, and of those found right "
        + (f"at most {VOTES_A_DAY} a cell and day count towards more" if aegis.settings.earn != "off" else "none unlocks anything"),
        "admin": "hand out and revoke tokens, and so take on every other role",
    }  # fmt: skip
    for role in ROLES:
        yield Line(
            text=f"a stolen token of a{'n' if role[0] in 'ao' else ''} {role} could {could[role]}; in force: {held[role]}",
            figures={"tokens": held[role], "most_per_hour": limits.most_per_hour}
            if role == "approver"
            else {"tokens": held[role]},
            source="aegis token list, setting budgets.most_per_hour",
        )
    if not aegis.settings.require_token:
        yield Line(
            text="no token is needed: whoever may run `aegis` under this account has every role",
            figures={"require_token": False}, source="setting require_token",
        )  # fmt: skip


def _reach(aegis: Aegis) -> dict[str, list[ActionName]]:
    """Connector → actions that it can do, as the write path has them assigned."""
    assigned = getattr(aegis.context.write_path, "connectors", None) or getattr(
        aegis.context.write_path, "_connectors", {}
    )
    found: dict[str, list[ActionName]] = {}
    for action, connector in assigned.items():
        found.setdefault(connector.name, []).append(action)
    return found


def _connectors(aegis: Aegis) -> Iterator[Line]:
    reach = _reach(aegis)
    for name, actions in sorted(reach.items()):
        final = [action for action in actions if not CATALOGUE[action].reversible]
        yield Line(
            text=f"the account of connector {name} could, on anything that it reaches: {', '.join(sorted(actions))}"
            + (f"; of these can't be undone: {', '.join(sorted(final))}" if final else ""),
            figures={"actions": len(actions), "irreversible": len(final)}, source="settings, connectors",
        )  # fmt: skip
    missing = sorted(set(CATALOGUE) - {action for actions in reach.values() for action in actions})
    yield Line(
        text=f"actions that no connector does, so that they end as recommendations: {', '.join(missing) or 'none'}",
        figures={"missing": len(missing)}, source="settings, connectors",
    )  # fmt: skip


def misuse(aegis: Aegis) -> Iterator[Line]:
    """What stands between an alert's text, or a person, and an effect."""
    gate = aegis.context.gate
    settings, policy, assets = gate.settings, gate.settings.policy, gate.assets
    yield Line(text=f"rails that every action passes: {', '.join(RAILS)}", figures={"rails": len(RAILS)}, source="gate")
    own = [name for name in policy.names if name not in _shipped()]
    yield Line(
        text=f"Cedar policy {policy.version}: {len(policy.names)} rules, your own: {', '.join(own) or 'none'}",
        figures={"rules": len(policy.names), "own": len(own), "version": policy.version}, source="setting policy",
    )  # fmt: skip
    yield Line(
        text=f"before acting alone the model is asked again without attackers' text, up to {settings.counterfactual_groups} times",
        figures={"groups": settings.counterfactual_groups}, source="gate",
    )  # fmt: skip
    groups = [group.name for group in assets.groups]
    yield Line(
        text=f"protected as shipped: {', '.join(PROTECTED_GROUPS)}; asset lists: {', '.join(groups) or 'none'}; "
        f"windows: {', '.join(window.name for window in assets.windows) or 'none'}",
        figures={"groups": len(groups), "windows": len(assets.windows)}, source="setting assets",
    )  # fmt: skip
    two = [name for name in CATALOGUE if probe(settings, name, "protected").persons > 1]
    yield Line(text=f"two different persons on protected assets for: {', '.join(two)}", figures={"actions": len(two)},
               source="the gate's own steps")  # fmt: skip
    yield Line(
        text=f"who approves is authenticated by {'a token alone' if aegis.settings.require_token else 'a token or the system account'}",
        figures={"require_token": aegis.settings.require_token}, source="setting require_token",
    )  # fmt: skip
    on = engaged(settings.kill_switch)
    yield Line(
        text=f"`touch {settings.kill_switch}` stops everything but records, without the service's help (now {'ON' if on else 'off'})",
        figures={"engaged": on}, source="setting kill_switch",
    )  # fmt: skip


def _shipped() -> tuple[str, ...]:
    from aegis_agents.gate.cedar import CedarPolicy

    return CedarPolicy.load().names
