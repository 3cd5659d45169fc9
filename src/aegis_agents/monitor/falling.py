"""Autonomy falls back by a ledger entry, and comes back by a person's alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aegis_agents.agents.caution import FELL_BACK, RESUMED, Cautious
from aegis_agents.errors import ActionError, InputError
from aegis_agents.gate.caution import Caution, Scope
from aegis_agents.identity import Token, identify

if TYPE_CHECKING:
    from aegis_agents.ledger import Store
    from aegis_agents.settings import Settings

MOST_REASON = 2_000


def fall_back(
    store: Store, cause: str, reason: str, *, scope: Scope = "all", of: str = "", like: str = "",
    figures: dict[str, Any] | None = None,
) -> int | None:  # fmt: skip
    """Let autonomy fall back; answers the ledger entry, None where the same has fallen back already.

    Safe beside others: it is looked up and written in one transaction. `figures` are numbers and names that show why.
    """
    with store.transaction():
        standing = Cautious(store).now()
        if any((f.cause, f.scope, f.of, f.like) == (cause, scope, of, like) for f in standing.fallen):
            return None
        body: dict[str, Any] = {"scope": scope, "of": of, "like": like, "cause": cause, "reason": reason}
        return store.append(FELL_BACK, None, body | {"figures": figures or {}}).seq


def fallen(store: Store) -> Caution:
    """What has fallen back and was not lifted."""
    return Cautious(store).now()


def resume(
    store: Store, settings: Settings, *, reason: str, entries: list[int] | None = None, by: str | None = None,
    token: Token = None,
) -> int:  # fmt: skip
    """Lift fall-backs (all that are open, or these entries), as an admin; answers the ledger entry.

    What had drifted is compared with a new reference from then on. Raises IdentityError, InputError without a
    reason, ActionError where nothing of that kind has fallen back.
    """
    own = settings.token.get_secret_value() if settings.token else None
    who = identify(store, "admin", by=by, token=token or own, token_needed=settings.require_token)
    if not reason.strip():
        raise InputError("is empty", field="reason", fix="say why autonomy may come back")
    if len(reason) > MOST_REASON:
        raise InputError(f"has {len(reason)} characters", field="reason", fix=f"at most {MOST_REASON}")
    with store.transaction():
        standing = fallen(store)
        if standing.unreadable:
            raise ActionError(f"what fell back can't be read: {standing.unreadable}")
        open_ones = {fell.entry: fell for fell in standing.fallen}
        lifted = sorted(open_ones) if entries is None else sorted(set(entries))
        if not lifted or (unknown := [n for n in lifted if n not in open_ones]):
            raise ActionError(f"nothing has fallen back by entry {unknown[0]}" if lifted else "nothing has fallen back")
        causes = [open_ones[n].model_dump(mode="json", include={"entry", "scope", "of", "cause"}) for n in lifted]
        said = {"entries": lifted, "causes": causes, "reason": reason.encode("utf-8", "backslashreplace").decode()}
        return store.append(RESUMED, None, said | {"principal": who.entry()}).seq
