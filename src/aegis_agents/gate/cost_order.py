"""Which containment of one incident first: the one that saves most, and then what is still worth it after that one.

Cutting a session off and isolating its host may stop the same attack at very different prices. Taken best first,
each later action is weighed by what the earlier ones leave of the attack, so that budgets and people's time go to
what helps, and what the others made needless shows as such. Greedy, since an exact choice among a dozen actions
whose effects nobody measured would only look exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from aegis_agents.gate.cost import Odds, Priced, odds_of, price
from aegis_agents.gate.cost_model import CostModel
from aegis_agents.gate.request import class_of
from aegis_agents.gate.tiers import Tier
from aegis_agents.records import CATALOGUE, Assessment, ProposedAction, Target


class Ranked(NamedTuple):
    """A proposal, and what it costs after those before it; None where nothing can be weighed."""

    action: ProposedAction
    priced: Priced | None


@dataclass(frozen=True)
class Pricer:
    """Prices the proposals of one incident. `tier_of` looks a target's asset tier up, once each."""

    costs: CostModel
    assessment: Assessment
    tier_of: Callable[[Target], Tier]

    @cached_property
    def _odds(self) -> Odds | None:
        return odds_of(self.assessment)

    def price(self, action: ProposedAction, tier: Tier, left: float = 1.0) -> Priced | None:
        """The expected costs of one action on a target of this tier."""
        spec = CATALOGUE.get(action.action)
        if spec is None or self._odds is None:
            return None
        return price(self.costs, self._odds, spec, class_of(spec), self.assessment.severity, tier, left)

    def best_first(self, proposals: Iterable[ProposedAction]) -> list[Ranked]:
        """Containments by what each saves after those before it; all else behind them, in the given order."""
        given = list(proposals)
        acting = [p for p in given if class_of(CATALOGUE[p.action]) in ("contain", "destroy")]
        tiers = {p.action_id: self.tier_of(p.target) for p in acting}
        ranked: list[Ranked] = []
        left = 1.0
        while acting:
            priced = [(p, self.price(p, tiers[p.action_id], left)) for p in acting]
            best, cost = max(priced, key=lambda pair: pair[1].worth if pair[1] else 0.0)
            ranked.append(Ranked(best, cost))
            acting.remove(best)
            left = self.costs.left_after(left, best.action)
        others = (p for p in given if class_of(CATALOGUE[p.action]) not in ("contain", "destroy"))
        return [*ranked, *(Ranked(p, None) for p in others)]
