"""What is on record: the ledger, the autonomy matrix with its evidence, what lifts itself."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from aegis_agents.errors import LedgerTampered
from aegis_agents.gate.tiers import TIERS
from aegis_agents.records import CATALOGUE
from aegis_agents.server.console.page_route import Page
from aegis_agents.server.console.visit import Visit, visit_of

router = APIRouter(route_class=Page, include_in_schema=False)

Here = Annotated[Visit, Depends(visit_of)]
PAGE: Final = 50
KINDS: Final = (
    "action.decided", "action.answered", "approval.endorsed", "action.begun", "action.settled", "action.undoing",
    "action.retargeted", "access", "access.refused", "session.opened", "session.closed", "token.added", "token.revoked",
)  # fmt: skip


@router.get("/ledger")
async def ledger(
    visit: Here, after: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    incident: Annotated[str, Query(max_length=300)] = "", kind: Annotated[str, Query(max_length=60)] = "",
) -> Response:  # fmt: skip
    """Entries, the newest on top: the last ones, or those of an incident or kind from the beginning on, or after a number."""
    return await _ledger(visit, after, incident.strip(), kind.strip())


@router.post("/ledger/verify")
async def verify(visit: Here) -> Response:
    """The whole chain, its checkpoints and their signatures are checked."""
    store = visit.parts.aegis.store

    def check() -> dict[str, Any]:
        try:
            return {"intact": True} | store.verify().model_dump(mode="json")
        except LedgerTampered as error:
            return {"intact": False, "error": str(error)}

    found = await visit.parts.verifying.read(check)  # it reads the whole ledger: one at a time, for all who ask
    return await _ledger(visit, None, "", "", verified=found)


async def _ledger(visit: Visit, after: int | None, incident: str, kind: str, **more: Any) -> Response:
    store, served = visit.parts.aegis.store, visit.parts.served

    def look() -> dict[str, Any]:
        newest = served.newest()
        begin = after if after is not None else 0 if incident or kind else max(0, newest - PAGE)
        entries = store.entries(incident_id=incident or None, kind=kind or None, after=begin, limit=PAGE)
        last = entries[-1].seq if len(entries) == PAGE and entries[-1].seq < newest else None
        return {
            "entries": [entry.model_dump(mode="json") for entry in reversed(entries)], "newest": newest, "after": begin, "next": last,
            "before": max(0, begin - PAGE) if begin and not (incident or kind) else None,
            "incident": incident, "kind": kind, "kinds": KINDS,
        }  # fmt: skip

    return await visit.page("ledger.html", look, **{"verified": None, **more})


@router.get("/autonomy")
async def autonomy(visit: Here) -> Response:
    """The matrix in force, and what each cell would need for more."""
    aegis = visit.parts.aegis

    def look() -> dict[str, Any]:
        cells = {row.cell: row for row in aegis.autonomy_in_force()}
        settings = aegis.settings
        return {
            "cells": cells, "actions": list(CATALOGUE.values()), "tiers": TIERS, "standings": aegis.standings(),
            "ceiling": settings.autonomy, "earn": settings.earn,
        }  # fmt: skip

    return await visit.page("autonomy.html", look)


@router.get("/timers")
async def timers(visit: Here) -> Response:
    """What is in effect and will lift itself."""
    aegis = visit.parts.aegis
    return await visit.page("timers.html", lambda: {"rows": aegis.timers()})
