"""Hybrid search: exact ids first, then nearest vectors and best words, fused by reciprocal rank."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from aegis_agents.intel.documents import Corpus
from aegis_agents.intel.store import Store
from aegis_agents.records import Passage

RRF_K = 60
"""Damping of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009)."""

MAX_RESULTS = 100

_IDS = re.compile(
    r"(?<![\w.-])(?:CVE-\d{4}-\d{4,12}|T\d{4}(?:\.\d{3})?|[MGS]\d{4}|RA\d{4}|D3-[A-Z]{1,8})(?![\w-])(?!\.\d)",
    re.IGNORECASE,
)
_MAX_IDS = 16


def ids_in(query: str) -> list[str]:
    """The ids that a text names, in upper case, each once (CVE, ATT&CK, RE&CT, D3FEND), at most 16."""
    return list(dict.fromkeys(m.upper() for m in _IDS.findall(query)))[:_MAX_IDS]


def only_ids(query: str) -> bool:
    """Whether a text is nothing but ids, so that look-alikes would be noise."""
    return bool(_IDS.search(query)) and not re.search(r"\w", _IDS.sub(" ", query))


def fuse(rankings: Iterable[Sequence[int]]) -> list[int]:
    """One ranking out of several: each gives 1 / (60 + rank) to what it lists; ties go to the lower row."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, row in enumerate(ranking, start=1):
            scores[row] = scores.get(row, 0.0) + 1.0 / (RRF_K + rank)
    return sorted(scores, key=lambda row: (-scores[row], row))


def search(
    store: Store,
    *,
    query: str | None,
    vector: NDArray[np.float32] | None,
    corpora: Sequence[Corpus] | None,
    k: int,
) -> list[Passage]:
    """The k passages that fit best; those that `query` names by id come first.

    `vector` is of length 1. A passage's score is its cosine with the vector, cut
    to 0..1; 1.0 when it was named by id, and 0.0 when only words were asked for.
    The order is that of the fused ranks, which the scores need not follow.
    """
    ranges = store.ranges(corpora)
    depth = max(4 * k, 20)
    exact = store.tables.exact(ids_in(query), ranges) if query else []
    cosines: dict[int, float] = {}
    rankings: list[list[int]] = []
    if vector is not None:
        near = store.nearest(vector, ranges, depth)
        cosines = {n.row: n.cosine for n in near}
        rankings.append([n.row for n in near])
    if query and not only_ids(query):
        rankings.append(store.tables.lexical(query, ranges, depth))
    rows = list(dict.fromkeys([*exact, *fuse(rankings)]))[:k]
    documents = store.tables.documents(rows)
    scores = dict.fromkeys(exact, 1.0)
    for row in rows:
        if row not in scores and vector is not None:
            cosine = cosines[row] if row in cosines else store.cosine(row, vector)
            scores[row] = min(1.0, max(0.0, cosine))
    return [documents[row].passage(score=scores.get(row, 0.0), snapshot=store.id) for row in rows]
