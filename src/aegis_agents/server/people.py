"""Who asks: the holder of an API token, or somebody the identity provider vouches for; and what they may do.

viewer reads; analyst hands in alerts, asks, and says what incidents were; approver approves, denies and corrects
targets; operator takes back and keeps; reviewer is an analyst; admin may do all. Whoever may do something may read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from starlette.requests import Request

from aegis_agents.errors import IdentityError
from aegis_agents.identity import authenticated
from aegis_agents.ledger import Store
from aegis_agents.records import ROLES, Principal
from aegis_agents.server.problems import Refused

if TYPE_CHECKING:
    from aegis_agents.server.oidc import Provider

_IMPLIED: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "viewer": frozenset({"viewer"}),
        "analyst": frozenset({"viewer", "analyst", "reviewer"}),
        "reviewer": frozenset({"viewer", "analyst", "reviewer"}),
        "approver": frozenset({"viewer", "approver"}),
        "operator": frozenset({"viewer", "operator"}),
        "admin": frozenset(ROLES),
    }
)
_ANSWERING = frozenset({"approver", "operator"})
LONGEST_TOKEN = 8_192
"""Characters of a token: an identity provider's may be long, and nobody's is longer."""


def implied(roles: Collection[str]) -> frozenset[str]:
    """These roles and what they hold within them."""
    return frozenset().union(*(_IMPLIED.get(role, frozenset()) for role in roles))


class People:
    """Answers who the bearer of a token is."""

    def __init__(self, store: Store, provider: Provider | None = None, *, tokens_answer: bool = True) -> None:
        self._store, self._provider, self._tokens_answer = store, provider, tokens_answer

    def abroad(self, token: str) -> bool:
        """Whether the provider's keys say whose this is, which may have to be fetched."""
        return self._provider is not None and token.count(".") == 2

    def authenticate(self, token: str) -> Principal:
        """Whose token this is, with all that their roles hold. Raises IdentityError, Refused (503).

        Blocks: it reads the store, and may fetch the provider's keys.
        """
        if not token or len(token) > LONGEST_TOKEN or not token.isascii():
            raise IdentityError("token: it is not known, has expired or was revoked")
        if self._provider is not None and self.abroad(token):
            who = self._provider.authenticate(token)
            roles = implied(who.roles)
        else:
            who = authenticated(self._store, token)
            roles = implied(who.roles) if self._tokens_answer else implied(who.roles) - _ANSWERING
        return who.model_copy(update={"roles": roles})

    def now(self, who: Principal) -> Principal:
        """Who signed in before, with no more than the settings of today leave them."""
        if self._tokens_answer or who.method != "token":
            return who
        return who.model_copy(update={"roles": who.roles - _ANSWERING})


def principal_of(request: Request) -> Principal:
    """Who asks, as the doorkeeper found. Raises Refused (401)."""
    who = getattr(request.state, "principal", None)
    if not isinstance(who, Principal):
        raise unauthorised("a token is needed: Authorization: Bearer ...")
    return who


def unauthorised(detail: str) -> Refused:
    """The answer to somebody who is not known."""
    return Refused(401, "unauthorised", detail, headers={"WWW-Authenticate": 'Bearer realm="aegis"'})


def need(role: str) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency: whoever asks must have this role; answers who it is."""

    async def check(request: Request) -> Principal:
        who = principal_of(request)
        if role not in who.roles:
            held = ", ".join(sorted(who.roles)) or "no role"
            raise Refused(403, "forbidden", f"{who.id} is no {role}: it has {held}")
        return who

    return check


def sender(who: Principal) -> str:
    """Whose keys and conversations these are: names of a provider may pass to somebody else, its subjects don't."""
    return f"{who.id} {who.detail}" if who.method == "oidc" else who.id
