"""A visit: who is here, and what a page may do for them. Nobody gets past this without a session.

`notes` of the session carry one thing from a page to the next: `said`, what was done, and `draft`, what was typed when
something came in between. They are shown once.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse

from aegis_agents.gate.killswitch import engaged
from aegis_agents.records import Principal
from aegis_agents.server.console.cookies import read_cookie
from aegis_agents.server.console.forms import draft_of, page_of, read_form
from aegis_agents.server.console.parts import console_of
from aegis_agents.server.console.rendering import html, render
from aegis_agents.server.console.session_table import Session, SessionTable
from aegis_agents.server.parts import Parts, parts_of
from aegis_agents.server.problems import Refused

T = TypeVar("T")
PART: Final = "x-aegis-part"
"""Header of what a page's script asks for: "1" when a person wanted it, "auto" when it asks by itself."""


class SignInNeeded(Exception):
    """Nobody is signed in, or not any more. `draft` is what they were about to send."""

    def __init__(self, page: str, draft: dict[str, Any] | None = None, *, partial: bool = False) -> None:
        super().__init__(page)
        self.page, self.draft, self.partial = page, draft, partial


class NotThisSession(Exception):
    """The form was made for another session than the one that sends it: nothing was done. `draft` is what it held."""

    def __init__(self, visit: Visit, draft: dict[str, Any]) -> None:
        super().__init__("not this session's form")
        self.visit, self.draft = visit, draft


class Visit:
    """One request of somebody who is signed in."""

    def __init__(self, request: Request, parts: Parts, sessions: SessionTable, session: Session) -> None:
        self.request, self.parts, self.sessions, self.session = request, parts, sessions, session
        self.form: dict[str, str] = {}

    @property
    def who(self) -> Principal:
        """Who it is."""
        return self.session.principal

    @property
    def partial(self) -> bool:
        """Whether the page's own script asks, for a part of it."""
        return PART in self.request.headers

    def may(self, role: str) -> bool:
        """Whether they have this role."""
        return role in self.who.roles

    def need(self, role: str) -> None:
        """Refuse who has not this role. Raises Refused (403)."""
        if not self.may(role):
            held = ", ".join(sorted(self.who.roles)) or "no role"
            raise Refused(
                403, "forbidden", f"{self.who.shown} is no {role}: it has {held}", fix="ask somebody who is one"
            )

    async def read(self, look: Callable[[], T]) -> T:
        """Look something up, beside other requests."""
        return await self.parts.workroom.read(look)

    async def work(self, work: Callable[[], T]) -> T:
        """Do something. Raises Refused (503) if too much waits."""
        return await self.parts.workroom.work(work)

    async def act(self, work: Callable[[], T]) -> T:
        """Carry out what this person said, beside what is investigated. Raises Refused (503) if too much of that waits."""
        return await self.parts.workroom.act(work)

    async def note(self, **notes: Any) -> None:
        """Give the next page something to say (`said`, `tone`, `undo`), or to have typed in (`draft`)."""
        await self.parts.scribe.write(lambda: self.sessions.note(self.session, notes))

    async def notes(self) -> dict[str, Any]:
        """What was left for this page; it is taken."""
        left = self.session.notes
        if left:
            await self.note()
        return left

    async def page(
        self, template: str, look: Callable[[], Mapping[str, Any]] = dict, *, status: int = 200, **more: Any
    ) -> HTMLResponse:
        """A page; `look` fetches what it shows, in a thread of its own."""
        notes = {} if "notes" in more else await self.notes()

        def make() -> str:
            return render(template, {**self.about(), "notes": notes, **more, **look()})

        return html(await self.read(make), status)

    def about(self) -> dict[str, Any]:
        """What every page knows."""
        settings = self.parts.aegis.settings
        return {
            "who": self.who, "csrf": self.session.csrf, "may": self.may, "here": self.request.scope["path"],
            "shadow": settings.mode == "shadow", "killed": engaged(settings.kill_switch_file),
        }  # fmt: skip

    def to(self, page: str) -> RedirectResponse:
        """On to a page (303: a reload sends nothing again)."""
        return RedirectResponse(quote(page, safe="/?=&%#:,~+-._"), 303, {"Cache-Control": "no-store"})


async def visit_of(request: Request) -> Visit:
    """A dependency: the visit. For a POST its form is read, and is one that a page of this session made.

    Raises SignInNeeded, NotThisSession, Refused (403, 415, 422, 429).
    """
    parts, sessions = parts_of(request), console_of(request).sessions
    path = request.scope["path"]
    form = await read_form(request) if request.method == "POST" else {}
    draft = draft_of(path, form) if form else None
    secret = read_cookie(request, "session")
    session = await parts.workroom.ask_who(lambda: sessions.find(secret), abroad=False) if secret else None
    if session is None:
        query = f"?{request.url.query}" if request.url.query else ""
        page = draft["page"] if draft else page_of(f"{path}{query}")
        raise SignInNeeded(page, draft, partial=PART in request.headers)
    session = session.model_copy(update={"principal": parts.people.now(session.principal)})
    parts.rates.person(session.principal.id)
    visit = Visit(request, parts, sessions, session)
    if request.method == "POST":
        if not hmac.compare_digest(form.pop("csrf", "").encode(), session.csrf.encode()):
            raise NotThisSession(visit, draft_of(path, form))
        visit.form = form
    if path != "/pulse":  # every page asks that every few seconds: it would bury the ledger (see inbox)
        request.state.principal = session.principal
    # What asks by itself keeps no session open: nobody may be there any more.
    if path != "/pulse" and request.headers.get(PART) != "auto" and sessions.is_due(session):
        await parts.scribe.write(lambda: sessions.seen(session))
    return visit
