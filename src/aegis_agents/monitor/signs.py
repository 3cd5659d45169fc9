"""What is watched of a decided case: a few numbers and hashes, never its text."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import NamedTuple

from pydantic import BaseModel

from aegis_agents.agents.offering import is_generated
from aegis_agents.gate.earned.campaigns import links_of
from aegis_agents.gate.likeness import sketch, words_of
from aegis_agents.records import Case, Incident, Verdict
from aegis_agents.recovering import is_shadow

MOST_LINKS = 6_000
"""Links of campaigns that are remembered, the newest: days of them, where a campaign has three or four."""


class Signs(NamedTuple):
    """One case: `words` of all its facts, `sketch` and `variant` (alike, and the same) of those that an attacker could
    have written, `attack` the probability of an attack, `links` what ties it to others of one campaign."""

    incident_id: str
    at: datetime
    source: str
    model: str
    verdict: Verdict
    confidence: float
    attack: float
    words: frozenset[int]
    sketch: str
    variant: str
    links: tuple[str, ...]


def signs_of(case: Case, at: datetime) -> Signs | None:
    """The signs of a case that was decided `at`; None for shadow runs and for what did not really happen."""
    incident = case.incident
    if incident is None or is_shadow(case.incident_id) or is_generated(incident):
        return None
    attack = case.probabilities.get("true_positive", 0.0)
    return seen(incident, at, case.versions.get("model", ""), case.verdict, case.confidence, attack)


def seen(incident: Incident, at: datetime, model: str, verdict: Verdict, confidence: float, attack: float) -> Signs:
    """The signs of an incident that this version of the model judged so."""
    chosen = words_of(incident, chosen=True)
    return Signs(
        incident.id, at, incident.source, model, verdict, _share(confidence), _share(attack), words_of(incident),
        sketch(chosen), _same(chosen), links_of(incident, at),
    )  # fmt: skip


def _share(value: float) -> float:
    """A probability; what is none (a model of one's own may say anything) is the surest of all."""
    return value if 0 <= value <= 1 else 1.0


def _same(words: frozenset[int]) -> str:
    """A hash of a set of words, whatever their order."""
    text = " ".join(map(str, sorted(words)))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


class Campaigns(BaseModel):
    """Which links were seen: a storm of one cause counts once, as in earned autonomy (gate/earned/campaigns)."""

    links: dict[str, None] = {}

    def first(self, links: tuple[str, ...]) -> bool:
        """Whether none of these was seen before; they are now."""
        new = self.links.keys().isdisjoint(links)
        for link in links:
            self.links.pop(link, None)
            self.links[link] = None
        while len(self.links) > MOST_LINKS:
            del self.links[next(iter(self.links))]
        return new
