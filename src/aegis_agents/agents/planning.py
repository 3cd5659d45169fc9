"""Which responses fit a verdict and what the incident names. A proposal allows nothing: the gate does.

Containment follows NIST SP 800-61r3: limit the spread first, where it is least costly. The
targets are entities of the incident, chosen by kind and role, never by what a text says.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from aegis_agents.gate.cost_order import Pricer, Ranked
from aegis_agents.ledger.ids import action_id
from aegis_agents.records import ActionName, Conclusion, Entity, Incident, ProposedAction, Target
from aegis_agents.records.incident import EntityKind, EntityRole

MAX_PER_ACTION = 3
"""An alert that names hundreds of addresses must not propose hundreds of blocks. Roles come in the order below, so that
names in a text push out none that a field holds."""

_CONTAIN: tuple[tuple[ActionName, EntityKind, tuple[EntityRole, ...]], ...] = (
    ("isolate_host", "host", ("subject", "actor")),
    ("revoke_sessions", "user", ("subject", "actor")),
    ("disable_user", "user", ("actor",)),
    ("disable_access_key", "access_key", ("subject", "actor", "observed")),
    ("quarantine_email", "message", ("subject", "observed")),
    ("block_ip", "ip", ("actor", "peer")),
    ("block_domain", "domain", ("actor", "peer", "observed")),
    ("block_hash", "hash", ("subject", "actor", "peer", "observed")),
    ("quarantine_file", "file", ("subject",)),
    ("kill_process", "pod", ("subject", "actor")),
)
_PRIVATE = tuple(
    ipaddress.ip_network(n)
    for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "fe80::/10", "::1/128")
)  # fmt: skip
_SHARED_SUFFIXES = (".local", ".internal", ".lan", ".corp", ".localhost")


def _is_inside(value: str) -> bool | None:
    """Whether an address is of an inner network; None for what is no address."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return None
    return any(address.version == n.version and address in n for n in _PRIVATE)


def _worth_it(entity: Entity) -> bool:
    """Addresses and names outside (one inside is contained at its host instead); files that are named in full."""
    if entity.kind == "ip":
        return _is_inside(entity.value) is False
    if entity.kind == "file":
        # A bare name may be any file of that name, the system's own included.
        return any(mark in entity.value for mark in "/\\")
    return entity.kind != "domain" or not entity.value.lower().endswith(_SHARED_SUFFIXES)


def _nameless_host(incident: Incident) -> Entity | None:
    """Network sensors know a machine by its address alone: then that names the host to isolate."""
    if any(e.kind == "host" and e.role in ("subject", "actor") for e in incident.entities):
        return None
    inside = (e for e in incident.entities if e.kind == "ip" and e.role in ("subject", "actor") and _is_inside(e.value))
    return next(inside, None)


def _pairs(incident: Incident, conclusion: Conclusion) -> Iterator[tuple[ActionName, Entity]]:
    """Actions and their targets, most specific first. Without an alert there is none to close, and none to ticket."""
    alert = next((e for e in incident.entities if e.kind == "alert"), None)
    if conclusion.verdict in ("benign_positive", "false_positive"):
        if alert is not None:
            yield "close_alert", alert
        return
    if conclusion.verdict == "true_positive":
        if (host := _nameless_host(incident)) is not None:
            yield "isolate_host", host
        for action, kind, roles in _CONTAIN:
            fitting = [e for e in incident.entities if e.kind == kind and e.role in roles and _worth_it(e)]
            for entity in sorted(fitting, key=lambda e: roles.index(e.role))[:MAX_PER_ACTION]:
                yield action, entity
    if alert is not None:
        yield "open_ticket", alert
    subject = next(
        (e for e in incident.entities if e.kind in ("user", "email") and e.role in ("subject", "actor")), None
    )
    if conclusion.verdict == "undetermined" and subject is not None:
        yield "notify_owner", subject


def propose(incident: Incident, conclusion: Conclusion, pricer: Pricer | None = None) -> tuple[ProposedAction, ...]:
    """The proposed actions, each citing the facts that name its target and that decided.

    With a `pricer` containments come in the order of what they save, and each says so in figures.
    """
    decided = tuple(e.id for e in conclusion.evidence if e.kind == "fact")
    found: dict[str, ProposedAction] = {}
    for action, entity in _pairs(incident, conclusion):
        target = Target(kind=entity.kind, value=entity.value)
        key = action_id(incident.id, action, target)
        found[key] = ProposedAction(
            action_id=key, action=action, target=target,
            reason=f"{conclusion.verdict} ({conclusion.confidence:.2f}), {entity.role} of the incident",
            cites=tuple(dict.fromkeys((*decided, *entity.facts[:3]))),
        )  # fmt: skip
    if pricer is None:
        return tuple(found.values())
    return tuple(_with_figures(ranked, pricer.costs.unit) for ranked in pricer.best_first(found.values()))


def _with_figures(ranked: Ranked, unit: str) -> ProposedAction:
    action, priced = ranked
    if priced is None:
        return action
    saves = f"saves {priced.worth:.0f}" if priced.worth >= 0 else f"costs {-priced.worth:.0f} more than it saves"
    figures = f"{saves} {unit} in expectation ({priced.execute:.0f} against {priced.recommend:.0f})"
    return action.model_copy(update={"reason": f"{action.reason}; {figures}"})
