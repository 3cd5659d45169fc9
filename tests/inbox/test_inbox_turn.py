"""Whose turn it is: a flood delays nobody else, the serious come first, and nothing waits for ever."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_agents.inbox.turn import EVERY, HEAD_START_S, PRIORITIES, after
from tests.inbox.inboxes import Clock, Open, alert, open_at, settings_of


def test_a_flood_of_one_stream_does_not_delay_another(open_one: Open, clock: Clock) -> None:
    inbox = open_one(rate_per_stream=10)
    inbox.put([alert(n, stream="flood") for n in range(100)])
    clock.move(1)
    inbox.put([alert(1000 + n, stream="calm") for n in range(5)])
    first = Counter(h.message.stream for h in inbox.take("w", 20))
    assert first["calm"] == 5
    assert first["flood"] == 15  # and the machine does not stand still for it


def test_without_a_rate_all_are_alike(open_one: Open, clock: Clock) -> None:
    inbox = open_one(rate_per_stream=0)
    inbox.put([alert(n, stream="flood") for n in range(40)])
    clock.move(1)
    inbox.put([alert(1000, stream="calm")])
    assert {h.message.stream for h in inbox.take("w", 40)} == {"flood"}


def test_a_stream_may_have_a_rate_of_its_own(open_one: Open, clock: Clock) -> None:
    inbox = open_one(rate_per_stream=0.1, rates={"big": 1000.0})
    inbox.put([alert(n, stream="big") for n in range(50)])
    inbox.put([alert(n, stream="small") for n in range(100, 150)])
    assert Counter(h.message.stream for h in inbox.take("w", 51))["big"] == 50 - 51 // EVERY + 51 // EVERY


def test_two_floods_share_evenly(open_one: Open) -> None:
    inbox = open_one(rate_per_stream=10)
    for start in range(0, 100, 20):
        inbox.put([alert(n, stream="one") for n in range(start, start + 20)])
    inbox.put([alert(1000 + n, stream="two") for n in range(100)])
    taken = Counter(h.message.stream for h in inbox.take("w", 80))
    assert abs(taken["one"] - taken["two"]) <= 80 // EVERY + 1


def test_a_stream_owes_nothing_once_nothing_of_it_waits(open_one: Open, clock: Clock) -> None:
    inbox = open_one(rate_per_stream=0.001)
    inbox.put([alert(n, stream="was-idle") for n in range(50)])
    inbox.take("w", 50)  # nobody else wanted the time
    inbox.put([alert(100, stream="was-idle")])
    clock.move(1)
    inbox.put([alert(200, stream="other")])
    assert [h.message.stream for h in inbox.take("w", 2)] == ["was-idle", "other"]


def test_the_serious_overtake_within_their_head_start(open_one: Open, clock: Clock) -> None:
    inbox = open_one(hold_s=10**6)
    for number, severity in enumerate(("low", "medium", "high", "critical")):
        inbox.put([alert(number, stream=f"s{number}", severity=severity)])
        clock.move(1)
    assert [h.priority for h in inbox.take("w", 9)] == ["urgent", "high", "normal", "low"]
    inbox.put([alert(10, stream="old", severity="low")])
    clock.move(HEAD_START_S["urgent"] + 1)
    inbox.put([alert(11, stream="new", severity="critical")])
    assert [h.priority for h in inbox.take("w", 2)] == ["low", "urgent"]


def test_noise_in_a_stream_does_not_hold_back_what_is_serious_in_it(open_one: Open, clock: Clock) -> None:
    inbox = open_one(rate_per_stream=0.01)
    inbox.put([alert(n, severity="low") for n in range(100)])  # the last one's turn is hours away
    clock.move(5)
    inbox.put([alert(1000, severity="critical")])
    assert "urgent" in [h.priority for h in inbox.take("w", 2)]


def test_one_in_sixteen_is_the_oldest_whatever_the_clock_did(open_one: Open, clock: Clock) -> None:
    inbox = open_one()
    clock.move(10 * 365 * 86_400)
    inbox.put([alert(0, stream="from-the-future")])
    clock.move(-10 * 365 * 86_400)
    for start in range(EVERY):
        inbox.put([alert(100 + 5 * start + n, stream="now") for n in range(5)])
    taken = [h.message.stream for _ in range(EVERY) for h in inbox.take("w")]
    assert taken.count("from-the-future") == 1


@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["low", "high", "critical"]), st.integers(1, 8), st.integers(-90, 90)),
        min_size=1, max_size=12,
    )
)  # fmt: skip
@settings(max_examples=12, deadline=None)
def test_nothing_waits_for_ever(steps: list[tuple[str, str, int, int]]) -> None:
    """Under whatever else comes, and wherever the clock jumps, the first is taken within EVERY takes for each before it."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        inbox = open_at(settings_of(Path(folder), None, "aegis", rate_per_stream=0.5), clock)
        inbox.put([alert(10**6, stream="victim", severity="low")])
        number, takes, found = 0, 0, False
        while not found and takes <= EVERY:
            stream, severity, many, jump = steps[takes % len(steps)]
            inbox.put([alert(number + n, stream=stream, severity=severity) for n in range(many)])
            number += many
            clock.move(jump * 3600.0)
            takes += 1
            found = any(h.message.stream == "victim" for h in inbox.take("w"))
        inbox.close()
    assert found


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.floats(0.1, 50))
@settings(deadline=None)
def test_a_stream_within_its_rate_is_never_put_off(gaps: list[float], rate: float) -> None:
    now = 0.0
    last: list[float | None] = [None, None]
    for gap in gaps:
        now += gap + 1.01 / rate
        last[1] = after(now, last, 0, rate)
        assert last[1] == now


def test_the_head_starts_rise_with_the_rank() -> None:
    starts = [HEAD_START_S[name] for name in PRIORITIES]
    assert starts == sorted(set(starts))
