"""What is on record: the ledger, the autonomy matrix, timers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from aegis_agents.errors import LedgerTampered
from aegis_agents.server.answers import answer
from aegis_agents.server.routes.common import KNOWN_QUERY, TheParts, Viewer, problems
from aegis_agents.server.shapes import AutonomyAnswer, LedgerPage, Timers, Verified

router = APIRouter(prefix="/v1", tags=["records"], dependencies=KNOWN_QUERY)


@router.get("/ledger", summary="Ledger entries", responses={200: {"model": LedgerPage}, **problems(422)})
async def ledger(
    parts: TheParts, who: Viewer,
    after: Annotated[int, Query(ge=0, le=2**62, description="`next` of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    incident: Annotated[str | None, Query(min_length=1, max_length=300)] = None,
    kind: Annotated[str | None, Query(min_length=1, max_length=60, examples=["action.answered"])] = None,
) -> Response:  # fmt: skip
    """Entries with `seq` above `after`, in order. A body that retention removed is null."""

    def look() -> Response:
        entries = parts.aegis.store.entries(incident_id=incident, after=after, limit=limit, kind=kind)
        items = [entry.model_dump(mode="json") for entry in entries]
        return answer({"items": items, "next": entries[-1].seq if len(entries) == limit else None})

    return await parts.workroom.read(look)


@router.get("/ledger/verify", summary="Check the ledger", responses={200: {"model": Verified}, **problems(422)})
async def verify(parts: TheParts, who: Viewer) -> Response:
    """The whole chain, its checkpoints and their signatures are checked."""

    def check() -> dict[str, Any]:
        try:
            found = parts.aegis.store.verify()
        except LedgerTampered as error:
            return {"intact": False, "error": str(error)}
        return {"intact": True} | found.model_dump(mode="json")

    return answer(await parts.verifying.read(check))  # it reads the whole ledger: one at a time, for all who ask


@router.get("/autonomy", summary="What may be done alone", responses={200: {"model": AutonomyAnswer}, **problems(422)})
async def autonomy(parts: TheParts, who: Viewer) -> Response:
    """The matrix in force, action by asset tier, and what each cell lacks until the next level."""
    aegis = parts.aegis

    def look() -> dict[str, Any]:
        return {
            "mode": aegis.settings.mode, "ceiling": aegis.settings.autonomy, "earn": aegis.settings.earn,
            "cells": [row.model_dump(mode="json") for row in aegis.autonomy_in_force()],
            "standings": [standing.model_dump(mode="json") for standing in aegis.standings()],
        }  # fmt: skip

    return answer(await parts.workroom.read(look))


@router.get("/timers", summary="What lifts itself", responses={200: {"model": Timers}, **problems(422)})
async def timers(parts: TheParts, who: Viewer) -> Response:
    """Actions that will lift themselves, the next first."""
    rows = await parts.workroom.read(parts.aegis.timers)
    items = [
        {
            "action_id": row.action_id, "incident_id": row.incident_id, "action": row.proposal.action,
            "target": row.target.model_dump(), "expires_at": row.expires_at.isoformat() if row.expires_at else None,
        }
        for row in rows
    ]  # fmt: skip
    return answer({"items": items})
