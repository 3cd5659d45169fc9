"""What indicators that feeds list may do to a verdict: add a bounded number towards attack once enough voices agree.

A voice is an owner, however many feeds are theirs. One owner of low or medium trust never moves anything, and
no number of low ones does by themselves: open lists copy from each other within hours, an entry planted in one
is soon in several, and copies can't be told from independent reports here. At least one better voice must join.
Nothing here names a value or a target, and nothing speaks for harmless: being listed nowhere says nothing.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field

from aegis_agents.intel.feeds.config import TRUST
from aegis_agents.intel.trust.age import AgePolicy, indicator_of, is_current
from aegis_agents.records import Assessment, Passage, Verdict
from aegis_agents.records.base import Record

_HARMLESS: tuple[Verdict, ...] = ("benign_positive", "false_positive")
_RANK: dict[Verdict, int] = {"false_positive": 0, "benign_positive": 0, "undetermined": 1, "true_positive": 2}

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class QuorumPolicy(Record):
    """Settings of the quorum.

    `high`, `medium`, `low`: trust from which a voice counts as such; below `low` it does not count.
    `medium_voices`: so many owners of at least medium trust establish an indicator.
    `any_voices`: so many owners of any trust do, one of them of at least medium trust.
    `most`: log-odds that all of it adds at most. 1.5 is a factor of 4.5: it tips a doubtful verdict and
    carries none (the memory of confirmed cases has the same bound).
    """

    high: Share = TRUST["high"]
    medium: Share = TRUST["medium"]
    low: Share = TRUST["low"]
    medium_voices: Annotated[int, Field(ge=2)] = 2
    any_voices: Annotated[int, Field(ge=2)] = 3
    most: Annotated[float, Field(ge=0.0, le=3.0)] = 1.5


class Quorum(NamedTuple):
    """Whether an indicator is established, by whom, and what it adds to the log-odds of an attack (never below 0).

    `strongest` is the highest trust among the owners; `note` is for people and names owners, never a value.
    """

    established: bool
    owners: tuple[str, ...]
    strongest: float
    log_odds: float
    note: str


def weigh(
    hits: Sequence[Passage],
    *,
    now: dt.datetime,
    policy: QuorumPolicy = QuorumPolicy(),  # noqa: B008 - a frozen record
    ages: AgePolicy = AgePolicy(),  # noqa: B008
    max_age_days: Mapping[str, int] | None = None,
    listed_at: Mapping[str, dt.datetime] | None = None,
) -> Quorum:
    """How much the passages that list one indicator count together; those that are out of date don't.

    `max_age_days` and `listed_at` are as in `is_current`.
    """
    voices: dict[str, float] = {}
    for hit in hits:
        current = is_current(hit, now, ages, max_age_days=max_age_days, listed_at=listed_at)
        owner = hit.owner or hit.feed
        if hit.source == "indicator" and current and owner and hit.trust >= policy.low:
            voices[owner] = max(voices.get(owner, 0.0), hit.trust)
    owners = tuple(sorted(voices, key=lambda o: (-voices[o], o)))
    strongest = max(voices.values(), default=0.0)
    better = sum(t >= policy.medium for t in voices.values())
    established = (
        strongest >= policy.high or better >= policy.medium_voices or (better >= 1 and len(voices) >= policy.any_voices)
    )
    odds = min(policy.most, sum(voices.values())) if established else 0.0
    said = ", ".join(owners) or "nobody"
    if established:
        return Quorum(True, owners, strongest, odds, f"listed as an indicator by {said}: {odds:.2f} towards attack")
    return Quorum(False, owners, strongest, 0.0, f"listed by {said} alone: not enough to count")


def join(
    assessment: Assessment,
    hits: Sequence[Passage],
    *,
    now: dt.datetime,
    policy: QuorumPolicy = QuorumPolicy(),  # noqa: B008
    ages: AgePolicy = AgePolicy(),  # noqa: B008
    max_age_days: Mapping[str, int] | None = None,
    listed_at: Mapping[str, dt.datetime] | None = None,
) -> tuple[Assessment, tuple[str, ...]]:
    """The assessment with what feeds say of the alert's indicators, and a note for people if they count.

    Each indicator is weighed apart and the strongest counts alone, so that a flood of them is worth no more
    than one. Only probabilities, verdict and confidence move, and only towards attack; severity, techniques
    and facts stay, and no target comes out of it.
    """
    by_value: dict[str, list[Passage]] = {}
    for hit in hits:
        if (indicator := indicator_of(hit)) is not None:
            by_value.setdefault(indicator.key, []).append(hit)
    weighed = [
        weigh(same, now=now, policy=policy, ages=ages, max_age_days=max_age_days, listed_at=listed_at)
        for same in by_value.values()
    ]
    best = max(weighed, key=lambda q: q.log_odds, default=None)
    if best is None or best.log_odds <= 0:
        return assessment, ()
    shares = _towards_attack(assessment.probabilities, best.log_odds)
    verdict = _verdict(assessment.verdict, shares)
    changed = "" if verdict == assessment.verdict else f"; the verdict goes from {assessment.verdict} to {verdict}"
    moved = assessment.model_copy(
        update={"verdict": verdict, "confidence": shares.get(verdict, 0.0), "probabilities": shares}
    )
    return moved, (best.note + changed,)


def _towards_attack(probabilities: Mapping[Verdict, float], log_odds: float) -> dict[Verdict, float]:
    grown = {v: p * (math.exp(log_odds) if v == "true_positive" else 1.0) for v, p in probabilities.items()}
    total = sum(grown.values())
    return {v: p / total for v, p in grown.items()} if total > 0 else dict(probabilities)


def _verdict(before: Verdict, shares: Mapping[Verdict, float]) -> Verdict:
    """What the shares say, if that is nearer to attack than before; otherwise what was said before.

    A verdict may be "undetermined" although one share leads (too little certainty): that doubt is kept.
    """
    attack, doubt = shares.get("true_positive", 0.0), shares.get("undetermined", 0.0)
    harmless = sum(shares.get(v, 0.0) for v in _HARMLESS)
    said: Verdict = "false_positive"
    if doubt > max(attack, harmless):
        said = "undetermined"
    elif attack >= harmless:
        said = "true_positive"
    return said if _RANK[said] > _RANK[before] else before
