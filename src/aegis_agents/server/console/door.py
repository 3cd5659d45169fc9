"""Signing in and out."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from aegis_agents.errors import IdentityError
from aegis_agents.records import Principal
from aegis_agents.server.console.cookies import drop_cookie, read_cookie, set_cookie
from aegis_agents.server.console.forms import page_of, read_form, unpack_draft
from aegis_agents.server.console.oidc_client import OidcClient
from aegis_agents.server.console.page_route import Page, sign_in_page
from aegis_agents.server.console.parts import console_of
from aegis_agents.server.console.rendering import html, render
from aegis_agents.server.console.visit import Visit, visit_of
from aegis_agents.server.doorkeeper import host_of
from aegis_agents.server.parts import parts_of
from aegis_agents.server.problems import Refused
from aegis_agents.server.rates import address_of

router = APIRouter(route_class=Page, include_in_schema=False)

SIGNED_IN: Final = "session.opened"
"""Ledger entry: somebody signed in to the console."""
SIGNED_OUT: Final = "session.closed"
"""Ledger entry: they signed out."""


@router.get("/login")
async def login(request: Request, next: Annotated[str, Query(max_length=1_500)] = "/") -> Response:
    """The page to sign in at."""
    return sign_in_page(request, next_page=page_of(next))


@router.post("/login")
async def enter(request: Request) -> Response:
    """Sign in with a token."""
    form = await read_form(request)
    next_page, draft = page_of(form.get("next")), form.get("draft", "")
    parts, address = parts_of(request), address_of(host_of(request.scope))
    console = console_of(request)
    if not console.may_try(address):
        said = "Too many wrong tokens from this address. Wait a minute."
        return sign_in_page(request, next_page=next_page, draft=draft, said=said, status=429, retry_after=60)
    token = form.get("token", "").strip()
    try:
        abroad = parts.people.abroad(token)
        who = await parts.workroom.ask_who(lambda: parts.people.authenticate(token), abroad=abroad)
    except IdentityError:
        parts.rates.failed(address)
        console.tried(address)
        said = "This token is not known, has expired or was revoked."
        return sign_in_page(request, next_page=next_page, draft=draft, said=said, status=401)
    return await _open(request, who, next_page, unpack_draft(draft))


@router.post("/login/oidc")
async def leave_for_provider(request: Request) -> Response:
    """On to the identity provider."""
    form = await read_form(request)
    client, sessions, parts = _client(request), console_of(request).sessions, parts_of(request)
    if not console_of(request).may_begin(address_of(host_of(request.scope))):
        raise Refused(
            429, "rate_limited", "too many sign-ins begun from this address", fix="wait a minute", retry_after=60
        )
    home = f"{request.url.scheme}://{request.headers.get('host', '')}"
    url, kept = await parts.workroom.ask_who(lambda: client.begin(f"{home}/login/oidc/callback"), abroad=True)
    kept_too = {"next": page_of(form.get("next")), "draft": form.get("draft", "")}
    secret = await parts.workroom.read(lambda: sessions.start_sign_in(kept | kept_too))
    # Not a redirect: the policy's form-action lets a form go nowhere else, and that is to stay so.
    response = html(render("leaving.html", {"url": url}), 200, {"Refresh": f"0; url={url}"})
    set_cookie(request, response, "sign-in", secret)
    return response


@router.get("/login/oidc/callback")
async def come_back(request: Request) -> Response:
    """Back from the identity provider."""
    parts, sessions, client = parts_of(request), console_of(request).sessions, _client(request)
    secret = read_cookie(request, "sign-in")
    kept: dict[str, Any] | None = None
    if secret is not None:
        wanted = secret
        kept = await parts.workroom.read(lambda: sessions.end_sign_in(wanted))
    answered = dict(request.query_params)
    try:
        if kept is None or len(request.query_params.multi_items()) != len(answered):
            raise IdentityError("this sign-in was not begun in this browser, or took too long: begin again")
        held = kept
        who = await parts.workroom.ask_who(lambda: client.finish(held, answered), abroad=True)
    except IdentityError as error:
        parts.rates.failed(address_of(host_of(request.scope)))
        response = sign_in_page(request, said=str(error).removeprefix("token: ").capitalize() + ".", status=401)
        drop_cookie(request, response, "sign-in")
        return response
    response = await _open(request, who, page_of(held["next"]), unpack_draft(held["draft"]))
    drop_cookie(request, response, "sign-in")
    return response


@router.post("/logout")
async def leave(visit: Annotated[Visit, Depends(visit_of)]) -> Response:
    """Sign out: the session is over, not only forgotten by the browser."""
    store, session = visit.parts.aegis.store, visit.session
    body = {"principal": session.principal.entry()}
    await visit.parts.scribe.write(
        lambda: visit.sessions.close(session), lambda: store.append(SIGNED_OUT, None, body)
    )  # fmt: skip
    response = RedirectResponse("/login", 303, {"Cache-Control": "no-store", "Clear-Site-Data": '"cache", "storage"'})
    drop_cookie(visit.request, response, "session")
    return response


async def _open(request: Request, who: Principal, next_page: str, draft: dict[str, Any] | None) -> Response:
    """Begin a session: a new id, whatever the browser brought along."""
    parts, sessions = parts_of(request), console_of(request).sessions
    if "viewer" not in who.roles:
        said = f"{who.shown} is known, and may do nothing here: no role was given."
        return sign_in_page(request, said=said, status=403)
    request.state.principal = who
    old, notes = read_cookie(request, "session"), {"draft": draft} if draft else {}
    body = {"principal": who.entry(), "address": host_of(request.scope)}

    def open_one() -> str:
        with parts.aegis.store.transaction():
            if old is not None and (before := sessions.find(old)) is not None:
                sessions.close(before)
            secret, _ = sessions.open(who, notes)
            parts.aegis.store.append(SIGNED_IN, None, body)
        return secret

    secret = await parts.workroom.read(open_one)
    response = RedirectResponse(draft["page"] if draft else next_page, 303, {"Cache-Control": "no-store"})
    set_cookie(request, response, "session", secret)
    return response


def _client(request: Request) -> OidcClient:
    client = console_of(request).oidc
    if client is None:
        raise Refused(404, "no_provider", "no identity provider is set for signing in (server.oidc, its client_id)")
    return client
