"""The charter's second answer: what being wrong costs by the cost model, and how often it was wrong here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from aegis_agents.assurance.charter import Line, Value
from aegis_agents.assurance.charter_reading import entries_of
from aegis_agents.gate.probe import break_even
from aegis_agents.gate.request import class_of
from aegis_agents.gate.risk import upper_bound
from aegis_agents.gate.tiers import TIERS, Tier
from aegis_agents.records import CATALOGUE, SEVERITIES

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis

_CONFIDENCE = 0.95
_HARMLESS = ("benign_positive", "false_positive")


def being_wrong(aegis: Aegis) -> Iterator[Line]:
    """The cost model's figures, the probabilities from which acting pays, and the errors that were measured."""
    settings = aegis.context.gate.settings
    costs, named = settings.costs, aegis.settings.costs
    yield Line(
        text=f"in {costs.unit}, cost model {costs.version} ({named or 'shipped: assumptions, nothing in it was measured'})",
        figures={"unit": costs.unit, "version": costs.version}, source="setting costs",
    )  # fmt: skip
    for severity in reversed(SEVERITIES):
        missed = costs.missed[severity]
        said = ", ".join(f"{tier} {missed[tier]:g}" for tier in TIERS)
        yield Line(text=f"a missed {severity} attack: {said}", figures=_by_tier(missed), source="setting costs.missed")
    for action, spec in CATALOGUE.items():
        if class_of(spec) not in ("contain", "destroy"):
            continue
        said = ", ".join(f"{tier} {costs.outage[action][tier]:g}" for tier in TIERS)
        pays = {tier: break_even(settings, action, tier, "high") for tier in TIERS}
        from_ = ", ".join(f"{tier} {'never' if p is None else f'{p:.3f}'}" for tier, p in pays.items())
        way_back = "can be undone" if spec.reversible else "can't be undone"
        yield Line(
            text=f"{action} ({way_back}) breaks: {said}; against a high attack it pays alone from p(attack): {from_}",
            figures=_by_tier(costs.outage[action]) | {f"{tier}.pays_from": p for tier, p in pays.items()},
            source="settings costs.outage, costs.missed",
        )
    yield from _measured(aegis)


def _by_tier(costs: Mapping[Tier, float]) -> dict[str, Value]:
    return {str(tier): cost for tier, cost in costs.items()}


def _share(what: str, bad: int, n: int, source: str) -> Line:
    if n == 0:
        return Line(text=f"{what}: not measured, there is nothing to count yet", figures={"n": 0}, source=source)
    low = 0.0 if bad == 0 else 1 - upper_bound(n - bad, n, (1 - _CONFIDENCE) / 2)
    high = upper_bound(bad, n, (1 - _CONFIDENCE) / 2)
    return Line(
        text=f"{what}: {bad} of {n} ({bad / n:.3f}, 95 % Clopper-Pearson {low:.3f} to {high:.3f})",
        figures={"bad": bad, "n": n, "low": round(low, 4), "high": round(high, 4)}, source=source,
    )  # fmt: skip


def _measured(aegis: Aegis) -> Iterator[Line]:
    settled = Counter(str(body.get("outcome")) for _, body in entries_of(aegis.store, "action.settled"))
    # An action is settled as executed once, and again as undone or expired when it is lifted.
    begun = settled["executed"] + settled["failed"] + settled["unconfirmed"]
    yield _share("actions that failed or could not be confirmed", settled["failed"] + settled["unconfirmed"], begun,
                 "ledger action.settled")  # fmt: skip
    yield _share("actions that somebody took back", settled["undone"], settled["executed"], "ledger action.settled")
    # Two people may review one decision, and correct what they said of an incident: each counts once.
    right: dict[object, bool] = {}
    for number, (_, body) in enumerate(entries_of(aegis.store, "review.given")):
        if body.get("offered"):
            one = body.get("action_id") or number
            right[one] = right.get(one, True) and body.get("answer") == "right"
    wrong = sum(not found for found in right.values())
    yield _share("reviewed decisions (chosen by Aegis) that were not right", wrong, len(right), "ledger review.given")
    latest = {
        incident or number: body
        for number, (incident, body) in enumerate(entries_of(aegis.store, "verdict.confirmed"))
        if "judged" in body
    }
    told = list(latest.values())
    attacks = [body for body in told if body.get("verdict") == "true_positive"]
    others = [body for body in told if body.get("verdict") in _HARMLESS]
    missed = sum(body["judged"] != "true_positive" for body in attacks)
    alarms = sum(body["judged"] not in _HARMLESS for body in others)
    confirmed = "ledger verdict.confirmed"
    yield _share("confirmed attacks that were not called one", missed, len(attacks), confirmed)
    yield _share("confirmed harmless alerts that were not called so", alarms, len(others), confirmed)
