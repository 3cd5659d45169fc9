"""The first page: what waits for a person, the most urgent first."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from aegis_agents.server.console.cards import Cases, card
from aegis_agents.server.console.page_route import Page
from aegis_agents.server.console.visit import Visit, visit_of
from aegis_agents.server.console.waiting import Order, read_waiting, state_of

router = APIRouter(route_class=Page, include_in_schema=False)

Here = Annotated[Visit, Depends(visit_of)]
PAGE: Final = 25
"""Actions on one page: more than anybody answers without looking again."""


@router.get("/")
async def inbox(
    visit: Here, page: Annotated[int, Query(ge=1, le=10_000)] = 1, order: Order = "urgent",
) -> Response:  # fmt: skip
    """What waits. Asked for by the page's own script (X-Aegis-Part), only the list itself."""
    aegis = visit.parts.aegis

    def look() -> dict[str, Any]:
        ids = read_waiting(visit.parts.database, order)
        pages = max(1, -(-len(ids) // PAGE))
        at = min(page, pages)
        cases, rows = Cases(aegis), [aegis.store.action(one) for one in ids[(at - 1) * PAGE : at * PAGE]]
        shown = [card(row, cases, visit.who) for row in rows if row.state == "awaiting"]  # some, answered just now
        groups = [(key, list(group)) for key, group in groupby(shown, key=lambda c: c["row"].incident_id)]
        return {
            "groups": groups,
            "total": len(ids),
            "page": at,
            "pages": pages,
            "order": order,
            "state": state_of(visit.parts.database, visit.session.csrf),
        }

    if visit.partial:
        return await visit.page("inbox_list.html", look, notes={})
    return await visit.page("inbox.html", look)


@router.get("/pulse")
async def pulse(visit: Here) -> Response:
    """Whether the inbox changed: a digest that tells nothing else.

    Every open page asks every few seconds. That is no visit: it keeps no session open and has no entry in the ledger,
    which it would bury; what changed is then fetched as a visit like any other.
    """
    found = await visit.read(lambda: {"state": state_of(visit.parts.database, visit.session.csrf)})
    return Response(json.dumps(found), media_type="application/json", headers={"Cache-Control": "no-store"})
