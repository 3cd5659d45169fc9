"""A route whose errors are pages: what went wrong, what was not done, and where to go on."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse, Response

from aegis_agents.errors import AegisError
from aegis_agents.server.console.cookies import drop_cookie, read_cookie
from aegis_agents.server.console.forms import pack_draft
from aegis_agents.server.console.rendering import html, render
from aegis_agents.server.console.visit import NotThisSession, SignInNeeded
from aegis_agents.server.parts import parts_of
from aegis_agents.server.problems import Refused, problem_of

_SAID: Final = {
    403: "You may not do that", 404: "There is no such thing", 409: "It was not done",
    413: "That is too much", 422: "Something is missing or wrong", 429: "Too often",
    500: "Something broke", 502: "The system that acts said no", 503: "Not now",
}  # fmt: skip
AGAIN: Final = "Your sign-in was renewed meanwhile. Nothing was done yet: look again, and send it if it still holds."


class Page(APIRoute):
    """A route of the console."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with errors shown as pages."""
        handle = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return await handle(request)
            except SignInNeeded as needed:
                return _sign_in(request, needed)
            except NotThisSession as wrong:
                await wrong.visit.note(said=AGAIN, tone="open", draft=wrong.draft)
                return wrong.visit.to(wrong.draft["page"])
            except RequestValidationError as error:
                detail = "; ".join(str(e["msg"]) for e in error.errors()[:3])
                return error_page(request, Refused(422, "invalid_input", detail))
            except AegisError as error:
                return error_page(request, problem_of(error))

        return shown


def error_page(request: Request, refused: Refused) -> Response:
    """An error as a page."""
    problem = refused.problem
    title = _SAID.get(problem.status, "That did not work")
    body = render("error.html", {"title": title, "problem": problem, "request_id": request.state.request_id})
    return html(body, problem.status, refused.headers)


def _sign_in(request: Request, needed: SignInNeeded) -> Response:
    """The way to the sign-in; what was typed goes along, and comes back filled in."""
    if needed.partial:  # asked for by script: it says so, and the page shows it
        return html("", 401)
    if needed.draft is None:
        return RedirectResponse(f"/login?next={quote(needed.page, safe='/')}", 303, {"Cache-Control": "no-store"})
    response = sign_in_page(
        request, next_page=needed.page, draft=pack_draft(needed.draft), status=401,
        said="Your session has ended. Nothing was done yet. What you typed is kept: sign in, look again, and send it.",
    )  # fmt: skip
    if read_cookie(request, "session"):
        drop_cookie(request, response, "session")
    return response


def sign_in_page(
    request: Request, *, next_page: str = "/", draft: str = "", said: str = "", status: int = 200, retry_after: int = 0
) -> Response:
    """The page to sign in at."""
    oidc = parts_of(request).settings.oidc
    provider = oidc.issuer if oidc is not None and oidc.client_id else None
    secure = request.url.scheme == "https"
    context = {"next_page": next_page, "draft": draft, "said": said, "provider": provider, "secure": secure}
    return html(render("login.html", context), status, {"Retry-After": str(retry_after)} if retry_after else None)
