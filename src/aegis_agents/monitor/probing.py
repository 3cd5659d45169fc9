"""Probing: one alert after another, each a little different, until one gets through.

Cases of one source whose words, as far as an attacker could have written them, are nearly the same form a group. Words
that were met before are no step, whoever repeats them how often: storms of copies say nothing. Of each new wording it is
asked whether the answer moved with it: another verdict, or another probability of an attack than the one before. Most honest
differences (another host, another user, a longer path) move nothing; who searches for the boundary moves it nearly each
time. A stake bets that the share of steps that move the answer is above a bound (`wager.mean_bets`), for each group by
itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import numpy as np
from pydantic import BaseModel

from aegis_agents.gate.caution import ALIKE
from aegis_agents.gate.likeness import PLACES, places
from aegis_agents.monitor.signs import Signs
from aegis_agents.monitor.wager import Wager, mean_bets

MOST_GROUPS: Final = 512
"""Groups that are remembered, over all sources: those that were met last."""
MOST_KNOWN: Final = 200
"""Wordings of one group that are told from new ones."""
LASTS: Final = timedelta(days=2)
"""A group that nothing came to for so long is forgotten."""
LEAST_STEPS: Final = 8
"""New wordings before a group can be called a search, whatever the stake says."""
MOVED: Final = 0.02
"""Difference of the probability of an attack from which an answer has moved."""


class Cluster(BaseModel):
    """One group: the sketch of its first case, the wordings met, and the stake."""

    source: str
    like: str
    known: set[str] = set()
    met_at: datetime
    first_today: bool = False
    """Whether the case that was added last was the first of its day."""
    last: str = ""
    attack: float = 0.0
    steps: int = 0
    moved: int = 0
    wager: Wager = Wager()
    told: bool = False

    def add(self, signs: Signs, share: float) -> None:
        """One more case of the group."""
        self.first_today = not self.known or signs.at.date() > self.met_at.date()
        self.met_at = max(self.met_at, signs.at)
        if signs.variant in self.known:
            return
        first = not self.known
        if len(self.known) < MOST_KNOWN:
            self.known.add(signs.variant)
        moved = signs.verdict != self.last or abs(signs.attack - self.attack) > MOVED
        self.last, self.attack = signs.verdict, signs.attack
        if not first:
            self.steps += 1
            self.moved += moved
            self.wager.step(mean_bets(float(moved), share))


class Probing(BaseModel):
    """The groups of late, oldest met first."""

    clusters: list[Cluster] = []

    def add(self, signs: Signs, share: float) -> Cluster | None:
        """Take in a case; answers its group. None for one without words."""
        if not signs.sketch:
            return None
        found = self._nearest(signs)
        if found is None:
            found = Cluster(source=signs.source, like=signs.sketch, met_at=signs.at)
        else:
            self.clusters.remove(found)
        found.add(signs, share)
        self.clusters.append(found)
        self.clusters = [c for c in self.clusters if signs.at - c.met_at <= LASTS][-MOST_GROUPS:]
        return found

    def _nearest(self, signs: Signs) -> Cluster | None:
        same = [cluster for cluster in self.clusters if cluster.source == signs.source]
        if not same:
            return None
        table = np.stack([places(cluster.like) for cluster in same])
        alike = (table == places(signs.sketch)).sum(axis=1) / PLACES
        best = int(alike.argmax())
        return same[best] if alike[best] >= ALIKE else None


def searching(cluster: Cluster, doubt: float) -> bool:
    """Whether a group was shown to be a search, but for a probability of `doubt`."""
    return cluster.steps >= LEAST_STEPS and cluster.wager.shown(doubt)
