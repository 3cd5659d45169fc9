"""The quorum: what listed indicators may do to a verdict, and what they may never do."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_agents.intel.trust import AgePolicy, QuorumPolicy, join, weigh
from aegis_agents.records import VERDICTS, Assessment, FactWeight, Passage, TechniqueScore, Verdict

NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)


def hit(owner: str, trust: float = 0.3, *, feed: str = "", key: str = "ip:203.0.113.7", days: float = 1.0, **more: Any) -> Passage:  # fmt: skip
    feed = feed or f"{owner}-feed"
    fields: dict[str, Any] = {
        "source": "indicator", "id": f"{feed}/{key}", "title": key, "text": "", "score": 1.0, "snapshot": "s",
        "trust": trust, "feed": feed, "owner": owner, "fetched_at": NOW, "observed_at": NOW - dt.timedelta(days=days),
    } | more  # fmt: skip
    return Passage(**fields)


def assessment(verdict: Verdict, **shares: float) -> Assessment:
    probabilities: dict[Verdict, float] = {v: shares.get(v, 0.0) for v in VERDICTS}
    return Assessment(
        verdict=verdict, confidence=probabilities[verdict], probabilities=probabilities, severity="low",
        weights=(FactWeight(fact="f1", weight=0.2),), techniques=(TechniqueScore(technique="T1059", score=0.5),),
        model="m", facts_read=1, facts_skipped=0,
    )  # fmt: skip


DOUBTFUL = assessment("false_positive", true_positive=0.4, benign_positive=0.05, false_positive=0.5, undetermined=0.05)


@pytest.mark.parametrize(
    ("hits", "established"),
    [
        ([], False),
        ([hit("a")], False),
        ([hit("a", 0.6)], False),
        ([hit("a", 0.6, feed=f"f{n}") for n in range(9)], False),  # one owner, nine names
        ([hit(f"o{n}") for n in range(9)], False),  # open lists copy from each other
        ([hit("a", 0.6), hit("b", 0.3)], False),
        ([hit("a", 0.6), hit("b", 0.6)], True),
        ([hit("a", 0.6), hit("b", 0.3), hit("c", 0.3)], True),
        ([hit("a", 0.9)], True),
        ([hit("a", 0.6), hit("b", 0.6, days=31)], False),  # out of date
        ([hit("a", 0.6), hit("b", 0.2), hit("c", 0.2)], False),  # below low: no voice
        ([hit("a", 0.9, source="report")], False),  # prose is no indicator
        ([hit("a", 0.9, id="elsewhere/ip:203.0.113.7")], False),
    ],
)
def test_who_establishes_an_indicator(hits: list[Passage], established: bool) -> None:
    said = weigh(hits, now=NOW)
    assert said.established is established
    assert (said.log_odds > 0) is established


def test_each_setting_of_the_quorum_is_turned() -> None:
    lows = [hit("a"), hit("b"), hit("c", 0.6)]
    assert weigh(lows, now=NOW).established
    assert not weigh(lows, now=NOW, policy=QuorumPolicy(any_voices=4)).established
    assert not weigh(lows, now=NOW, policy=QuorumPolicy(low=0.4)).established
    mediums = [hit("a", 0.6), hit("b", 0.6)]
    assert not weigh(mediums, now=NOW, policy=QuorumPolicy(medium_voices=3)).established
    assert not weigh(mediums, now=NOW, policy=QuorumPolicy(medium=0.7)).established
    assert weigh([hit("a", 0.6)], now=NOW, policy=QuorumPolicy(high=0.6)).established
    many = [hit(f"o{n}", 0.9) for n in range(9)]
    assert weigh(many, now=NOW).log_odds == 1.5
    assert weigh(many, now=NOW, policy=QuorumPolicy(most=0.5)).log_odds == 0.5
    assert weigh([hit("a", 0.9, days=9)], now=NOW, ages=AgePolicy(ip=5), max_age_days={"a-feed": 30}).established
    assert not weigh([hit("a", 0.9, days=9)], now=NOW, ages=AgePolicy(ip=5)).established


def test_a_single_source_can_not_be_allowed_to_decide() -> None:
    with pytest.raises(ValueError, match="medium_voices"):
        QuorumPolicy(medium_voices=1)


def test_what_comes_out_is_a_number_and_a_note_and_never_a_target() -> None:
    said = weigh([hit("a", 0.9), hit("b", 0.6)], now=NOW)
    assert said._fields == ("established", "owners", "strongest", "log_odds", "note")
    assert said.owners == ("a", "b")
    assert "203.0.113.7" not in repr(said)
    before = DOUBTFUL
    after, notes = join(before, [hit("a", 0.9)], now=NOW)
    changed = {"verdict", "confidence", "probabilities"}
    assert after.model_dump(exclude=changed) == before.model_dump(exclude=changed)
    assert "203.0.113.7" not in "".join(notes) + repr(after)


def test_an_established_indicator_tips_a_doubtful_verdict_and_says_so() -> None:
    after, notes = join(DOUBTFUL, [hit("a", 0.6), hit("b", 0.6)], now=NOW)
    assert after.verdict == "true_positive"
    assert after.confidence == after.probabilities["true_positive"]
    assert len(notes) == 1
    assert "from false_positive to true_positive" in notes[0]


def test_a_sure_verdict_is_not_carried() -> None:
    sure = assessment("benign_positive", true_positive=0.02, benign_positive=0.95, undetermined=0.03)
    after, notes = join(sure, [hit(f"o{n}", 0.9) for n in range(50)], now=NOW)
    assert after.verdict == "benign_positive"
    assert after.probabilities["true_positive"] > 0.02
    assert "verdict" not in notes[0]


def test_a_flood_is_worth_no_more_than_one_indicator() -> None:
    one = [hit("a", 0.9)]
    flood = [hit("a", 0.9, key=f"ip:198.51.100.{n}") for n in range(1, 200)]
    assert join(DOUBTFUL, flood, now=NOW) == join(DOUBTFUL, one, now=NOW)
    apart = [hit(f"o{n}", 0.6, key=f"ip:198.51.100.{n}") for n in range(1, 9)]  # each by one owner alone
    assert join(DOUBTFUL, apart, now=NOW) == (DOUBTFUL, ())


def test_doubt_is_never_lifted_towards_harmless() -> None:
    """A verdict may be undetermined although harmless leads: what speaks for an attack does not settle that."""
    unsure = assessment("undetermined", true_positive=0.1, benign_positive=0.6, false_positive=0.2, undetermined=0.1)
    assert join(unsure, [hit("a", 0.9)], now=NOW)[0].verdict == "undetermined"


shares = st.lists(st.floats(0.001, 1), min_size=4, max_size=4).map(lambda v: {k: x / sum(v) for k, x in zip(VERDICTS, v, strict=True)})  # fmt: skip
RANK = {"false_positive": 0, "benign_positive": 0, "undetermined": 1, "true_positive": 2}


@given(
    probabilities=shares,
    verdict=st.sampled_from(VERDICTS),
    feeds=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([0.1, 0.3, 0.6, 0.9, 1.0])), max_size=8),
)
def test_hits_move_only_towards_attack_and_within_the_bound(
    probabilities: dict[str, float], verdict: Verdict, feeds: list[tuple[str, float]]
) -> None:
    before = assessment(verdict, **probabilities)
    after, _ = join(before, [hit(o, t, feed=f"{o}{n}") for n, (o, t) in enumerate(feeds)], now=NOW)

    def odds(a: Assessment) -> float:
        p = a.probabilities["true_positive"]
        return math.log(p / max(1e-12, sum(a.probabilities.values()) - p))

    assert -1e-6 <= odds(after) - odds(before) <= 1.5 + 1e-6
    assert RANK[after.verdict] >= RANK[before.verdict]
    assert sum(after.probabilities.values()) == pytest.approx(1)
    if len({o for o, t in feeds}) == 1 and max(t for _, t in feeds) < 0.9:
        assert after == before
