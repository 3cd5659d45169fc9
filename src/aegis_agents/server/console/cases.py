"""A case, with the same pictures as a notebook shows; and the queue of incidents."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from aegis_agents.errors import InputError
from aegis_agents.ledger.queue import QueueState
from aegis_agents.records import CATALOGUE, VERDICTS, Verdict
from aegis_agents.server.console.cards import Cases, card
from aegis_agents.server.console.page_route import Page
from aegis_agents.server.console.visit import Visit, visit_of

router = APIRouter(route_class=Page, include_in_schema=False)

Here = Annotated[Visit, Depends(visit_of)]
IncidentId = Annotated[str, Path(min_length=1, max_length=300)]
PAGE: Final = 50
FINAL: Final = tuple(verdict for verdict in VERDICTS if verdict != "undetermined")


@router.get("/queue")
async def queue(
    visit: Here, cursor: Annotated[str | None, Query(max_length=1_000)] = None,
    verdict: Verdict | Literal[""] = "", state: QueueState | Literal[""] = "",
) -> Response:  # fmt: skip
    """Incidents, newest first."""
    aegis = visit.parts.aegis

    def look() -> dict[str, Any]:
        found = aegis.cases(limit=PAGE, after=cursor or None, verdict=verdict or None, state=state or None)
        return {"rows": found.items, "next": found.next, "verdict": verdict, "state": state, "first": not cursor}

    return await visit.page("queue.html", look)


@router.get("/cases/{incident_id}")
async def one(incident_id: IncidentId, visit: Here) -> Response:
    """A case, whole: what waits of it first."""
    aegis = visit.parts.aegis

    def look() -> dict[str, Any]:
        cases = Cases(aegis)
        rows = aegis.store.actions(incident_id)
        waiting = [card(row, cases, visit.who) for row in rows if row.state == "awaiting"]
        others = [row for row in rows if row.state != "awaiting"]
        try:
            case = aegis.case(incident_id)
        except InputError:
            taken_in = aegis.store.intake(incident_id)
            if taken_in is None:
                raise
            shown = {
                "case": None,
                "incident": taken_in.incident.model_dump(mode="json"),
                "title": taken_in.incident.title,
            }
        else:
            incident = case.incident.model_dump(mode="json") if case.incident else None
            shown = {"case": case.to_dict(), "incident": incident, "title": case.title}
        return shown | {"id": incident_id, "waiting": waiting, "others": others, "catalogue": CATALOGUE, "final": FINAL}

    return await visit.page("case.html", look)


@router.post("/cases/{incident_id}/confirm")
async def confirm(incident_id: IncidentId, visit: Here) -> Response:
    """Say what it really was."""
    visit.need("reviewer")
    aegis, verdict = visit.parts.aegis, visit.form.get("verdict", "")
    final = next((known for known in FINAL if known == verdict), None)
    if final is None:
        raise InputError("was not chosen", field="verdict", fix=f"one of {', '.join(FINAL)}")
    chosen: Any = final
    await visit.work(lambda: aegis.confirm(incident_id, chosen, token=visit.who))
    await visit.note(said=f"Noted: it was a {final.replace('_', ' ')}. Similar incidents are judged with that from now on.", tone="good")  # fmt: skip
    return visit.to(f"/cases/{incident_id}")
