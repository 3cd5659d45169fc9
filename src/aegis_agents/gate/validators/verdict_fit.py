"""The action fits the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aegis_agents.gate.request import GateRequest, Ruling, allow

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Refuse containment of what is no attack, and closing what is not shown harmless.

    Where the model and the conclusion drawn from it disagree, a person decides.
    """
    verdict = request.conclusion.verdict
    if context.action_class in ("contain", "destroy") and verdict != "true_positive":
        return Ruling("refuse", "verdict.contain_needs_attack", f"{context.spec.name} does not fit a {verdict}")
    if context.action_class == "close_alert" and verdict not in ("benign_positive", "false_positive"):
        return Ruling("refuse", "verdict.close_needs_harmless", f"an alert that is {verdict} stays open")
    if context.action_class != "record" and request.assessment.verdict != verdict:
        return Ruling("ask", "verdict.disagree", f"the model says {request.assessment.verdict}, not {verdict}")
    return allow("verdict.fits", verdict=verdict)
