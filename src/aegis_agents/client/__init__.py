"""A thin client of `aegis serve`, for hosts where the library should not be installed.

    from aegis_agents.client import Client
    case = Client("https://aegis.example", token).investigate(alert)

It needs httpx and the standard library only and imports nothing else of the package, so that it can be carried
elsewhere: `tools/client` packs it as the distribution aegis-soc-client (`from aegis_client import Client`).
"""

from typing import TYPE_CHECKING, Any

from .answers import (
    Action,
    Answer,
    Approval,
    Approvals,
    Case,
    CaseRow,
    Cases,
    Confirmed,
    Health,
    LedgerPage,
    Target,
    Verification,
)
from .errors import (
    AegisClientError,
    AlreadyDecided,
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    ServerError,
    Unauthorised,
    Unavailable,
)
from .synchronous import Client

if TYPE_CHECKING:
    from .asynchronous import AsyncClient

__all__ = [
    "Action", "AegisClientError", "AlreadyDecided", "Answer", "Approval", "Approvals", "AsyncClient", "Case",
    "CaseRow", "Cases", "Client", "Confirmed", "Forbidden", "Health", "InvalidInput", "LedgerPage", "NotFound",
    "RateLimited", "ServerError", "Target", "Unauthorised", "Unavailable", "Verification",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """The asynchronous client on first use: asyncio is a third of what the import takes."""
    if name == "AsyncClient":
        from .asynchronous import AsyncClient

        globals()[name] = AsyncClient
        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
