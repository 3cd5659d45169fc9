"""Drift: whether what comes in, how sure Aegis is, and what it says are still as they were when it began here.

Near-duplicates of one day count once (`probing` forms the groups): the links of earned autonomy are too coarse here, since
they make all alerts of one rule or one host in a day a single campaign. The reference is the deployment's own: the first
groups that this version of the model decided. From half of them it is learnt which sources and words are usual; from then
on each group gets four scores, and each score a conformal p-value among all before it. A martingale for each bets that
they are not uniform (Vovk, Gammerman and Shafer 2005, section 7.1; Vovk et al. 2021, arXiv:2102.10439). What is assumed is
that groups come in no particular order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from aegis_agents.monitor.ranks import Ranks, lot
from aegis_agents.monitor.signs import Signs
from aegis_agents.monitor.wager import Wager, p_bets, rounds

STREAMS: Final[Mapping[str, str]] = {
    "sources": "which products alerts come from",
    "words": "what alerts say (share of words not seen at the beginning)",
    "confidence": "how sure the verdicts are",
    "verdicts": "how often which verdict is given",
}
_ALARMING: Final = {"false_positive": 0.0, "benign_positive": 1 / 3, "undetermined": 2 / 3, "true_positive": 1.0}
MOST_WORDS: Final = 50_000
"""Words of the reference that are kept."""


class Usual(BaseModel):
    """What is usual: sources by count, and words, of the first groups."""

    n: int = 0
    sources: dict[str, int] = {}
    words: set[int] = set()

    def add(self, signs: Signs) -> None:
        """Learn from one more group."""
        self.n += 1
        self.sources[signs.source] = self.sources.get(signs.source, 0) + 1
        if len(self.words) < MOST_WORDS:
            self.words.update(signs.words)

    def scores(self, signs: Signs) -> dict[str, float]:
        """How unusual a group is, by stream, 0 to 1."""
        new = len(signs.words - self.words) / len(signs.words) if signs.words else 0.0
        return {
            "sources": 1 - self.sources.get(signs.source, 0) / self.n,
            "words": new,
            "confidence": signs.confidence,
            "verdicts": _ALARMING[signs.verdict],
        }


class Stream(BaseModel):
    """One martingale with the scores that it ranks."""

    ranks: Ranks = Ranks()
    wager: Wager = Wager()


class Drift(BaseModel):
    """The four streams under one version of the model. `tries` counts how often it began anew."""

    tries: int = 1
    usual: Usual = Usual()
    streams: dict[str, Stream] = {}

    def add(self, signs: Signs, seed: str, reference: int) -> None:
        """Take in the first case of a group; `reference` is how many of them are compared with."""
        if self.usual.n < reference // 2:
            self.usual.add(signs)
            return
        for name, score in self.usual.scores(signs).items():
            stream = self.streams.setdefault(name, Stream())
            p = stream.ranks.p_value(score, lot(seed, name, signs.incident_id))
            stream.wager.step(p_bets(p))

    def doubt(self, whole: float) -> float:
        """What one stream may spend of the doubt, in this try."""
        return rounds(whole, self.tries) / len(STREAMS)

    def found(self, whole: float) -> list[str]:
        """The streams that drifted."""
        return [name for name, stream in self.streams.items() if stream.wager.shown(self.doubt(whole))]

    def again(self) -> Drift:
        """A new reference, from now on: a person said that what changed is all right."""
        return Drift(tries=self.tries + 1)
