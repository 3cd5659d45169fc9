"""Every citation is real: a fact of this incident as it stands there, or a passage that was retrieved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aegis_agents.gate.request import GateRequest, Ruling, allow
from aegis_agents.records import FactEvidence

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Refuse invented or altered evidence; ask where an action that is no record cites none."""
    facts = {fact.id: fact for fact in request.incident.facts}
    passages = set()
    for item in request.conclusion.evidence:
        if not isinstance(item, FactEvidence):
            passages.add(item.id)
            continue
        fact = facts.get(item.id)
        if fact is None:
            return Ruling("refuse", "citation.unknown", f"the conclusion rests on {item.id!r}, no such fact is there")
        if (fact.path, fact.value, fact.trust) != (item.path, item.value, item.trust):
            return Ruling("refuse", "citation.altered", f"the conclusion shows fact {item.id} altered")
    known = facts.keys() | passages
    cited = {cite for sentence in request.conclusion.sentences for cite in sentence.cites} | set(request.action.cites)
    if unknown := sorted(cited - known):
        return Ruling("refuse", "citation.unknown", f"{unknown[0]!r} is cited, and there is no such fact or passage")
    if context.action_class != "record" and not request.action.cites:
        return Ruling("ask", "citation.none", "the action cites no evidence")
    return allow("citation.real", cited=len(cited))
