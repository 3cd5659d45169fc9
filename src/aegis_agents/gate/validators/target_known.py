"""The target comes from the incident's own entities and is of a kind that the action takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aegis_agents.gate import addresses
from aegis_agents.gate.request import GateRequest, Ruling, allow

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Refuse a target that is not the incident's; ask where only text that anybody could write names it."""
    incident, target = request.incident, request.action.target
    if target.kind not in context.spec.targets:
        kinds = ", ".join(context.spec.targets)
        return Ruling("refuse", "target.kind", f"{context.spec.name} takes {kinds}, not {target.kind}")
    if target.kind == "alert":
        named = target.value in (incident.id, incident.native_id) or incident.has_entity("alert", target.value)
        if named:
            return allow("target.alert")
        return Ruling("refuse", "target.unknown", "the alert is not this incident's")
    if not incident.has_entity(target.kind, target.value):
        return Ruling("refuse", "target.unknown", f"the incident names no such {target.kind}")
    if target.kind == "ip" and addresses.parse(target.value) is None:
        # A network, a number, a name: whether it is one's own can't be known, and a firewall may read it otherwise.
        return Ruling("refuse", "target.malformed", "it is called an address, and is none")
    if context.spec.name == "add_watchlist":  # watching what an attacker names does no harm
        return allow("target.known")
    naming = {
        fact_id for entity in incident.entities for fact_id in entity.facts
        if (entity.kind, entity.value) == (target.kind, target.value)
    }  # fmt: skip
    if not any(fact.id in naming and fact.trust != "external" for fact in incident.facts):
        return Ruling("ask", "target.external_only", f"only text that anybody could write names this {target.kind}")
    return allow("target.known")
