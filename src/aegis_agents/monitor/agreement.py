"""Agreement with analysts: how often people contradict what Aegis said, and whether that is too often.

Confirmed verdicts and reviews are bet on: that more of them contradict than the bound, one bet a campaign, with a stake
for everything, one for each source and one for each class of action (`wager.mean_bets`). It holds for whatever people
choose to look at, as long as the next one's chance of a contradiction stays below the bound. Approvals and denials
are counted by class and not bet on: a denial has many reasons, and who approves has seen what Aegis thinks.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel

from aegis_agents.gate.request import ACTION_CLASSES
from aegis_agents.monitor.said import Said
from aegis_agents.monitor.signs import Campaigns
from aegis_agents.monitor.wager import Wager, mean_bets, rounds

MOST_SOURCES: Final = 200
ALL: Final = "all"


class Group(BaseModel):
    """What was said of one group of cases, and the stake against "contradicted no more often than the bound"."""

    agreed: int = 0
    contradicted: int = 0
    tries: int = 1
    wager: Wager = Wager()

    def add(self, agrees: bool, most: float) -> None:
        """One more campaign."""
        self.agreed += agrees
        self.contradicted += not agrees
        self.wager.step(mean_bets(float(not agrees), most))


class Agreement(BaseModel):
    """What people said, under one version of the model.

    Groups are "all", "source:NAME" in the order of their appearance and "class:NAME"; `answers` counts approvals and
    denials by class, `months` agreements and contradictions by month, `unclear` what said neither.
    """

    groups: dict[str, Group] = {}
    answers: dict[str, tuple[int, int]] = {}
    months: dict[str, tuple[int, int]] = {}
    unclear: int = 0
    voted: Campaigns = Campaigns()

    def add(self, said: Said, source: str, links: tuple[str, ...], month: str, most: float) -> None:
        """Take in what a person said of a case of this source."""
        if said.way == "answer":
            yes, no = self.answers.get(said.action_class, (0, 0))
            self.answers[said.action_class] = (yes + bool(said.agrees), no + (not said.agrees))
            return
        if said.agrees is None:
            self.unclear += 1
            return
        if not self.voted.first(links):
            return
        yes, no = self.months.get(month, (0, 0))
        self.months[month] = (yes + said.agrees, no + (not said.agrees))
        names = [ALL, f"source:{source}", *([f"class:{said.action_class}"] if said.action_class else [])]
        for name in names:
            if name in self.groups or len(self.groups) < MOST_SOURCES:
                self.groups.setdefault(name, Group()).add(said.agrees, most)

    def found(self, whole: float) -> list[str]:
        """The groups in which people contradict too often."""
        return [name for name, group in self.groups.items() if group.wager.shown(self.doubt(name, whole))]

    def doubt(self, name: str, whole: float) -> float:
        """A group's share: half for all together, a quarter each for sources (the earlier, the more) and classes."""
        if name == ALL:
            share = whole / 2
        elif name.startswith("class:"):
            share = whole / 4 / len(ACTION_CLASSES)
        else:
            number = [one for one in self.groups if one.startswith("source:")].index(name) + 1
            share = rounds(whole / 4, number)
        return rounds(share, self.groups[name].tries)

    def again(self, name: str) -> None:
        """A person has looked at why a group is contradicted: it is counted anew."""
        if name in self.groups:
            self.groups[name] = Group(tries=self.groups[name].tries + 1)
