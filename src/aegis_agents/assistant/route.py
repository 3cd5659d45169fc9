"""Which intent a question has: kernel ridge regression over the example questions.

The kernel is the cosine of the model's own embeddings plus that of the words (tf-idf over words and pairs of words); one
output an intent, in closed form (Saunders, Gammerman and Vovk 1998). It is fitted when it is opened, in the time it takes
to embed the examples, so that a user's own fine-tuned model routes too.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aegis_agents.assistant.concepts import concepts
from aegis_agents.assistant.examples import EXAMPLES, INTENTS
from aegis_agents.assistant.mentions import example_shape
from aegis_agents.model import IncidentModel

WORDS_SHARE = 0.6
"""Of the kernel, what words count; the embedding counts the rest. This and RIDGE were chosen on the develop questions."""
RIDGE = 0.3
LEAST = 0.22
"""Below this score nothing is meant that can be answered."""
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_SUFFIX = re.compile(r"(?:ing|ied|ies|ed|es|s)$")


class Router:
    """Routes questions. Safe to share between threads.

    `cache` is a folder where the examples' vectors are kept for the next time; what is there and does not fit is made
    anew.
    """

    def __init__(self, model: IncidentModel, cache: Path | None = None) -> None:
        pairs = [(intent, example_shape(q)) for intent, said in EXAMPLES.items() for q in said]
        self._model = model
        texts = [text for _, text in pairs]
        self._order = {intent: at for at, intent in enumerate(INTENTS)}
        grams = [_grams(t) for t in texts]
        seen = Counter(g for counted in grams for g in counted)
        self._column = {g: at for at, g in enumerate(seen)}
        self._idf = np.array([math.log(len(texts) / seen[g]) + 0.3 for g in self._column], np.float32)
        self._words = np.stack([self._weigh(g) for g in grams])
        self._vectors = _vectors(model, texts, cache)
        wanted = np.zeros((len(texts), len(INTENTS)))
        wanted[np.arange(len(texts)), [self._order[intent] for intent, _ in pairs]] = 1.0
        kernel = self._kernel(self._words, self._vectors)
        self._weights = np.linalg.solve(kernel + RIDGE * np.eye(len(texts)), wanted)

    def scores(self, shape: str) -> NDArray[np.float64]:
        """A score for each intent, in the order of INTENTS."""
        words = self._weigh(_grams(shape))[None]
        found: NDArray[np.float64] = (self._kernel(words, self._model.embed([shape])) @ self._weights)[0]
        return found

    def _kernel(self, words: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        mixed = WORDS_SHARE * (words @ self._words.T) + (1 - WORDS_SHARE) * (vectors @ self._vectors.T)
        return mixed.astype(np.float64)

    def _weigh(self, grams: Counter[str]) -> NDArray[np.float32]:
        row = np.zeros(len(self._column), np.float32)
        for gram, count in grams.items():
            if (at := self._column.get(gram)) is not None:
                row[at] = min(count, 2) * self._idf[at]
        length = float(np.linalg.norm(row))
        return row / length if length else row


def _vectors(model: IncidentModel, texts: Sequence[str], cache: Path | None) -> NDArray[np.float32]:
    """The vectors of the examples, from the cache if it has them."""
    if cache is None:
        return model.embed(texts)
    name = hashlib.sha256("\n".join([model.version, *texts]).encode()).hexdigest()[:24]
    file = cache / f"examples-{name}.npy"
    try:
        kept: NDArray[np.float32] = np.load(file, allow_pickle=False)
        if kept.dtype == np.float32 and kept.ndim == 2 and len(kept) == len(texts) and np.isfinite(kept).all():
            return kept
    except (OSError, ValueError, EOFError):
        pass  # not there yet, or cut off
    made = model.embed(texts).astype(np.float32)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f"{file.stem}.{os.getpid()}.tmp.npy")
        np.save(unfinished, made, allow_pickle=False)
        unfinished.replace(file)
    except OSError:
        pass  # a folder that can't be written costs a second the next time
    return made


def _grams(text: str) -> Counter[str]:
    words = [_SUFFIX.sub("", w) if len(w) > 4 else w for w in _WORD.findall(text.lower())]
    known = concepts(text)
    start = words[0] if words else ""
    pairs = [f"{a}&{b}" for at, a in enumerate(known) for b in known[at + 1 :]]
    return Counter(
        [*words, *(f"{a} {b}" for a, b in zip(["^", *words], [*words, "$"], strict=True))]
        + 2 * known + pairs + [f"^{start}&{name}" for name in known]
    )  # fmt: skip
