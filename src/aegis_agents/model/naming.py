"""Names ATT&CK techniques: likeness to each technique's text, moved by what alerts of it were seen to say.

Every technique has a vector, the encoder's of ATT&CK's own text, so that one that no alert taught can be
named, and a new release needs no training. Where alerts taught it, it has moved from there (`classes`), has a
`bias` for how common it is, and the words of the alert move the query (a low-rank table: Joulin et al. 2017,
"Bag of Tricks for Efficient Text Classification").
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from aegis_agents.model.encoder import Vectors
from aegis_agents.model.lexical import Counted, Vocabulary


class Naming:
    """`table` (npz): `ids` (n,), `vectors` (n, 384) of the texts, and, once taught, what `Taught` writes."""

    def __init__(self, table: bytes) -> None:
        with np.load(io.BytesIO(table), allow_pickle=False) as read:
            self.ids = [str(t) for t in read["ids"]]
            self.vectors: Vectors = read["vectors"].astype(np.float32)
            self._classes, self._bias, self._words = self.vectors, np.zeros(len(self.ids), np.float32), None
            if "classes" in read:
                self._classes, self._bias = read["classes"].astype(np.float32), read["bias"].astype(np.float32)
                self._words = Vocabulary(read["hashes"], read["idf"])
                self._rows, self._into = read["rows"], read["into"].astype(np.float32)

    def likeness(self, queries: Vectors, said: list[Counted]) -> NDArray[np.float32]:
        """How much each of B alerts is like each technique, (B, n); `queries` are the head's (B, 384), `said` their words."""
        if self._words is not None:
            queries = queries + np.stack([self._moved(self._words, counted) for counted in said])
            queries /= np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-9)
        found: NDArray[np.float32] = queries @ self._classes.T + self._bias
        return found

    def _moved(self, words: Vocabulary, counted: Counted) -> Vectors:
        at, shares = words.read(counted)
        moved: Vectors = (shares.astype(np.float32) @ self._rows[at].astype(np.float32)) @ self._into
        return moved
