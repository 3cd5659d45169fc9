"""Text that anybody could have written and that addresses a machine reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aegis_agents.gate.injection import find_signs, find_split
from aegis_agents.gate.request import GateRequest, Ruling, Verb, allow

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext

ADVICE: Final = "injection.noted"
"""The rule of signs that decide nothing: the decision was shown to be the same without the text that has them."""

_BUDGET: Final = 131_072
"""Characters of external text that are read of one incident. More is a sign by itself: text enough to hide in."""


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Lower to ask when an external fact carries signs. A ticket still goes out: it is how a person is told.

    Before a containment the gate takes signs for a note where the counterfactual check has masked all such text and
    nothing changed.
    """
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


def may_be_advice(ruling: Ruling, context: GateContext) -> bool:
    """Whether the counterfactual check may answer it: signs in text that was read, before a containment.

    What was not read stays with a person, and so does closing an alert in which somebody addresses a machine: on the
    develop situations that check alone let such a text close 1 of 279 attacks.
    """
    seen = ruling.rule in ("injection.signs", "injection.split") and ruling.ceiling == "ask"
    return seen and context.action_class != "close_alert"


def as_advice(ruling: Ruling) -> Ruling:
    """The same signs as a note. Only for where all such text was masked and the decision held (see Gate.decide)."""
    reason = f"{ruling.reason}, and it would be done without that text too"
    return Ruling("execute", ADVICE, reason, numbers={**ruling.numbers, "signs": ruling.rule})


def _lower(context: GateContext, rule: str, reason: str, fact_id: str = "") -> Ruling:
    ceiling: Verb = "execute" if context.spec.name == "open_ticket" else "ask"
    return Ruling(ceiling, rule, reason, numbers={"fact": fact_id})
