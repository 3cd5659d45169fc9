"""A honey API token: it is in the table of principals, nobody has it, and who uses it has stolen it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from aegis_agents.agents.caution import FELL_BACK, Cautious
from aegis_agents.errors import IdentityError

if TYPE_CHECKING:
    from aegis_agents.ledger import Store
    from aegis_agents.records import Principal

PLANTED: Final = "monitor.honeytokens_planted"
"""Ledger entry: where honeytokens are derived from, and the id of the API token that nobody has."""
USED: Final = "monitor.honeytoken_used"
"""Ledger entry: somebody came with that token; once a minute at most, or who has it could fill the ledger."""
CAUSE: Final = "honeytoken.used"
_EVERY: Final = timedelta(minutes=1)


def refuse_planted(store: Store, who: Principal) -> None:
    """Raise IdentityError for who holds the planted token, as for one that is not known; autonomy falls back at once.

    Called wherever a token was just believed, outside of any transaction: what is raised would take the alarm back. It costs
    one indexed query.
    """
    if who.method != "token":
        return
    planted = {e.body.get("token_id") for e in store.entries(kind=PLANTED, limit=100) if e.body}
    token_id = who.detail.removeprefix("token ")
    if token_id not in planted:
        return
    with store.transaction():
        standing = any(fell.cause == CAUSE for fell in Cautious(store).now().fallen)
        if not standing or not _told_just_now(store):
            seq = store.append(USED, None, {"token_id": token_id, "principal": who.entry()}).seq
            if not standing:
                body = {"scope": "all", "of": "", "like": "", "cause": CAUSE}
                reason = "somebody used an API token that nobody was given"
                store.append(FELL_BACK, None, body | {"reason": reason, "figures": {"entry": seq}})
    raise IdentityError("token: it is not known, has expired or was revoked")


def _told_just_now(store: Store) -> bool:
    from aegis_agents.agents.offering import newest

    last = newest(store, USED, 1)
    return bool(last) and abs(datetime.now(UTC) - datetime.fromisoformat(last[-1].at)) < _EVERY
