"""The counterfactual check: would it still be done if an attacker's text had not been there?

Facts that anybody could have written are masked, one group at a time and then all
together, and the fast model is asked again. Where the verdict changes, or its
confidence falls below what acting needs, the decision hangs on such text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aegis_agents.gate.request import GateRequest, Ruling, allow

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext
    from aegis_agents.records import Incident


def external_groups(incident: Incident, limit: int) -> list[frozenset[str]]:
    """Ids of external facts by the first part of their path, and all of them together last.

    At most `limit` groups: what is beyond is masked in one, so that an alert with
    thousands of fields costs no more.
    """
    by_top: dict[str, list[str]] = {}
    for fact in incident.facts:
        if fact.trust == "external":
            by_top.setdefault(fact.path.split(".", 1)[0], []).append(fact.id)
    groups = [frozenset(ids) for ids in by_top.values()]
    if len(groups) > limit - 1:
        keep = max(0, limit - 2)
        groups = [*groups[:keep], frozenset().union(*groups[keep:])]
    if len(groups) > 1:
        groups.append(frozenset().union(*groups))
    return groups


def _hanging(request: GateRequest, context: GateContext) -> Iterator[str]:
    """Reasons to lower, the first found first."""
    threshold = context.settings.risk.thresholds[context.action_class]
    verdict = request.assessment.verdict
    assert request.reassess is not None  # noqa: S101  # check() looked
    for group in external_groups(request.incident, context.settings.counterfactual_groups):
        again = request.reassess(group)
        first = min(group)
        if again.verdict != verdict:
            yield f"without {len(group)} external facts ({first}, ...) the verdict is {again.verdict}"
        elif not again.confidence >= threshold:
            yield f"without {len(group)} external facts ({first}, ...) the confidence is {again.confidence:.3f}"


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Lower an autonomous containment or closing to ask where it hangs on text that an attacker controls."""
    if context.action_class == "record" or context.so_far != "execute":
        return allow("counterfactual.not_needed", asked=False)
    if request.reassess is None:
        return Ruling("ask", "counterfactual.unavailable", "the model can't be asked again without the external facts")
    reason = next(_hanging(request, context), None)
    if reason is None:
        return allow("counterfactual.holds", asked=True)
    return Ruling("ask", "counterfactual.hangs_on_external", reason, numbers={"asked": True})
