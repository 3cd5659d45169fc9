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


class Lexical:
    """Known words in `table` (npz): `hashes` (n,) ascending, `idf` and `weights` (n,), `bias` and `bound` (1,)."""

    def __init__(self, table: bytes) -> None:
        with np.load(io.BytesIO(table), allow_pickle=False) as read:
            self._hashes: Hashes = read["hashes"]
            self._idf, self._weights = read["idf"].astype(np.float64), read["weights"].astype(np.float64)
            self._bias, self._bound = float(read["bias"][0]), float(read["bound"][0])

    def attack_odds(self, texts: Iterable[str]) -> float:
        """Log-odds of an attack against a harmless alert, between -bound and bound; 0 where no word is known."""
        said = [features(text) for text in texts]
        if not said:
            return 0.0
        distinct, counts = np.unique(np.concatenate(said), return_counts=True)
        at = np.minimum(np.searchsorted(self._hashes, distinct), len(self._hashes) - 1)
        known = self._hashes[at] == distinct
        if not known.any():
            return 0.0
        at = at[known]
        values = (1 + np.log(counts[known])) * self._idf[at]
        odds = float(values @ self._weights[at] / np.linalg.norm(values)) + self._bias
        return float(np.clip(odds, -self._bound, self._bound))
