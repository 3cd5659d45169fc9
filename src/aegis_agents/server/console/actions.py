"""One action: everything about it, and what people say of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from aegis_agents.errors import ActionError, AlreadyDecided, InputError
from aegis_agents.records import CATALOGUE, ActionReport
from aegis_agents.server.console.cards import Cases, card, is_dangerous, steps
from aegis_agents.server.console.forms import draft_of, target_of
from aegis_agents.server.console.page_route import Page
from aegis_agents.server.console.rendering import words
from aegis_agents.server.console.visit import Visit, visit_of
from aegis_agents.server.problems import problem_of

router = APIRouter(prefix="/actions/{action_id}", route_class=Page, include_in_schema=False)

Here = Annotated[Visit, Depends(visit_of)]
ActionId = Annotated[str, Path(min_length=1, max_length=100)]
_MOST_HISTORY: Final = 1_000
_SAID: Final = {
    "executed": "Done", "denied": "Denied", "undone": "Taken back", "failed": "It failed", "expired": "Lifted itself",
    "unconfirmed": "Not confirmed: look whether it was done", "recommended": "Approved; no connector can do it: a person must",
}  # fmt: skip


@router.get("")
async def one(action_id: ActionId, visit: Here) -> Response:
    """An action, whole."""
    return await _page(visit, action_id)


@router.post("/approve")
async def approve(action_id: ActionId, visit: Here) -> Response:
    """Approve it. What can't be given back, or touches a protected asset, is asked once more."""
    visit.need("approver")
    aegis, reason = visit.parts.aegis, visit.form.get("reason", "")
    row = await visit.read(lambda: aegis.store.action(action_id))
    if row.state == "awaiting" and is_dangerous(row) and visit.form.get("sure") != "yes":
        return await _page(visit, action_id, sure=True, draft=draft_of(visit.request.scope["path"], visit.form))
    return await _say(visit, action_id, lambda: aegis.approve(action_id, reason=reason, token=visit.who))


@router.post("/deny")
async def deny(action_id: ActionId, visit: Here) -> Response:
    """Deny it, with a reason: whoever looks next asks why."""
    visit.need("approver")
    aegis, reason = visit.parts.aegis, visit.form.get("reason", "").strip()
    if not reason:
        return await _again(visit, action_id, InputError("is empty", field="reason", fix="say why, in a few words"))
    return await _say(visit, action_id, lambda: aegis.deny(action_id, reason=reason, token=visit.who))


@router.post("/retarget")
async def aim(action_id: ActionId, visit: Here) -> Response:
    """Let it aim at another entity of the incident; that waits for an answer again."""
    visit.need("approver")
    aegis, reason = visit.parts.aegis, visit.form.get("reason", "").strip()
    try:
        kind, value = target_of(visit.form.get("target", ""))
        new = await visit.act(lambda: aegis.retarget(action_id, kind, value, reason=reason, token=visit.who))
    except AlreadyDecided as error:
        return await _too_late(visit, action_id, error)
    except (InputError, ActionError) as error:
        return await _again(visit, action_id, error)
    said = f"It now aims at {value}, and waits for an answer. The one before was denied."
    await visit.note(said=said, tone="open")
    return visit.to(f"/actions/{new.action_id}")


@router.post("/undo")
async def undo(action_id: ActionId, visit: Here) -> Response:
    """Take it back."""
    visit.need("operator")
    aegis, reason = visit.parts.aegis, visit.form.get("reason", "").strip()
    return await _say(visit, action_id, lambda: aegis.undo(action_id, reason=reason, token=visit.who), stay=True)  # fmt: skip


@router.post("/keep")
async def keep(action_id: ActionId, visit: Here) -> Response:
    """Let it stay that would lift itself."""
    visit.need("operator")
    aegis, reason = visit.parts.aegis, visit.form.get("reason", "").strip()
    try:
        await visit.act(lambda: aegis.keep(action_id, reason=reason, token=visit.who))
    except (InputError, ActionError) as error:
        return await _again(visit, action_id, error)
    await visit.note(said="It stays until somebody takes it back.", tone="good")
    return visit.to(f"/actions/{action_id}")


async def _say(visit: Visit, action_id: str, say: Callable[[], ActionReport], *, stay: bool = False) -> Response:
    """Do it, and go on to the next: what was done stands on top of that page, with the way back."""
    try:
        report = await visit.act(say)
    except AlreadyDecided as error:
        return await _too_late(visit, action_id, error)
    except (InputError, ActionError) as error:
        return await _again(visit, action_id, error)
    what = f"{words(report.action)} {report.target.value}"
    if report.outcome == "awaiting_approval":
        told = f"Your yes to {what} is noted. It needs another person's too: {report.reason}"
        await visit.note(said=told, tone="open")
    else:
        undo_id = action_id if report.outcome in ("executed", "unconfirmed") and report.reversible else ""
        tone = {"failed": "attack", "unconfirmed": "open", "recommended": "open"}.get(report.outcome, "good")
        detail = f" ({report.detail})" if report.detail else ""
        await visit.note(said=f"{_SAID.get(report.outcome, report.outcome)}: {what}{detail}", tone=tone, undo=undo_id)
    return visit.to(f"/actions/{action_id}" if stay else "/")


async def _too_late(visit: Visit, action_id: str, error: AlreadyDecided) -> Response:
    """Somebody was first: who, and when, and how it stands now."""
    row = await visit.read(lambda: visit.parts.aegis.store.action(action_id))
    if row.state == "awaiting":  # the action is open: it is the other target that is taken
        return await _again(visit, action_id, InputError(str(error), field="target", fix="answer that one"))
    return await _page(visit, action_id, status=409, too_late=str(error))


async def _again(visit: Visit, action_id: str, error: InputError | ActionError) -> Response:
    """It was not done, since something was left out or the gate or the system said no: the same page, with what was typed."""
    draft = draft_of(visit.request.scope["path"], visit.form)
    if isinstance(error, InputError):
        told, status = f"{(error.field or 'it').capitalize()} {error.message}: {error.fix or 'look again'}", 422
    else:
        told, status = str(error), problem_of(error).problem.status
    notes = {"said": f"{told}. It was not done.", "tone": "attack", "draft": draft}
    return await _page(visit, action_id, status=status, notes=notes)


async def _page(visit: Visit, action_id: str, *, status: int = 200, **more: Any) -> Response:
    aegis = visit.parts.aegis

    def look() -> dict[str, Any]:
        row = aegis.store.action(action_id)
        entries = aegis.store.entries(incident_id=row.incident_id, limit=_MOST_HISTORY)
        history = [e for e in entries if e.body and action_id in (e.body.get("action_id"), _about(e.body))]
        shown = card(row, Cases(aegis), visit.who)
        return {"c": shown, "report": row.report(), "steps": steps(row), "history": history, "undo": CATALOGUE[row.proposal.action].undo}  # fmt: skip

    about = {"sure": False, "too_late": "", "draft": None} | more
    return await visit.page("action.html", look, status=status, **about)


def _about(body: dict[str, Any]) -> object:
    proposal = body.get("proposal")
    return proposal.get("action_id") if isinstance(proposal, dict) else body.get("instead_of")
