"""How alike two incidents are in their words: MinHash sketches (Broder 1997), small enough to keep by the thousand.

A word is a field's name and a run of letters of its value; digits are left out, so that addresses, times and
counters change nothing. The share of equal places of two sketches estimates the Jaccard similarity of their words.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aegis_agents.records import Incident

PLACES: Final = 64
"""Numbers in a sketch: the standard error of a similarity of one half is 0.06."""
LEAST_WORDS: Final = 5
"""With fewer words that others could have written, all facts are read."""
MOST_WORDS: Final = 4_000
_WORD = re.compile(r"[^\W\d_]{2,40}")
_SUM: Final = np.array(
    [int.from_bytes(hashlib.sha256(f"likeness {i}".encode()).digest()[:8]) | 1 for i in range(PLACES)], np.uint64
)
"""Odd multipliers: hashing by multiplication and shift (Dietzfelbinger et al. 1997)."""
_PLUS: Final = np.array(
    [int.from_bytes(hashlib.sha256(f"likeness {i}".encode()).digest()[8:16]) for i in range(PLACES)], np.uint64
)


def words_of(incident: Incident, *, chosen: bool = False) -> frozenset[int]:
    """The incident's words as 32-bit hashes; with `chosen` those that an attacker could have written.

    Derived facts are left out: they repeat others.
    """
    facts = [f for f in incident.facts if not f.derived]
    if chosen:
        written = _hashes((f.path, f.value) for f in facts if f.trust == "external")
        if len(written) >= LEAST_WORDS:
            return written
    return _hashes((f.path, f.value) for f in facts)


def _hashes(pairs: Iterable[tuple[str, str]]) -> frozenset[int]:
    found: set[int] = set()
    for path, value in pairs:
        name = path.rpartition(".")[2].partition("[")[0].casefold()
        for word in _WORD.findall(value):
            text = f"{name} {word.casefold()}".encode("utf-8", "surrogatepass")
            found.add(int.from_bytes(hashlib.blake2b(text, digest_size=4).digest()))
            if len(found) >= MOST_WORDS:
                return frozenset(found)
    return frozenset(found)


def sketch(words: frozenset[int]) -> str:
    """The sketch of a set of words: PLACES numbers of 32 bits as hex. One without words is like no other."""
    if not words:
        return ""
    given = np.fromiter(words, np.uint64, len(words))
    least: bytes = ((given[:, None] * _SUM + _PLUS) >> np.uint64(32)).min(axis=0).astype(">u4").tobytes()
    return least.hex()


def places(text: str) -> NDArray[np.uint32]:
    """The numbers of a sketch. Raises ValueError for a text that is none."""
    found = np.frombuffer(bytes.fromhex(text), ">u4").astype(np.uint32)
    if found.size != PLACES:
        raise ValueError(f"a sketch has {PLACES} numbers, not {found.size}")
    return found


def likeness(one: str, other: str) -> float:
    """About how similar two sketches' words are, 0 to 1. Raises ValueError for what is no sketch."""
    if not one or not other:
        return 0.0
    return float((places(one) == places(other)).mean())
