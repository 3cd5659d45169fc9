"""Which answer costs least: doing it, asking a person, or leaving it.

Each option has a cost if the incident is an attack and one if it is not; the calibrated probabilities
of the four verdicts weigh them. What the model leaves undetermined may be either: each option is charged
the worse of its two costs for that mass, which is the Gamma-minimax rule (Berger 1985, Statistical
Decision Theory and Bayesian Analysis, section 4.7). A person who is asked is taken to answer rightly.

                if it is an attack                                  if it is none
    contain
      execute   outage + what it leaves of the attack               outage + taking it back
      ask       question + outage + what it leaves + waiting        question
      leave     the attack, missed                                  0
    close the alert
      execute   the attack, missed                                  0
      ask       question + waiting                                  question
      leave     looking into it + waiting for that                  looking into it

It only ever lowers. Records are priced and never lowered: they are how a person is told. Nor is the
containment of what is held to be an attack lowered below asking, whatever the figures: leaving an
attack without a word is not a saving that a table may make.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from aegis_agents.gate.cost_model import CostModel
from aegis_agents.gate.request import ActionClass, GateRequest, Number, Ruling, Verb, allow
from aegis_agents.gate.tiers import Tier
from aegis_agents.records import ActionSpec, Assessment, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aegis_agents.gate.context import GateContext

_ROUNDING: Final = 1e-6
"""Probabilities that sum to this much more than 1 are no probabilities."""


class Odds(NamedTuple):
    """What the model believes: an attack, no attack, and the mass that it leaves open."""

    attack: float
    harmless: float
    open: float

    def worst(self, if_attack: float, if_harmless: float) -> float:
        """The expected cost, the open mass falling where it costs more."""
        return self.attack * if_attack + self.harmless * if_harmless + self.open * max(if_attack, if_harmless)


class Priced(NamedTuple):
    """The expected cost of each answer, in the model's unit. Smaller is better."""

    execute: float
    ask: float
    recommend: float

    @property
    def worth(self) -> float:
        """What doing it saves against leaving it; below 0 where it costs more than it saves."""
        return self.recommend - self.execute

    @property
    def cheapest(self) -> Verb:
        """The answer that costs least; where two cost the same, the one with a person in it."""
        if self.ask <= self.execute and self.ask <= self.recommend:
            return "ask"
        return "execute" if self.execute < self.recommend else "recommend"


def odds_of(assessment: Assessment) -> Odds | None:
    """The probabilities as odds; None where they are none. Mass that no verdict has counts as open."""
    shares: Mapping[Verdict, float] = assessment.probabilities
    if not shares or not all(math.isfinite(share) and 0 <= share <= 1 for share in shares.values()):
        return None
    attack = shares.get("true_positive", 0.0)
    harmless = shares.get("benign_positive", 0.0) + shares.get("false_positive", 0.0)
    if sum(shares.values()) > 1 + _ROUNDING:
        return None
    return Odds(attack, harmless, max(0.0, 1.0 - attack - harmless))


def price(
    costs: CostModel, odds: Odds, spec: ActionSpec, action_class: ActionClass, severity: Severity, tier: Tier,
    left: float = 1.0,
) -> Priced:  # fmt: skip
    """The expected cost of each answer. `left` is the share of the attack that earlier actions leave, 0..1."""
    missed = costs.missed[severity][tier] * left
    if action_class == "record":
        told = costs.minute("record")
        asked = told + costs.minute("approval")
        return Priced(told, odds.worst(asked, asked), odds.worst(missed, 0.0))
    if action_class == "close_alert":
        question, looking = costs.minute("closing"), costs.minute("open_alert")
        waiting = costs.lost_while(severity, tier, "approval", left)
        waiting_long = costs.lost_while(severity, tier, "open_alert", left)
        return Priced(
            odds.worst(missed, 0.0),
            odds.worst(question + waiting, question),
            odds.worst(looking + waiting_long, looking),
        )
    outage, question = costs.outage[spec.name][tier], costs.minute("approval")
    remains = (1.0 - costs.averts[spec.name]) * missed
    waiting = costs.averts[spec.name] * costs.lost_while(severity, tier, "approval", left)
    return Priced(
        odds.worst(outage + remains, outage + costs.minute("undo")),
        odds.worst(question + outage + remains + waiting, question),
        odds.worst(missed, 0.0),
    )


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Lower to the answer of least expected cost."""
    costs = context.settings.costs
    odds = odds_of(request.assessment)
    if odds is None:
        return Ruling("ask", "cost.no_probabilities", "the model gave no probabilities to weigh costs by")
    severity, tier = request.conclusion.severity, context.asset.tier
    priced = price(costs, odds, context.spec, context.action_class, severity, tier, request.left)
    cheapest = priced.cheapest
    numbers: dict[str, Number] = {
        "execute": round(priced.execute, 2), "ask": round(priced.ask, 2), "recommend": round(priced.recommend, 2),
        "unit": costs.unit, "cheapest": cheapest, "model": costs.version, "left": round(request.left, 4),
        "attack": round(odds.attack, 4), "harmless": round(odds.harmless, 4), "open": round(odds.open, 4),
    }  # fmt: skip
    figures = f"doing it costs {priced.execute:.4g}, asking {priced.ask:.4g}, leaving it {priced.recommend:.4g}"
    said = f"{figures} {costs.unit} in expectation"
    if context.action_class == "record":
        return allow("cost.record", **numbers)
    if cheapest == "execute":
        return allow("cost.execute", **numbers)
    if cheapest == "recommend" and request.conclusion.verdict == "true_positive":
        return Ruling("ask", "cost.ask_attack", f"{said}; what is held to be an attack is asked about", numbers=numbers)
    return Ruling(cheapest, f"cost.{cheapest}", said, numbers=numbers)
