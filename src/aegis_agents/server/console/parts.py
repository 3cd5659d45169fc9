"""What the console keeps beside the server's own parts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, cast

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import Request

from aegis_agents.server.console.oidc_client import OidcClient
from aegis_agents.server.console.session_table import SessionTable
from aegis_agents.server.parts import Parts, parts_of

_TRIES: Final = parse("10/1 minute")
_BEGINNINGS: Final = parse("30/1 minute")


class ConsoleParts:
    """Sessions, the client of the identity provider, and wrong sign-ins by address."""

    def __init__(self, parts: Parts) -> None:
        settings = parts.settings
        idle, longest = timedelta(minutes=settings.session_minutes), timedelta(hours=settings.session_hours)
        self.sessions = SessionTable(parts.database, min(idle, longest), longest)
        has_client = settings.oidc is not None and settings.oidc.client_id is not None
        self.oidc = OidcClient(settings.oidc, parts.people.authenticate) if settings.oidc and has_client else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def may_try(self, address: str) -> bool:
        """Whether this address may try another token. The doorkeeper counts too; this is told on a page, and sooner."""
        return self._limiter.test(_TRIES, address)

    def may_begin(self, address: str) -> bool:
        """Count a sign-in that begins at the identity provider; whether it may: each is kept for some minutes."""
        return self._limiter.hit(_BEGINNINGS, address)

    def tried(self, address: str) -> None:
        """Count a wrong one."""
        self._limiter.hit(_TRIES, address)


def console_of(request: Request) -> ConsoleParts:
    """The console's parts, made at the first request."""
    state: Any = request.app.state
    if not hasattr(state, "console"):
        state.console = ConsoleParts(parts_of(request))
    return cast(ConsoleParts, state.console)
