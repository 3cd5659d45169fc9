"""Conformal p-values: how unusual a score is among those before it (Vovk, Gammerman and Shafer 2005, section 2 and 7).

While scores are exchangeable, the p-values are independent and uniform, whatever the scores are. They are kept as
counts in equal bins of 0..1: rounding a score makes another score, and ties are broken by lot, so that this is exact.
"""

from __future__ import annotations

import hashlib
from typing import Final

from pydantic import BaseModel

BINS: Final = 200


class Ranks(BaseModel):
    """The scores so far, as counts by bin."""

    counts: list[int] = [0] * BINS
    n: int = 0

    def p_value(self, score: float, lot: float) -> float:
        """Add a score (0..1) and answer the share of scores that are larger; `lot` (0..1) breaks ties."""
        place = min(BINS - 1, int(score * BINS)) if 0 <= score <= 1 else BINS - 1  # what is no number is unusual
        self.n += 1
        self.counts[place] += 1
        return (sum(self.counts[place + 1 :]) + lot * self.counts[place]) / self.n


def lot(*parts: str) -> float:
    """A number from 0 to 1 that is the same for every worker, and that nobody can choose who does not know the seed."""
    digest = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
