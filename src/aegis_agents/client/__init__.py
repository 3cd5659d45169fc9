"""A thin client of `aegis serve`, for hosts where the library should not be installed.

    from aegis_agents.client import Client
    case = Client("https://aegis.example", token).investigate(alert)

It needs httpx and the standard library only and imports nothing else of the package, so that it can be carried
elsewhere: `tools/client` packs it as the distribution aegis-soc-client (`from aegis_client import Client`).
"""

from .answers import Answer, Approval, Approvals, Case, CaseRow, Cases, LedgerPage, Verification
from .asynchronous import AsyncClient
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

__all__ = [
    "AegisClientError", "AlreadyDecided", "Answer", "Approval", "Approvals", "AsyncClient", "Case", "CaseRow", "Cases",
    "Client", "Forbidden", "InvalidInput", "LedgerPage", "NotFound", "RateLimited", "ServerError", "Unauthorised",
    "Unavailable", "Verification",
]  # fmt: skip
