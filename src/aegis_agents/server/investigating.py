"""An alert that came over HTTP, to its case: in the workroom, counted, live or in shadow."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, NamedTuple

from fastapi import Query

from aegis_agents.server.bodies import Held
from aegis_agents.server.parts import Parts

Format = Annotated[str | None, Query(max_length=40, description="The product format, if detection should not decide.")]


class Done(NamedTuple):
    """A case as JSON values, and whether this request made it."""

    case: dict[str, Any]
    new: bool


async def investigate(parts: Parts, alert: bytes, format: str | None, shadow: bool, *, patient: bool = False) -> Done:
    """Judge an alert. Raises InputError, Refused (503) where the waiting room is full, unless `patient`."""

    def work() -> Done:
        found = [(name, added) for name, added in _events(parts, alert, format, shadow) if name in ("case", "known")]
        name, case = found[-1]
        return Done(case, name == "case")

    return await parts.workroom.work(work, patient=patient)


async def steps(parts: Parts, alert: Held, format: str | None, shadow: bool) -> AsyncIterator[tuple[str, Any]]:
    """The agents' steps as they finish, and the case as the last. Raises InputError, Refused (503).

    The alert counts as held until it was worked on, even if whoever sent it has gone.
    """
    stream = parts.workroom.stream(lambda: _events(parts, alert.body, format, shadow), over=alert.lend())
    async for name, added in stream:
        yield "case" if name == "known" else name, added


def _events(parts: Parts, alert: bytes, format: str | None, shadow: bool) -> Iterator[tuple[str, Any]]:
    """Steps, then the case: as "case" if it was decided here, as "known" if it was there before.

    What is past its time is lifted by the server's loop, and not after each alert.
    """
    run = parts.shadow.of(shadow).begin(alert, format=format)
    begun = time.perf_counter()
    yield from run
    case = run.case()
    if run.new:
        parts.metrics.cases.labels(case.verdict).inc()
        parts.metrics.decision.observe(time.perf_counter() - begun)
    yield "case" if run.new else "known", case.to_dict()
