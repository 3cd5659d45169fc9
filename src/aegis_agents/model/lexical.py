"""A bag of words beside the encoder: which words and pairs stood in attacks, which in harmless alerts.

TF-IDF (sublinear counts, unit length; Manning et al. 2008, ch. 6) under a logistic regression.
The encoder sees what is meant and misjudges how much it weighs; words that were seen before say
that better. It reads values and not field names, which are a product's choice. What it adds is
bounded, since whoever writes log fields chooses words.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\w\w+")

Hashes = NDArray[np.uint32]


@lru_cache(maxsize=16384)
def features(text: str) -> Hashes:
    """CRC-32 of each word and each pair of neighbouring words, in lower case."""
    words = [w.encode() for w in _WORD.findall(text.lower())]
    pairs = [a + b" " + b for a, b in pairwise(words)]
    found = np.fromiter(map(crc32, words + pairs), np.uint32, len(words) + len(pairs))
    found.setflags(write=False)  # it is shared by all who ask
    return found


class Counted(NamedTuple):
    """Distinct hashes, ascending, and how often each stands there: both (n,)."""

    hashes: Hashes
    times: NDArray[np.int64]


def count(texts: Iterable[str]) -> Counted:
    """The words and pairs of texts; a pair stands within one text."""
    said = [features(text) for text in texts]
    if not said:
        return Counted(np.zeros(0, np.uint32), np.zeros(0, np.int64))
    return Counted(*np.unique(np.concatenate(said), return_counts=True))


class Vocabulary:
    """Known words: `hashes` (n,) ascending, and `idf` (n,), how telling each is for being rare."""

    def __init__(self, hashes: Hashes, idf: NDArray[np.floating]) -> None:
        self._hashes, self._idf = hashes, idf.astype(np.float64)

    def read(self, counted: Counted) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Which known words are said (rows of the table), and how much of what is said each is: a unit vector."""
        if not len(counted.hashes) or not len(self._hashes):
            return np.zeros(0, np.intp), np.zeros(0)
        at = np.minimum(np.searchsorted(self._hashes, counted.hashes), len(self._hashes) - 1)
        known = self._hashes[at] == counted.hashes
        at = at[known]
        values = (1 + np.log(counted.times[known])) * self._idf[at]
        return at, values / max(float(np.linalg.norm(values)), 1e-12)


class Lexical:
    """Known words in `table` (npz): `hashes` (n,) ascending, `idf` and `weights` (n,), `bias` and `bound` (1,)."""

    def __init__(self, table: bytes) -> None:
        with np.load(io.BytesIO(table), allow_pickle=False) as read:
            self._words = Vocabulary(read["hashes"], read["idf"])
            self._weights = read["weights"].astype(np.float64)
            self._bias, self._bound = float(read["bias"][0]), float(read["bound"][0])

    def odds(self, counted: Counted) -> float:
        """Log-odds of an attack against a harmless alert, between -bound and bound; 0 where no word is known."""
        at, shares = self._words.read(counted)
        if not len(at):
            return 0.0
        return float(np.clip(shares @ self._weights[at] + self._bias, -self._bound, self._bound))

    def attack_odds(self, texts: Iterable[str]) -> float:
        """`odds` of the words of texts."""
        return self.odds(count(texts))
