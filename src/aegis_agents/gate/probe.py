"""What the settings allow an action to do alone, before there is an incident: for people who review them.

The gate's own steps answer, on a made-up incident that nothing speaks against: a certain attack (or, for
closing, a certainly harmless alert), an hour in which nothing was done, an asset of the asked tier in no group.
A real incident can only be allowed less.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from aegis_agents.gate import autonomy, budget, cedar, cost, risk
from aegis_agents.gate.assets import AssetFacts
from aegis_agents.gate.context import GateContext, GateSettings, Step
from aegis_agents.gate.earned.cells import NOTHING_EARNED, EarnedAutonomy
from aegis_agents.gate.request import GateRequest, Number, Ruling, Usage, Verb, class_of, lowest
from aegis_agents.gate.tiers import Tier
from aegis_agents.records import (
    CATALOGUE,
    ActionName,
    Assessment,
    Claim,
    Conclusion,
    Entity,
    Incident,
    ProposedAction,
    Severity,
    Target,
    Verdict,
)
from aegis_agents.records.base import Record

_STEPS: Final[tuple[tuple[str, Step], ...]] = (
    ("policy", cedar.check), ("autonomy", autonomy.check), ("risk", risk.check), ("cost", cost.check),
    ("budget", budget.check),
)  # fmt: skip
_PLAIN: Final = {"ip": "203.0.113.1"}
"""A value that is no asset of anybody's; elsewhere the kind's own name will do."""


class Probed(Record):
    """The most that is allowed on assets of a tier, by which rule, and what each step says."""

    action: ActionName
    tier: Tier
    verb: Verb
    rule: str
    reason: str
    level: str
    source: str
    threshold: float
    persons: int
    """How many have to approve where it is asked; 0 where it is not."""
    steps: dict[str, str]


def probe(
    settings: GateSettings, action: ActionName, tier: Tier, *, severity: Severity = "high",
    earned: EarnedAutonomy = NOTHING_EARNED,
) -> Probed:  # fmt: skip
    """What the settings allow this action on assets of this tier."""
    spec = CATALOGUE[action]
    context = GateContext(settings, spec, class_of(spec), AssetFacts(tier=tier))
    request = _request(action, severity, earned)
    rulings = {name: step(request, context) for name, step in _STEPS}
    verb = lowest(ruling.ceiling for ruling in rulings.values())
    deciding = next(ruling for ruling in rulings.values() if ruling.ceiling == verb)
    alone = verb == "execute"
    return Probed(
        action=action, tier=tier, verb=verb,
        rule="gate.all_clear" if alone else deciding.rule, reason="every step allows it" if alone else deciding.reason,
        level=_text(rulings["autonomy"], "level"), source=_text(rulings["autonomy"], "source"),
        threshold=float(rulings["risk"].numbers["threshold"] or 0.0),
        persons=max((r.approvals for r in rulings.values() if r.ceiling == "ask"), default=0) if verb == "ask" else 0,
        steps={name: f"{ruling.ceiling}: {ruling.rule}" for name, ruling in rulings.items()},
    )  # fmt: skip


def _text(ruling: Ruling, key: str) -> str:
    value: Number = ruling.numbers.get(key, "")
    return str(value)


def _request(action: ActionName, severity: Severity, earned: EarnedAutonomy) -> GateRequest:
    kind = CATALOGUE[action].targets[0]
    target = Target(kind=kind, value=_PLAIN.get(kind, kind))
    verdict: Verdict = "benign_positive" if action == "close_alert" else "true_positive"
    entity = Entity(kind=kind, value=target.value)
    incident = Incident(
        id="probe", source="probe", native_id="probe", title="probe", observed_at=None, claim=Claim(), facts=(),
        entities=(entity,), digest="0" * 64,
    )  # fmt: skip
    assessment = Assessment(
        verdict=verdict, confidence=1.0, probabilities={verdict: 1.0}, severity=severity, weights=(), techniques=(),
        model="probe", facts_read=0, facts_skipped=0,
    )  # fmt: skip
    conclusion = Conclusion(
        verdict=verdict, confidence=1.0, severity=severity, techniques=(), evidence=(), sentences=()
    )  # fmt: skip
    proposed = ProposedAction(action_id="probe", action=action, target=target, reason="probe", cites=())
    return GateRequest(
        incident=incident, assessment=assessment, conclusion=conclusion, action=proposed, now=datetime.now(UTC),
        usage=Usage(), earned=earned,
    )  # fmt: skip


def break_even(settings: GateSettings, action: ActionName, tier: Tier, severity: Severity) -> float | None:
    """The least probability at which doing it alone costs less than asking or leaving it; None where it never does.

    Of an attack for containment, of none for closing. The rest of the probability is on the other side.
    """
    spec = CATALOGUE[action]
    action_class = class_of(spec)
    if action_class == "record":
        return None

    def cheapest(share: float) -> bool:
        odds = cost.Odds(1 - share, share, 0.0) if action_class == "close_alert" else cost.Odds(share, 1 - share, 0.0)
        return cost.price(settings.costs, odds, spec, action_class, severity, tier).cheapest == "execute"

    if not cheapest(1.0):
        return None
    low, high = 0.0, 1.0
    for _ in range(40):  # the options' costs are straight lines in the probability, so one side of it stays cheapest
        middle = (low + high) / 2
        low, high = (low, middle) if cheapest(middle) else (middle, high)
    return high
