"""The systems that are compared: each ranks the documents of one corpus for a query.

All see the same documents. `Bm25` is SQLite's FTS5, as the store cuts and stems words; `vectors` ranks by
cosine; `by_rank` puts both together.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aegis_agents.intel.documents import Document

Vectors = NDArray[np.float32]

DEPTH = 20
"""Rows that each side puts forward, as in a search for five."""
_WORD = re.compile(r"[^\W_]+")
_COMMON = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "in", "into", "is", "it", "its", "of",
    "on", "or", "that", "the", "this", "to", "was", "were", "with",
})  # fmt: skip
"""As in the store."""
MAX_WORDS = 32


class Found(NamedTuple):
    """Rows, best first, and their scores."""

    rows: list[int]
    scores: list[float]


class Bm25:
    """Words alone."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._db = sqlite3.connect(":memory:")
        self._db.execute(
            "CREATE VIRTUAL TABLE lexical USING fts5 (title, text, tokenize='porter unicode61 remove_diacritics 2')"
        )
        self._db.executemany(
            "INSERT INTO lexical(rowid, title, text) VALUES (?, ?, ?)",
            [(row, d.title, d.text) for row, d in enumerate(documents)],
        )

    def find(self, query: str, n: int) -> Found:
        """The n best rows; any word may match, the first 32 that are not the commonest count."""
        words = [w for w in dict.fromkeys(_WORD.findall(query.lower())) if len(w) > 1 and w not in _COMMON]
        if not words:
            return Found([], [])
        match = " OR ".join(f'"{w}"' for w in words[:MAX_WORDS])
        sql = "SELECT rowid, -bm25(lexical) FROM lexical WHERE lexical MATCH ? ORDER BY 2 DESC, rowid LIMIT ?"
        found = self._db.execute(sql, (match, n)).fetchall()
        return Found([row for row, _ in found], [score for _, score in found])


def vectors(query: Vectors, documents: Vectors, n: int) -> Found:
    """The n rows with the highest cosine."""
    cosines = documents @ query
    rows = np.argsort(-cosines, kind="stable")[:n]
    return Found(rows.tolist(), cosines[rows].tolist())


def by_rank(near: Found, words: Found) -> list[int]:
    """Reciprocal ranks (Cormack, Clarke and Büttcher, SIGIR 2009), both sides alike; ties go to the lower row."""
    scores: dict[int, float] = {}
    for rows in (near.rows[:DEPTH], words.rows[:DEPTH]):
        for rank, row in enumerate(rows, start=1):
            scores[row] = scores.get(row, 0.0) + 1.0 / (60 + rank)
    return sorted(scores, key=lambda row: (-scores[row], row))


class Untuned:
    """The published all-MiniLM-L6-v2 in float32, mean pooling, 256 tokens as its publisher set."""

    def __init__(self) -> None:
        from transformers import AutoTokenizer

        from aegis_agents.training.base import BASE_SHA256, base_folder, load_base

        self.version = f"all-MiniLM-L6-v2@{BASE_SHA256[:12]}"
        self._bert = load_base().eval()
        self._tokenizer = AutoTokenizer.from_pretrained(str(Path(base_folder())), local_files_only=True)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), 384)."""
        import torch

        out = np.empty((len(texts), 384), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        with torch.no_grad():
            for start in range(0, len(order), 32):
                rows = order[start : start + 32]
                told = self._tokenizer(
                    [texts[i] for i in rows], padding=True, truncation=True, max_length=256, return_tensors="pt"
                )
                mask = told["attention_mask"][:, :, None].float()
                mean = (self._bert(**told).last_hidden_state * mask).sum(1) / mask.sum(1)
                out[rows] = torch.nn.functional.normalize(mean, dim=-1).numpy()
        return out
