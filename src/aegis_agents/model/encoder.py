"""Texts to vectors, each text on its own, so that a text seen before costs nothing."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegis_agents.errors import ModelError
from aegis_agents.model.sessions import open_session

WIDTH = 384
MAX_TOKENS = 128
_BATCH_TOKENS = 2048
"""Padded tokens in one run: beyond this the caches spill and a bigger batch is no faster."""

Vectors = NDArray[np.float32]


class Encoder:
    """The fine-tuned MiniLM on ONNX Runtime with a cache of `cache` vectors (1.5 KB each)."""

    def __init__(self, model: bytes, tokenizer: bytes, *, threads: int = 0, cache: int = 20_000) -> None:
        from tokenizers import Tokenizer

        self._session = open_session(model, threads)
        self._tokenizer: Any = Tokenizer.from_str(tokenizer.decode("utf-8"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        self._cache: OrderedDict[str, Vectors] = OrderedDict()
        self._size, self._lock = cache, threading.Lock()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), 384)."""
        out = np.empty((len(texts), WIDTH), np.float32)
        missing: dict[str, list[int]] = {}
        with self._lock:
            for i, text in enumerate(texts):
                vector = self._cache.get(text)
                if vector is None:
                    missing.setdefault(text, []).append(i)
                else:
                    self._cache.move_to_end(text)
                    out[i] = vector
        if missing:
            wanted = list(missing)
            vectors = self._run(wanted)
            for text, vector in zip(wanted, vectors, strict=True):
                out[missing[text]] = vector
            with self._lock:
                # Copies: a row that is a view would keep its whole batch alive.
                self._cache.update((text, vector.copy()) for text, vector in zip(wanted, vectors, strict=True))
                while len(self._cache) > self._size:
                    self._cache.popitem(last=False)
        return out

    def _run(self, texts: list[str]) -> Vectors:
        ids = [e.ids for e in self._tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out = np.empty((len(ids), WIDTH), np.float32)
        start = 0
        while start < len(order):
            # Grow the group while padding to its longest text stays cheap.
            end = start + 1
            shortest = len(ids[order[start]])
            while (
                end < len(order)
                and (n := len(ids[order[end]])) * (end + 1 - start) <= _BATCH_TOKENS
                and n <= shortest * 1.5 + 4
            ):
                end += 1
            group = order[start:end]
            width = len(ids[group[-1]])
            tokens = np.zeros((len(group), width), np.int64)
            mask = np.zeros((len(group), width), np.int64)
            for row, i in enumerate(group):
                tokens[row, : len(ids[i])] = ids[i]
                mask[row, : len(ids[i])] = 1
            (vectors,) = self._session.run(None, {"input_ids": tokens, "attention_mask": mask})
            out[group] = vectors
            start = end
        if not np.isfinite(out).all():
            raise ModelError("the encoder answered with a number that is not finite; the alert is left undecided")
        return out
