"""Who asked: somebody that a token or the operating system vouches for."""

from __future__ import annotations

from typing import Literal

from aegis_agents.records.base import Record

Role = Literal["viewer", "analyst", "approver", "operator", "reviewer", "admin"]
"""viewer: reads; analyst: hands in alerts and asks; approver: answers what waits; operator: takes actions back, keeps them, releases the kill switch;
reviewer: says what was right; admin: hands out tokens, changes what was earned, removes old entries."""

ROLES: tuple[Role, ...] = ("viewer", "analyst", "approver", "operator", "reviewer", "admin")


class Principal(Record):
    """An authenticated person, or Aegis itself.

    `name` is the account's, the token's or the identity provider's, `said` what was typed besides, which nothing vouches
    for. `detail` says how it was established ("uid 1000 on soc-1", "token 4f2a...").
    """

    name: str
    method: Literal["os_account", "token", "oidc", "aegis"]
    roles: frozenset[Role] = frozenset()
    said: str = ""
    detail: str = ""

    @property
    def id(self) -> str:
        """Method and name: "token:alice"."""
        return f"{self.method}:{self.name}"

    @property
    def person(self) -> str:
        """What four eyes are counted by: two accounts of one name are one person."""
        return self.name.strip().casefold()

    @property
    def shown(self) -> str:
        """How people see it: the typed name where there is one, else the account's."""
        return self.said or self.name

    def entry(self) -> dict[str, str]:
        """As the ledger records it."""
        return {"id": self.id, "said": self.said, "detail": self.detail}


AEGIS = Principal(name="aegis", method="aegis")
"""What Aegis does by itself: an expiry, a demotion."""
