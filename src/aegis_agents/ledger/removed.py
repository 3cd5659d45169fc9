"""What retention removed, as the ledger says it: which entries, and proof that these and no others."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

PRUNED: Final = "ledger.pruned"
"""The entry that each removal writes, in its own transaction."""

KEPT: Final = ("review.", "autonomy.", "token.", "ledger.", "approval.", "monitor.")
"""Kinds that are never removed begin so: what was earned, who may do what, what became of the ledger."""

_RANGES = re.compile(r"[1-9][0-9]*(-[1-9][0-9]*)?(,[1-9][0-9]*(-[1-9][0-9]*)?)*")


def as_ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers as text: "1-14,16,18-20"."""
    ordered = list(numbers)
    starts = [0, *(at + 1 for at, (low, high) in enumerate(pairwise(ordered)) if high != low + 1), len(ordered)]
    parts = ((ordered[start], ordered[stop - 1]) for start, stop in pairwise(starts) if start < stop)
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)


def read_ranges(text: object) -> Iterator[int]:
    """The numbers of such a text, one after the other. Raises ValueError if it is none, or not ascending."""
    if not isinstance(text, str) or not _RANGES.fullmatch(text):
        raise ValueError("not a list of ranges")
    last = 0
    for part in text.split(","):
        low, _, high = part.partition("-")
        if int(low) <= last or (high and int(high) <= int(low)):
            raise ValueError("ranges that don't ascend")
        last = int(high or low)
        yield from range(int(low), last + 1)


def digest(commitments: Iterable[tuple[int, str]]) -> str:
    """SHA-256 (hex) over a line for each removed entry: its number, a space, its `body_sha256`, a newline."""
    found = hashlib.sha256()
    for seq, committed in commitments:
        found.update(f"{seq} {committed}\n".encode())
    return found.hexdigest()
