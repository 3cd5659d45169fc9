"""The assistant, on a page of its own and beside each case. It answers and proposes; it never acts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from aegis_agents.errors import InputError
from aegis_agents.server.console.forms import target_of
from aegis_agents.server.console.page_route import Page
from aegis_agents.server.console.rendering import shown
from aegis_agents.server.console.visit import Visit, visit_of
from aegis_agents.server.events import event_stream, wants_events

router = APIRouter(route_class=Page, include_in_schema=False)

Here = Annotated[Visit, Depends(visit_of)]
MOST_QUESTION = 2_000


@router.get("/ask")
async def page(visit: Here) -> Response:
    """Where questions are asked that are of no one case."""
    return await visit.page("ask.html", answer=None, question="", incident_id="")


@router.post("/ask")
async def ask(visit: Here) -> Response:
    """Answer a question: as events for the page's script, as a page for everybody else."""
    visit.need("analyst")
    aegis = visit.parts.aegis
    question, incident_id = visit.form.get("question", "").strip(), visit.form.get("incident_id", "").strip() or None
    if not question or len(question) > MOST_QUESTION:
        raise InputError("is empty or too long", field="question", fix=f"ask something, in at most {MOST_QUESTION} characters")  # fmt: skip
    if incident_id is not None:
        wanted = incident_id
        await visit.read(lambda: aegis.case(wanted))
    # What was asked before about the same case, by the same person since they signed in, is the conversation.
    thread = f"{visit.session.key} {incident_id or ''}"
    if wants_events(visit.request):
        return event_stream(_told(visit, question, incident_id, thread), {"Cache-Control": "no-store"})
    answer = await visit.work(lambda: aegis.ask(question, incident_id, thread=thread))
    return await visit.page("ask.html", answer=answer.to_dict(), question=question, incident_id=incident_id or "")


@router.post("/ask/propose")
async def put(visit: Here) -> Response:
    """Put what the assistant proposed before the gate, as this person's wish: it waits for an approver."""
    visit.need("analyst")
    aegis, form = visit.parts.aegis, visit.form
    kind, value = target_of(form.get("target", ""))
    report = await visit.work(
        lambda: aegis.propose(
            form.get("incident_id", ""), form.get("action", ""), kind, value, token=visit.who
        )
    )  # fmt: skip
    waits = report.outcome == "awaiting_approval"
    await visit.note(said="It waits for an approver." if waits else f"The gate said no: {report.reason}", tone="open")
    return visit.to(f"/actions/{report.action_id}")


async def _told(visit: Visit, question: str, incident_id: str | None, thread: str) -> AsyncIterator[tuple[str, Any]]:
    aegis = visit.parts.aegis
    async for event in visit.parts.workroom.stream(lambda: aegis.ask_stream(question, incident_id, thread=thread)):
        yield str(event.kind), shown(event.to_dict())
