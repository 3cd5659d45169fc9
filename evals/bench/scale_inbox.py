"""What the inbox costs a message: put by streams, taken and finished by workers, with nothing done in between."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from aegis_agents.inbox.opening import open_inbox
from aegis_agents.inbox.records import Message
from aegis_agents.settings import only
from evals.bench.alerts import distinct
from evals.bench.postgres import cpu_seconds
from evals.bench.scale_place import Place


def inbox_costs(place: Place, count: int, batches: list[int]) -> list[dict[str, Any]]:
    """`count` messages through the inbox, by so many at once; one process, one connection."""
    return [_through(place, count if batch > 1 else count // 10, batch, batch * 10_000_000) for batch in batches]


def _through(place: Place, count: int, batch: int, first: int) -> dict[str, Any]:
    with ExitStack() as stack:
        database = stack.enter_context(place.connect()) if place.database else None
        where = {"database": place.database, "database_schema": place.schema} if place.database else {}
        inbox = open_inbox(only(home=place.home, inbox={"fold_minutes": 60.0}, **where))
        stack.callback(inbox.close)
        messages = [Message("bench", json.dumps(distinct(first + n)), position=str(first + n)) for n in range(count)]
        inbox.put([Message("bench", json.dumps(distinct(first - 1)))])  # loads what tells priorities
        for held in inbox.take("bench", 1):
            inbox.done("bench", held.number)
        copy = Message("bench", messages[0].native)
        found: dict[str, Any] = {"at once": batch, "messages": count}

        def put() -> None:
            for start in range(0, count, batch):
                inbox.put(messages[start : start + batch])

        def work() -> None:
            while taken := inbox.take("bench", batch):
                for held in taken:
                    inbox.done("bench", held.number)

        def fold() -> None:
            for start in range(0, count, batch):
                inbox.put([copy] * min(batch, count - start))

        for name, way in (("put", put), ("take and done", work), ("put, copies of one", fold)):
            found[name] = _timed(way, count, database)
        return found


def _timed(way: Callable[[], None], count: int, database: Any) -> dict[str, float]:
    there = cpu_seconds(database) if database else 0.0
    begun, used = time.perf_counter(), time.process_time()
    way()
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    there = (cpu_seconds(database) if database else 0.0) - there
    return {
        "a second": count / seconds, "processor ms, client": 1000 * used / count, "processor ms, database": 1000 * there / count,
    }  # fmt: skip
