"""Text that anybody could have written and that addresses a machine reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aegis_agents.gate.injection import find_signs, find_split
from aegis_agents.gate.request import GateRequest, Ruling, Verb, allow

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext

_BUDGET: Final = 131_072
"""Characters of external text that are read of one incident. More is a sign by itself: text enough to hide in."""


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Lower to ask when an external fact carries signs. A ticket still goes out: it is how a person is told."""
    read = 0
    for fact in request.incident.facts:
        if fact.trust != "external":
            continue
        read += len(fact.value)
        if read > _BUDGET:
            reason = f"there are more than {_BUDGET} characters that anybody could write"
            return _lower(context, "injection.unread", reason, fact.id)
        # A key with a space is no field name of a product: it may carry a message as well as a value can.
        signs = find_signs(fact.value) or (find_signs(fact.path) if " " in fact.path else ())
        if signs:
            reason = f"fact {fact.id} looks like {signs[0].intent} ({signs[0].via})"
            return _lower(context, "injection.signs", reason, fact.id)
    if split := find_split(fact.value for fact in request.incident.facts if fact.trust == "external"):
        reason = f"external fields read together look like {split[0].intent} ({split[0].via})"
        return _lower(context, "injection.split", reason)
    return allow("injection.none", characters=read)


def _lower(context: GateContext, rule: str, reason: str, fact_id: str = "") -> Ruling:
    ceiling: Verb = "execute" if context.spec.name == "open_ticket" else "ask"
    return Ruling(ceiling, rule, reason, numbers={"fact": fact_id})
