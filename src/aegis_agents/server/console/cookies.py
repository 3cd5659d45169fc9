"""Cookies of the console: who is signed in, and who is on the way to the identity provider.

Over TLS their names begin with __Host-, which browsers accept only with Secure, for this host alone and all its
paths. Without TLS that can't be promised, and the name says so: the two are never taken for one another.
"""

from __future__ import annotations

from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response

Cookie = Literal["session", "sign-in"]
_LONGEST: Final = 200


def cookie_name(request: Request, cookie: Cookie) -> str:
    """What it is called on this connection."""
    return f"__Host-aegis-{cookie}" if request.url.scheme == "https" else f"aegis-plain-http-{cookie}"


def read_cookie(request: Request, cookie: Cookie) -> str | None:
    """What it holds; None for none, or for more than we ever put there."""
    held = request.cookies.get(cookie_name(request, cookie))
    return held if held and len(held) <= _LONGEST else None


def set_cookie(request: Request, response: Response, cookie: Cookie, value: str) -> None:
    """Give it to the browser until it is closed. Lax: a link in a ticket finds one signed in, a foreign form does not."""
    response.set_cookie(
        cookie_name(request, cookie),
        value,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def drop_cookie(request: Request, response: Response, cookie: Cookie) -> None:
    """Take it back."""
    response.delete_cookie(
        cookie_name(request, cookie), path="/", secure=request.url.scheme == "https", httponly=True, samesite="lax"
    )
