"""Which decisions people look at, and which of them blind: by lot, and the lot can be drawn again.

The lot is an HMAC over the action's id with a seed that was drawn once and is kept in the ledger: an attacker
can't tell which alerts will be looked at, and an auditor can check that nobody picked.
"""

from __future__ import annotations

import hmac


def lot(seed: str, action_id: str, purpose: str) -> float:
    """A number from 0 up to 1 for this action; `purpose` keeps lots for different ends apart."""
    digest = hmac.digest(seed.encode(), f"{purpose}\0{action_id}".encode("utf-8", "surrogatepass"), "sha256")
    return int.from_bytes(digest[:7]) / 2**56


def is_blind(seed: str, action_id: str, share: float, blind_so_far: int, so_far: int) -> bool:
    """Whether it is shown blind: by lot, and at once where fewer than `share` were so far."""
    return lot(seed, action_id, "blind") < share or blind_so_far < share * (so_far + 1)
