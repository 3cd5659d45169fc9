"""The storms that evals/storm.py lets loose: a day, a burst, copies without end, one source that floods, a full inbox."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import NamedTuple

from evals.storm_model import Arrival

MIX = (0.45, 0.35, 0.15, 0.05)
"""Shares of low, normal, high and urgent: an assumption, like every curve here."""
DAY_S = 86_400
SOURCES = ("edr", "identity", "cloud", "email", "network")


class Storm(NamedTuple):
    """A storm: what comes, with how many workers, and how the inbox is set."""

    name: str
    told: str
    arrivals: list[Arrival]
    workers: int
    most_waiting: int = 1_000_000
    rate_per_stream: float = 0.0
    locked: bool = True
    """Whether the ledger's lock is simulated; where it is far from its bound that costs time and changes nothing."""


def _poisson(dice: random.Random, rate: float, begin: float, end: float, **fixed: str) -> Iterator[Arrival]:
    """So many a second at random from `begin` to `end`."""
    at = begin
    while rate > 0 and (at := at + dice.expovariate(rate)) < end:
        (rank,) = dice.choices(range(4), MIX)
        yield Arrival(at, fixed.get("stream") or dice.choice(SOURCES), rank, fixed.get("key"))


def day_rate(second: float, per_day: float) -> float:
    """Alerts a second: nights at two fifths of the mean, and 1.6 times the mean at 14 o'clock."""
    return per_day / DAY_S * (1 - 0.6 * math.cos(2 * math.pi * (second / DAY_S - 2 / 24)))


def a_day(dice: random.Random, per_day: int) -> Iterator[Arrival]:
    """A whole day, in steps of ten minutes."""
    for begin in range(0, DAY_S, 600):
        yield from _poisson(dice, day_rate(begin + 300, per_day), begin, begin + 600)


def storms(seed: int, share: float, capacity: float) -> list[Storm]:
    """All of them. `share` below 1 makes each smaller, to try it out; `capacity` is incidents a second of one worker."""
    dice = random.Random(seed)
    mean = 1_000_000 / DAY_S * share
    enough = math.ceil(1.6 * mean / (0.7 * capacity))  # the peak hour at 70 % of what they can do
    few = max(1, enough - 1)
    seconds = 60

    def calm(length: float) -> list[Arrival]:
        return list(_poisson(dice, mean, 0, length))

    def joined(*parts: list[Arrival]) -> list[Arrival]:
        return sorted((arrival for part in parts for arrival in part), key=lambda arrival: arrival.at)

    burst = list(_poisson(dice, 1000 * share, 120, 120 + seconds))
    copies = [Arrival(a.at, "edr", 2, "the same") for a in _poisson(dice, 1000 * share, 120, 120 + 10 * seconds)]
    flood = [a._replace(stream="noisy") for a in _poisson(dice, 50 * share, 120, 120 + 15 * seconds)]
    return [
        Storm("day", f"{1_000_000 * share:,.0f} in a day", list(a_day(dice, round(1_000_000 * share))), enough, locked=False),
        Storm("day, fewer", "the same, a worker fewer", list(a_day(dice, round(1_000_000 * share))), few, locked=False),
        Storm("burst", f"{1000 * share:,.0f} a second for a minute, all different", joined(calm(1200), burst), 4 * enough),
        Storm("copies", f"{1000 * share:,.0f} copies a second of one alert, ten minutes", joined(calm(1200), copies), enough),
        Storm("flood", f"one source: {50 * share:,.0f} a second, quarter of an hour", joined(calm(1800), flood), enough),
        Storm("flood, limited", "the same, `rate_per_stream` 5", joined(calm(1800), flood), enough, rate_per_stream=5 * share),
        Storm("burst, full", "the burst with `most_waiting` 10,000", joined(calm(1200), burst), 4 * enough, most_waiting=round(10_000 * share)),
    ]  # fmt: skip
