"""`Prefer: respond-async` (RFC 7240): an alert is taken into the inbox and answered at once; a worker decides it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from aegis_agents.errors import InboxFull, InputError
from aegis_agents.inbox.copies import note_copies
from aegis_agents.inbox.inbox import Inbox
from aegis_agents.inbox.records import Message
from aegis_agents.server.answers import answer
from aegis_agents.server.parts import Parts
from aegis_agents.server.problems import Refused
from aegis_agents.sources import parse
from aegis_agents.sources.reading import decode

STREAM = "http"
APPLIED = {"Preference-Applied": "respond-async", "Vary": "Prefer"}
PREFER: dict[str, Any] = {
    "name": "Prefer", "in": "header", "required": False, "schema": {"type": "string"},
    "description": "`respond-async` (RFC 7240): take it in, on disk, answer 202, and decide it later.",
    "example": "respond-async",
}  # fmt: skip
FULL_S = 15
"""Seconds after which a sender may try again who met a full inbox."""


class HandedOver(NamedTuple):
    """An alert that is in the inbox: its incident, which may be that of an earlier one that is alike, and its count."""

    incident_id: str
    copies: int

    def to_dict(self) -> dict[str, Any]:
        """As it is answered."""
        return {"incident_id": self.incident_id, "copies": self.copies, "state": "waiting"}


def wants_async(request: Request, parts: Parts, *, shadow: bool) -> bool:
    """Whether the answer may come before the decision: asked for, and there is an inbox. Raises Refused (422).

    A server without one decides at once, as RFC 7240 lets it.
    """
    asked = any(
        preference.split(";")[0].split("=")[0].strip().lower() == "respond-async"
        for line in request.headers.getlist("prefer")
        for preference in line.split(",")
    )
    if not asked or parts.inbox is None:
        return False
    if shadow:
        raise Refused(
            422, "invalid_input", "what is handed over is decided by a worker, in its own mode", field="shadow", fix="leave it out, or leave Prefer out"
        )  # fmt: skip
    return True


def read_message(parts: Parts, body: bytes, format: str | None) -> tuple[Message, str]:
    """An alert as a message, and its incident's id. Raises InputError for what is no alert: it is not kept."""
    text = decode(body)
    incident = parse(text, format=format, tenant=parts.aegis.settings.tenant)
    return Message(STREAM, text, format=format), incident.id


def hand_over(parts: Parts, messages: Sequence[tuple[Message, str]]) -> list[HandedOver]:
    """Take messages in, all or none; they are on disk when this returns. Raises Refused (503) if the inbox is full."""
    inbox = parts.inbox
    assert inbox is not None  # noqa: S101 - `wants_async` has looked
    try:
        taken = inbox.put([message for message, _ in messages])
    except InboxFull as error:
        raise Refused(
            503, "inbox_full", "as much waits as may: nothing was taken in", fix="try again later", retry_after=FULL_S
        ) from error
    for incident_id, copies in taken.storms:
        note_copies(parts.aegis.store, incident_id, copies)
    return [_standing(inbox, incident_id) for _, incident_id in messages]


def _standing(inbox: Inbox, incident_id: str) -> HandedOver:
    head = inbox.folded_into(incident_id) or incident_id
    return HandedOver(head, inbox.copies(head))


async def accept(parts: Parts, body: bytes, format: str | None) -> Response:
    """One alert: 202 with where its case will be. Raises InputError, Refused (503)."""

    def work() -> HandedOver:
        (done,) = hand_over(parts, [read_message(parts, body, format)])
        return done

    done = await parts.workroom.read(work)
    location = {"Location": f"/v1/incidents/{done.incident_id}"}
    return answer(done.to_dict(), 202, APPLIED | location)


def still_waiting(parts: Parts, incident_id: str, error: InputError) -> Response:
    """What is answered for an incident that has no case: 202 while it waits, the case of the one that it was folded
    into if that is decided. Raises the error for one that is not known at all.
    """
    if parts.inbox is None or error.field != "incident_id":
        raise error
    done = _standing(parts.inbox, incident_id)
    if done.copies == 0:
        raise error
    if done.incident_id != incident_id:
        try:
            return answer(parts.aegis.case(done.incident_id).to_dict())
        except InputError:
            pass
    return answer(done.to_dict(), 202, {"Retry-After": "2"})
