"""What would have changed a verdict: the model is asked again without single facts, then without the fewest that turn it.

The counterfactual of Wachter, Mittelstadt and Russell (2018), over facts left out: greedy, so a smaller set may exist.
"""

from __future__ import annotations

from aegis_agents.assistant.found import VERDICT_TEXT, Asked, Found, cite_case, cite_fact
from aegis_agents.assistant.reading import Desk, shown
from aegis_agents.model.reask import Reask
from aegis_agents.records import Case, Fact, Verdict

MOST_SINGLE = 12
"""Facts that are left out one at a time, the weightiest first."""
MOST_TOGETHER = 6


def say_what_if(asked: Asked, desk: Desk, case: Case, found: Found) -> None:
    """Which facts the verdict hangs on. Asked of the model in use, without the memory of confirmed cases."""
    incident = case.incident
    if incident is None:
        return
    found.looked("the model, asked again without single facts")
    ask = Reask(desk.model, incident)
    now = ask(frozenset())
    if now.verdict != case.verdict:
        found.say(
            f"The model in use, asked again, says {VERDICT_TEXT[now.verdict]} where the case says "
            f"{VERDICT_TEXT[case.verdict]}: confirmed cases, indicators or another version made the difference.",
            cite_case(case),
        )
    facts = {f.id: f for f in incident.facts}
    ranked = [w.fact for w in sorted(now.weights, key=lambda w: -abs(w.weight))][:MOST_SINGLE]
    alone = dict(zip(ranked, ask.many([frozenset({fact}) for fact in ranked]), strict=True))
    turning = [fact for fact in ranked if alone[fact].verdict != now.verdict]
    for fact in turning[:4]:
        said = alone[fact]
        found.say(
            f"Without {_quoted(facts[fact])} it would have been {VERDICT_TEXT[said.verdict]} ({said.confidence:.2f}).",
            cite_fact(incident.id, facts[fact]),
        )
    if turning:
        return
    found.say(
        f"No single fact carries it: without any one of the {len(ranked)} weightiest it stays "
        f"{VERDICT_TEXT[now.verdict]}.", cite_case(case),
    )  # fmt: skip
    by_pull = sorted(ranked, key=lambda fact: alone[fact].probabilities[now.verdict])
    together = _fewest(ask, now.verdict, by_pull)
    if together is None:
        most = min(MOST_TOGETHER, len(by_pull))
        found.say(f"Without the {most} that carry it most, all left out together, it stays so too.", cite_case(case))
        return
    hidden, verdict, confidence = together
    quoted = "; ".join(_quoted(facts[fact]) for fact in hidden)
    found.say(
        f"Without these {len(hidden)} together it would have been {VERDICT_TEXT[verdict]} ({confidence:.2f}): {quoted}.",
        *(cite_fact(incident.id, facts[fact]) for fact in hidden),
    )


def _fewest(ask: Reask, verdict: Verdict, order: list[str]) -> tuple[list[str], Verdict, float] | None:
    """The first so many of these facts without which the verdict is another."""
    counts = range(2, min(MOST_TOGETHER, len(order)) + 1)
    for count, said in zip(counts, ask.many([frozenset(order[:count]) for count in counts]), strict=True):
        if said.verdict != verdict:
            return order[:count], said.verdict, said.confidence
    return None


def _quoted(fact: Fact) -> str:
    return f"{shown(fact.path, 80)} = “{shown(fact.value, 100)}”"
