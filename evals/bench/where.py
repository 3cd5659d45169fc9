"""Where the time of a decision goes: each part's own time, what it calls in other parts taken off."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from aegis_agents import Aegis, sources
from evals.bench.alerts import distinct


class Meter:
    """Seconds by part. Each thread has its own stack, so a part that runs beside another counts in full."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._own = threading.local()

    @contextmanager
    def in_part(self, part: str) -> Iterator[None]:
        """Charges the time within to this part, and takes it off the part around it."""
        stack = self._own.__dict__.setdefault("stack", [])
        stack.append(0.0)
        begun = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - begun
            self.seconds[part] += taken - stack.pop()
            if stack:
                stack[-1] += taken

    def _timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            with self.in_part(part):
                found = function(*arguments, **named)
            if isinstance(found, AbstractContextManager):  # a transaction: opening and committing cost, not its inside
                return self._timed_manager(part, found)
            return found

        return run

    @contextmanager
    def _timed_manager(self, part: str, manager: AbstractContextManager[Any]) -> Iterator[Any]:
        # Written out rather than `with manager`, since only entering and leaving are timed. Nothing in these
        # runs raises inside a transaction; if something did, the run would end there.
        with self.in_part(part):
            entered = manager.__enter__()
        yield entered
        with self.in_part(part):
            manager.__exit__(None, None, None)

    def watch(self, thing: Any, part: str) -> None:
        """Time every public method of this object."""
        for name in dir(type(thing)):
            if not name.startswith("_") and not isinstance(getattr(type(thing), name), property):
                method = getattr(thing, name)
                if callable(method):
                    setattr(thing, name, self._timed(part, method))


def where_time_goes(rounds: int) -> dict[str, float]:
    """Mean milliseconds of each part of a decision on an alert whose facts were not seen before."""
    meter = Meter()
    real_parse = sources.parse
    with tempfile.TemporaryDirectory() as home, Aegis(home=Path(home)) as aegis:
        for number in range(10):
            aegis.investigate(distinct(number))
        context = aegis.context
        meter.watch(context.model, "model")
        meter.watch(context.intel, "intel")
        meter.watch(context.gate, "gate")
        meter.watch(context.store, "ledger: intake, journal, chain")
        meter.watch(context.write_path, "response: the write path")
        meter.watch(aegis.graph.checkpointer, "checkpoint")
        sources.parse = meter._timed("sources", real_parse)
        begun = time.perf_counter()
        try:
            for number in range(1000, 1000 + rounds):
                context.model._encoder._cache.clear()  # type: ignore[attr-defined]
                with meter.in_part("graph, agents and the rest"):
                    aegis.investigate(distinct(number))
        finally:
            sources.parse = real_parse
        whole = time.perf_counter() - begun
    parts = sorted(meter.seconds.items(), key=lambda p: -p[1])
    return {part: 1000 * taken / rounds for part, taken in [("the whole", whole), *parts]}
