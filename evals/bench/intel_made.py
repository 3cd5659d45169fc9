"""What the bench of the intelligence store searches: texts and vectors made for the purpose, by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegis_agents.intel import Document

DIMENSIONS, WORDS, VOCABULARY = 384, 40, 200_000
_NOISE = 0.5


class Made:
    """Vectors and texts by number, the same for the same size."""

    version = "made-1"

    def __init__(self, n: int) -> None:
        self.n = n
        rng = np.random.default_rng(7)
        clusters = max(64, n // 200)
        centres = 0.8 * normal(rng, 64)[rng.integers(0, 64, clusters)] + normal(rng, clusters)
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        share = 1 / np.sqrt(np.arange(1, clusters + 1))
        self.vectors = np.empty((n, DIMENSIONS), np.float16)
        for at in range(0, n, 50_000):
            some = min(50_000, n - at)
            near = centres[rng.choice(clusters, some, p=share / share.sum())]
            near = near + 0.8 / np.sqrt(DIMENSIONS) * normal(rng, some)
            self.vectors[at : at + some] = near / np.linalg.norm(near, axis=1, keepdims=True)
        ranks = 1 / np.arange(1, VOCABULARY + 1)
        self._words = rng.choice(VOCABULARY, (n, WORDS), p=ranks / ranks.sum()).astype(np.int32)
        self._names = _names()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vector of a passage by its number; of anything else, one that depends on its length alone."""
        found = np.zeros((len(texts), DIMENSIONS), np.float32)
        for row, text in enumerate(texts):
            if text.startswith("#"):
                found[row] = self.vectors[int(text[1:])]
            else:
                found[row, len(text) % DIMENSIONS] = 1
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def documents(self) -> list[Document]:
        """Every passage, and an indicator for one in five."""
        names = self._names
        common: dict[str, Any] = {"feed": "made", "owner": "made", "licence": "made", "trust": 0.6, "technique": None}
        common |= {"tenant": "", "tlp": "green", "signer": ""} | dict.fromkeys(
            ("fetched_at", "observed_at", "valid_until")
        )
        found = [
            Document.model_construct(
                corpus="document", id=f"made/{i}", title=f"passage {i}", text=" ".join(names[w] for w in row), aliases=(),
                embedding_text=f"#{i}", **common,
            )
            for i, row in enumerate(self._words)
        ]  # fmt: skip
        found += [
            Document.model_construct(
                corpus="indicator", id=f"made/{address(i)}", title=address(i), text="seen", aliases=(address(i),),
                embedding_text=None, **common,
            )
            for i in range(0, self.n, 5)
        ]  # fmt: skip
        return found

    def question(self, number: int, rng: np.random.Generator) -> tuple[str, NDArray[np.float32]]:
        """Eight words of a passage and its vector with noise."""
        words = [self._names[w] for w in rng.choice(self._words[number], 8, replace=False)]
        vector = self.vectors[number].astype(np.float32) + _NOISE / np.sqrt(DIMENSIONS) * normal(rng, 1)[0]
        return " ".join(words), np.asarray(vector / np.linalg.norm(vector), np.float32)


def normal(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
    """Normal deviates, shape (n, DIMENSIONS)."""
    return rng.standard_normal((n, DIMENSIONS), dtype=np.float32)


def _names() -> list[str]:
    """Distinct words that are spoken like words: syllables, so that stemming has something to do."""
    syllables = [a + b for a in "bcdfghklmnprstvz" for b in "aeiou"]
    return [
        "".join(syllables[(number // 80**place) % 80] for place in range(3)) + ("ing" if number % 3 == 0 else "")
        for number in range(VOCABULARY)
    ]


def address(number: int) -> str:
    """An indicator's key."""
    return f"ip:198.{18 + (number >> 16) % 16}.{(number >> 8) % 256}.{number % 256}"
