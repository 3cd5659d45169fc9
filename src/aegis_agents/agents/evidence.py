"""Which facts and passages a conclusion rests on, and the sentences that cite them.

Every id comes from the incident or from what the intel agent really found, so a citation
can't be invented.
"""

from __future__ import annotations

from aegis_agents.gate import redact
from aegis_agents.records import (
    Assessment,
    FactEvidence,
    Incident,
    Passage,
    PassageEvidence,
    Sentence,
    Verdict,
)

TOP_FACTS = 5
_MIN_WEIGHT = 0.15
"""Below this a fact moved the verdict too little to be called evidence."""
_SHOWN = 160

_VERDICT_TEXT: dict[Verdict, str] = {
    "true_positive": "This is judged an attack",
    "benign_positive": "This happened and is judged allowed",
    "false_positive": "This is judged a wrong detection",
    "undetermined": "The evidence does not decide; a person should look",
}


def fact_evidence(incident: Incident, assessment: Assessment) -> tuple[FactEvidence, ...]:
    """The facts that spoke most for the verdict, then the strongest against it; at most TOP_FACTS."""
    facts = {f.id: f for f in incident.facts}
    sign = {"true_positive": 1.0, "undetermined": 0.0}.get(assessment.verdict, -1.0)
    # For an undetermined verdict both sides matter alike.
    ranked = sorted(assessment.weights, key=lambda w: -(w.weight * sign if sign else abs(w.weight)))
    kept = [w for w in ranked if abs(w.weight) >= _MIN_WEIGHT][:TOP_FACTS] or ranked[:1]
    return tuple(
        FactEvidence(
            id=w.fact, path=facts[w.fact].path, value=facts[w.fact].value, weight=w.weight, trust=facts[w.fact].trust
        )
        for w in kept
    )


def passage_evidence(passages: tuple[Passage, ...]) -> tuple[PassageEvidence, ...]:
    """The passages as evidence, each once."""
    found = {
        (p.source, p.id): PassageEvidence(
            id=p.id,
            source=p.source,
            title=p.title,
            snapshot=p.snapshot,
            score=p.score,
            feed=p.feed,
            trust=p.trust,
            tlp=p.tlp,
        )
        for p in passages
    }
    return tuple(found.values())


def _quoted(fact: FactEvidence) -> str:
    # The rationale goes into tickets and messages: what is secret in a command line stays out of it.
    value = " ".join(redact(fact.value).split())  # a line break must not make a line of its own
    text = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
    return f"{fact.path} = “{text}”"


def write_summary(
    assessment: Assessment, facts: tuple[FactEvidence, ...], passages: tuple[PassageEvidence, ...]
) -> tuple[Sentence, ...]:
    """The deterministic rationale: the verdict, what speaks for an attack, what against, what is known."""
    ids = tuple(f.id for f in facts)
    found = [
        Sentence(text=f"{_VERDICT_TEXT[assessment.verdict]} (probability {assessment.confidence:.2f}).", cites=ids)
    ]
    for label, side in (
        ("Speaking for an attack", [f for f in facts if f.weight > 0]),
        ("Speaking against", [f for f in facts if f.weight < 0]),
    ):
        if side:
            found.append(Sentence(text=f"{label}: {'; '.join(map(_quoted, side))}.", cites=tuple(f.id for f in side)))
    if passages and assessment.verdict == "true_positive":
        named = "; ".join(f"{p.id} {p.title}" for p in passages)
        found.append(Sentence(text=f"Related intelligence: {named}.", cites=tuple(p.id for p in passages)))
    return tuple(found)
