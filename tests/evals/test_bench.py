"""The bench's own parts: what it measures on, and how it charges time. Nothing here is timed against a limit."""

from __future__ import annotations

import time

from aegis_agents.sources import parse
from evals.bench.__main__ import judge
from evals.bench.alerts import PEOPLE, distinct, stream
from evals.bench.cold import First
from evals.bench.where import Meter


def test_alerts_differ_and_are_the_same_each_time() -> None:
    assert distinct(7) == distinct(7)
    assert len({parse(distinct(n)).id for n in range(300)}) == 300
    assert len({parse(stream(n)).id for n in range(3 * 5 * PEOPLE)}) == 3 * 5 * PEOPLE


def test_a_varied_alert_keeps_its_format_and_names_others_alone() -> None:
    for number in range(5):
        first, later = parse(distinct(number)), parse(distinct(number + 1000))
        assert first.source == later.source
        for kind in ("user", "host", "ip", "alert"):
            mine = {e.value for e in first.entities if e.kind == kind}
            theirs = {e.value for e in later.entities if e.kind == kind}
            assert len(mine) == len(theirs)
            assert mine.isdisjoint(theirs)


def test_the_stream_comes_back_to_the_same_hosts() -> None:
    def hosts(number: int) -> set[str]:
        return {e.value for e in parse(stream(number)).entities if e.kind == "host"}

    assert hosts(0) == hosts(5 * PEOPLE) != hosts(5)


def test_time_within_another_part_is_charged_once() -> None:
    meter = Meter()
    begun = time.perf_counter()
    with meter.in_part("outer"), meter.in_part("inner"):
        sum(range(200_000))
    taken = time.perf_counter() - begun
    assert meter.seconds["inner"] > meter.seconds["outer"]
    assert meter.seconds["inner"] + meter.seconds["outer"] <= taken


def test_targets_are_held_up_to_their_limit() -> None:
    found = judge(
        {"bare": 10.0, "decision": 20.0, "stream": 20.1}, 0.3, First(3.9, 4.1), First(9.0, 9.1), 701.0,
        {"first": 10.0, "last": 12.6},
    )  # fmt: skip
    assert [t.held for t in found] == [True, False, True, True, False, True, False, False, False]
    assert found[0].target == 20.0
