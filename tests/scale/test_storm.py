"""The simulated inbox takes turns as the real one does, and its storms are what they say."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aegis_agents.inbox.opening import open_inbox
from aegis_agents.inbox.records import Message
from aegis_agents.inbox.turn import EVERY, PRIORITIES
from aegis_agents.settings import only
from evals.storm import draw, measure, to_markdown
from evals.storm_cases import DAY_S, day_rate, storms
from evals.storm_model import Arrival, Inbox, Service, simulate
from evals.storm_real import waits
from tests.crash.worker import alert

pytest.importorskip("simpy", reason="the extra eval is not installed")


def steady(_: random.Random) -> Service:
    return Service(0.1, 0.0)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_it_takes_in_the_order_of_the_real_inbox(tmp_path: Path, rate: float) -> None:
    """The same arrivals in both; the ranks that the real one gave are the simulated one's."""
    clock = [datetime(2026, 11, 26, tzinfo=UTC)]
    real = open_inbox(only(home=tmp_path, inbox={"fold_minutes": 0.0, "rate_per_stream": rate}), clock=lambda: clock[0])
    dice, ranks, order = random.Random(5), {}, []
    severities = ("low", "medium", "high", "critical")
    for number in range(48):
        clock[0] += timedelta(seconds=dice.random() * 600)
        native = json.dumps(alert(3, number) | {"severity": dice.choice(severities)})
        real.put([Message(dice.choice(("a", "b")), native, position=str(number))])
        order.append((clock[0].timestamp(), number))
    taken = []
    while held := real.take("me", 1):
        taken.append(int(held[0].message.position))
        ranks[taken[-1]] = (held[0].message.stream, PRIORITIES.index(held[0].priority))
    real.close()
    assert len({rank for _, rank in ranks.values()}) > 1
    simulated = Inbox(rate_per_stream=rate)
    for at, number in order:
        assert simulated.put(Arrival(at, *ranks[number], key=f"n{number}"), at)
    again = []
    while (one := simulated.take()) is not None:
        again.append(int((one[0].key or "")[1:]))
    assert sorted(taken) == sorted(again) == list(range(48))
    # Which take goes to the oldest is the only freedom: the first such turn may differ by where counting begins.
    out_of_turn = [n for n, (a, b) in enumerate(zip(taken, again, strict=True)) if a != b]
    assert len(out_of_turn) <= 48 // EVERY * 2


def test_copies_are_one_and_counted() -> None:
    found = simulate([Arrival(n / 1000, "a", 0, "same") for n in range(5000)], steady, workers=1, inbox=Inbox(), seed=1)
    assert (len(found.waited), found.folded, found.came) == (1, 4999, 5000)


def test_a_full_inbox_holds_streams_back_and_loses_nothing() -> None:
    arrivals = [Arrival(n / 100, "a", n % 4) for n in range(2000)]
    found = simulate(arrivals, steady, workers=2, inbox=Inbox(most_waiting=50), seed=1)
    assert len(found.waited) == 2000
    assert found.most[0] == 50
    assert found.most[1] > 1000


def test_a_limit_keeps_a_flood_from_holding_others_up() -> None:
    dice = random.Random(1)
    flood = [Arrival(dice.random() * 60, "noisy", 1) for _ in range(3000)]
    others = [Arrival(dice.random() * 60, "quiet", 1) for _ in range(60)]
    arrivals = sorted(flood + others)

    def longest(rate: float) -> float:
        found = simulate(arrivals, steady, workers=1, inbox=Inbox(rate_per_stream=rate), seed=1)
        return max(w.seconds for w in found.waited if w.stream == "quiet")

    assert longest(2.0) < longest(0.0) / 3


def test_the_lock_bounds_what_many_workers_can_do() -> None:
    arrivals = [Arrival(0.0, "a", 1) for _ in range(400)]

    def drained(workers: int, locked: float) -> float:
        return simulate(arrivals, lambda _: Service(0.1, locked), workers=workers, inbox=Inbox(), seed=1).drained_at

    assert drained(40, 0.0) == pytest.approx(1.0)
    assert drained(40, 0.02) >= 8.0  # 400 times 20 ms, one after the other
    assert drained(1, 0.02) == pytest.approx(40.0)


def test_a_day_has_the_number_that_it_says() -> None:
    whole = sum(day_rate(second, 1_000_000) * 60 for second in range(0, DAY_S, 60))
    assert whole == pytest.approx(1_000_000, rel=0.001)
    assert len(storms(1, 0.01, 20.0)[0].arrivals) == pytest.approx(10_000, rel=0.05)


def test_it_reports_and_draws(tmp_path: Path) -> None:
    samples = {"whole": [900.0, 1000.0, 1100.0], "lock": [90.0, 100.0, 110.0]}
    found, outcomes = measure(samples, share=0.001, real=(0, 1.0, 1), seed=3)
    text = to_markdown(found)
    assert len(found["storms"]) == 7
    assert "beside the real thing" not in text
    flood = next(s for s in found["storms"] if s["storm"] == "copies")
    assert flood["folded"] > flood["incidents"]
    draw(found, outcomes, tmp_path / "storm.svg")
    assert (tmp_path / "storm.svg").read_text("utf-8").count("<svg") == 1


def test_waits_of_none_are_none() -> None:
    assert waits([]) == {"n": 0, "p50": 0.0, "p95": 0.0, "max": 0.0}
