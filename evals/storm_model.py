"""A simulation of streams, inbox and workers (simpy): how long alerts wait when too many come at once.

The turn of an alert is the inbox's own rule, imported from it. A worker's time for an alert is drawn from measured
ones; the share of it that holds the ledger's one lock is served one at a time.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import simpy

from aegis_agents.inbox.turn import EVERY, PRIORITIES, after, turn_of


class Arrival(NamedTuple):
    """An alert that comes `at` so many seconds; `key` None is an incident of its own, else those of one key fold."""

    at: float
    stream: str
    rank: int
    key: str | None = None


class Service(NamedTuple):
    """What a worker needs for an alert, in seconds, and how much of it the ledger's lock is held."""

    seconds: float
    locked: float


class Waited(NamedTuple):
    """An alert that was taken: whose, and how long it had waited since it came, in seconds."""

    at: float
    stream: str
    rank: int
    seconds: float


@dataclass
class Inbox:
    """What waits, in turn; as aegis_agents.inbox keeps it, without its database."""

    most_waiting: int = 1_000_000
    rate_per_stream: float = 0.0
    copies: Counter[str] = field(default_factory=Counter)
    _turns: list[tuple[float, int]] = field(default_factory=list)
    _oldest: deque[int] = field(default_factory=deque)
    _waiting: dict[int, tuple[Arrival, float]] = field(default_factory=dict)
    _last: dict[tuple[str, int], float] = field(default_factory=dict)
    _count: Counter[tuple[str, int]] = field(default_factory=Counter)
    _number: int = 0
    _taken: int = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, arrival: Arrival, now: float) -> bool:
        """Take it in, or count it as a copy; False if it is full."""
        if arrival.key is not None:
            self.copies[arrival.key] += 1
            if self.copies[arrival.key] > 1:
                return True
        if len(self._waiting) >= self.most_waiting:
            if arrival.key is not None:
                self.copies[arrival.key] -= 1
            return False
        self._number += 1
        stream, rank = arrival.stream, arrival.rank
        last = [self._last[stream, r] if self._count[stream, r] else None for r in range(len(PRIORITIES))]
        fair = after(now, last, rank, self.rate_per_stream)
        self._last[stream, rank] = fair
        self._count[stream, rank] += 1
        self._waiting[self._number] = (arrival, now)
        heapq.heappush(self._turns, (turn_of(fair, rank), self._number))
        self._oldest.append(self._number)
        return True

    def take(self) -> tuple[Arrival, float] | None:
        """The next in turn, and when it came; one in `EVERY` is the oldest."""
        if not self._waiting:
            return None
        self._taken += 1
        if self._taken % EVERY == 0:
            while self._oldest[0] not in self._waiting:
                self._oldest.popleft()
            number = self._oldest.popleft()
        else:
            while self._turns[0][1] not in self._waiting:
                heapq.heappop(self._turns)
            number = heapq.heappop(self._turns)[1]
        found = self._waiting.pop(number)
        self._count[found[0].stream, found[0].rank] -= 1
        return found


@dataclass
class Outcome:
    """What a simulated storm was like."""

    waited: list[Waited] = field(default_factory=list)
    backlog: list[tuple[float, int, int]] = field(default_factory=list)
    """(second, waiting in the inbox, held back in streams that were told to wait), about once a step."""
    came: int = 0
    folded: int = 0
    drained_at: float = 0.0
    """When the last one was decided."""
    most: tuple[int, int] = (0, 0)
    """Most that ever waited in the inbox, and most that was ever held back in streams."""


def simulate(
    arrivals: Sequence[Arrival], draw: Callable[[random.Random], Service], *, workers: int, inbox: Inbox, seed: int,
    step_s: float = 1.0,
) -> Outcome:  # fmt: skip
    """Let these arrive, in order of their time, and `workers` work until nothing waits."""
    world, dice, found = simpy.Environment(), random.Random(seed), Outcome()
    lock = simpy.Resource(world)
    idle: deque[Any] = deque()
    held_back: deque[Arrival] = deque()
    feeding = [True]

    def wake() -> None:
        while idle and len(inbox):
            idle.popleft().succeed()

    def bring(arrival: Arrival) -> bool:
        if not inbox.put(arrival, world.now):
            return False
        found.came += 1
        return True

    def feeder() -> Generator[Any, Any, None]:
        for arrival in arrivals:
            if arrival.at > world.now:
                yield world.timeout(arrival.at - world.now)
            if held_back or not bring(arrival):
                held_back.append(arrival)  # the stream stops reading; what it has stays where it is
            found.most = max(found.most[0], len(inbox)), max(found.most[1], len(held_back))
            wake()
        feeding[0] = False

    def worker() -> Generator[Any, Any, None]:
        while True:
            taken = inbox.take()
            if taken is None:
                idle.append(signal := world.event())
                yield signal
                continue
            while held_back and bring(held_back[0]):
                held_back.popleft()
            arrival, _ = taken
            found.waited.append(Waited(arrival.at, arrival.stream, arrival.rank, world.now - arrival.at))
            need = draw(dice)
            if need.locked:
                with lock.request() as turn:
                    yield turn
                    yield world.timeout(need.locked)
            yield world.timeout(need.seconds - need.locked)
            found.drained_at = world.now

    def watcher() -> Generator[Any, Any, None]:
        while feeding[0] or len(inbox) or held_back:
            found.backlog.append((world.now, len(inbox), len(held_back)))
            yield world.timeout(step_s)

    world.process(feeder())
    for _ in range(workers):
        world.process(worker())
    world.process(watcher())
    world.run()
    found.folded = sum(n - 1 for n in inbox.copies.values() if n > 1)
    return found


def from_samples(seconds: Sequence[float], locked: Sequence[float]) -> Callable[[random.Random], Service]:
    """Draws one of the measured pairs each time."""
    pairs = [Service(max(s, h), h) for s, h in zip(seconds, locked, strict=True)]
    return lambda dice: dice.choice(pairs)
