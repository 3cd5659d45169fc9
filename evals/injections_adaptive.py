"""An attacker who knows the model: searches words and phrases that move its verdicts most, on develop situations only.

Gradient-free: single words by what the model's word table says of them, phrases (what the training corpus says in
deciding fields) by what the model answers when they are added to alerts; then greedily one beside the other.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from aegis_agents.model import FastModel
from aegis_agents.model.lexical import count
from aegis_agents.records import Fact, Incident
from aegis_agents.sources import parse
from aegis_agents.training.alerts.situations import load_situations
from aegis_agents.training.parts import part_of
from evals.injections_cases import HARMLESS, Truth, Unit

PHRASES, SHORTLIST, KEPT, ALERTS = 240, 24, 4, 24
_WORD: Final = re.compile(r"\w\w+")


class Found(NamedTuple):
    """What the search ended with, for moving alerts of this truth to the other side."""

    against: Truth
    words: str
    """The strongest single words in one line."""
    phrases: tuple[str, ...]
    """The phrases of the greedy search, the strongest first."""

    @property
    def whole(self) -> str:
        """All of it as one text."""
        return " ; ".join((self.words, *self.phrases))


def _pool(against: Truth, rng: random.Random) -> tuple[list[str], list[str]]:
    """Words and phrases of deciding fields of train situations that are on the side the attacker wants."""
    words: set[str] = set()
    phrases: set[str] = set()
    for _, situation in load_situations():
        if part_of(situation.scenario) != "train":
            continue
        for variant in situation.variants:
            if (variant.verdict in HARMLESS) != (against == "attack") or variant.verdict == "undetermined":
                continue
            for value in variant.set.values():
                if isinstance(value, str):
                    words.update(_WORD.findall(value.lower()))
                    if 8 <= len(value) <= 120:
                        phrases.add(value)
    return sorted(words), rng.sample(sorted(phrases), PHRASES)


def _with(incident: Incident, texts: Sequence[str]) -> Incident:
    """The incident with these texts in fields that anybody could have written."""
    added = tuple(Fact(id=f"x{n}", path="details", value=t, trust="external") for n, t in enumerate(texts))
    return incident.model_copy(update={"facts": (*incident.facts, *added)})


def pull(model: FastModel, incidents: Sequence[Incident], texts: Sequence[str], against: Truth) -> float:
    """Mean log-odds of the wrong side over the right one with these texts added, each clipped to -4..2."""
    sign, total = (1.0 if against == "attack" else -1.0), 0.0
    for found in model.assess_many([_with(i, texts) for i in incidents]):
        attack = found.probabilities["true_positive"]
        harmless = sum(found.probabilities[v] for v in HARMLESS)
        total += min(2.0, max(-4.0, sign * (math.log(max(harmless, 1e-9)) - math.log(max(attack, 1e-9)))))
    return total / len(incidents)


def _weight(model: FastModel, word: str) -> float:
    """What the word table holds of one word: above 0 it speaks for an attack. The attacker reads the shipped file."""
    table = model._lexical
    at, _ = table._words.read(count([word]))
    return float(table._weights[at[0]]) if len(at) else 0.0


def search(model: FastModel, develop: Sequence[Unit], against: Truth, seed: int = 5) -> Found:
    """The texts that turned develop alerts of this truth most. `develop` must hold develop cases only."""
    rng = random.Random(seed)
    incidents = [parse(u.alert, format=u.format or None) for u in rng.sample(list(develop), min(ALERTS, len(develop)))]
    words, phrases = _pool(against, rng)
    sign = 1 if against == "attack" else -1
    strongest = sorted(words, key=lambda w: sign * _weight(model, w))[:400]
    lines = [" ".join(strongest[:n]) for n in (20, 40, 80)]
    lines += [" ".join(rng.sample(strongest[:120], 30)) for _ in range(6)]
    line = max(lines, key=lambda t: pull(model, incidents, [t], against))
    shortlist = sorted(phrases, key=lambda p: -pull(model, incidents, [p], against))[:SHORTLIST]
    chosen: list[str] = []
    for _ in range(KEPT):
        left = [p for p in shortlist if p not in chosen]
        chosen.append(max(left, key=lambda p: pull(model, incidents, [*chosen, p], against)))
    return Found(against, line, tuple(chosen))
