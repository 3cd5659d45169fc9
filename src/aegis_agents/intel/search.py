"""Hybrid search: exact ids first, then nearest vectors and best words, fused by score."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aegis_agents.intel.documents import CORPORA, EXACT_ONLY, Corpus
from aegis_agents.intel.store import View
from aegis_agents.intel.taught import TaughtRanking
from aegis_agents.intel.words import Said
from aegis_agents.records import Passage

WORDS_WEIGHT = 0.1
"""What the best row by words gains over one without any, in cosine; chosen on the tune parts of evals/retrieval, where
reciprocal ranks lost a tenth of what was found."""

SAYS_IT = 0.3
"""Share of the words' weight (see `words.Said`) from which the best row by words keeps a place, the last if need be: who
searches for a name that stands in one passage must find it, however far its vector. Chosen like the weight."""

DISTRUST = 0.3
"""What a passage without any trust would lose, in cosine; one of trust t loses that times 1 - t.

Whoever writes into a feed can write what will be asked; so a passage of low trust (0.3) comes first only where it
is nearer by a fifth of the scale. Set by that thought and not by measurement."""

MAX_RESULTS = 100

_IDS = re.compile(
    r"(?<![\w.-])(?:CVE-\d{4}-\d{4,12}|T\d{4}(?:\.\d{3})?|[MGS]\d{4}|RA\d{4}|D3-[A-Z]{1,8})(?![\w-])(?!\.\d)",
    re.IGNORECASE,
)
_MAX_IDS, _MAX_NAMED, _MOST_LOOKED_AT = 16, 5, 1000


def ids_in(query: str) -> list[str]:
    """The ids that a text names, in upper case, each once (CVE, ATT&CK, RE&CT, D3FEND), at most 16."""
    return list(dict.fromkeys(m.upper() for m in _IDS.findall(query)))[:_MAX_IDS]


def only_ids(query: str) -> bool:
    """Whether a text is nothing but ids, so that look-alikes would be noise."""
    return bool(_IDS.search(query)) and not re.search(r"\w", _IDS.sub(" ", query))


def fuse(
    cosines: Mapping[int, float], said: Sequence[Said], trust: Mapping[int, float], weight: float = WORDS_WEIGHT
) -> list[int]:
    """Rows by cosine + weight x BM25 / the best BM25 of this query, less what they lose by distrust; ties go to the lower row.

    `cosines` and `trust` have all rows of `said`. Dividing by the best makes the weight fit corpora of any size.
    """
    best = max((s.score for s in said), default=0.0) or 1.0
    scores = {row: cosine - DISTRUST * (1 - trust[row]) for row, cosine in cosines.items()}
    for one in said:
        scores[one.row] += weight * one.score / best
    return sorted(scores, key=lambda row: (-scores[row], row))


def search(
    view: View,
    *,
    query: str | None,
    vector: NDArray[np.float32] | None,
    corpora: Sequence[Corpus] | None,
    k: int,
    taught: TaughtRanking | None = None,
) -> list[Passage]:
    """The k passages that fit best of what the view shows; those that `query` names by id come first.

    `vector` is of length 1. A passage's score is its cosine with the vector, cut
    to 0..1; 1.0 when it was named by id, and 0.0 when only words were asked for.
    The order is that of the fused scores. `taught` ranks techniques, where nothing but them is asked for.
    """
    view.pieces(corpora)  # names a corpus that does not exist, whatever is asked
    depth = max(4 * k, 20)
    exact = _named(view, ids_in(query), corpora) if query else []
    said = view.lexical(query, corpora, depth) if query and not only_ids(query) else []
    cosines: dict[int, float] = {}
    if vector is not None:
        near = taught.nearest(view, vector, depth) if taught else view.nearest(vector, corpora, depth)
        cosines = {n.row: n.cosine for n in near}
        for row in {*exact, *(s.row for s in said)} - cosines.keys():
            cosines[row] = taught.cosine(view, row, vector) if taught else view.cosine(row, vector)
    near_to = cosines if vector is not None else dict.fromkeys((s.row for s in said), 0.0)
    stored = view.stored({*exact, *near_to})
    ranked = fuse(near_to, said, {row: s.origin.trust for row, s in stored.items()})
    rows = list(dict.fromkeys([*exact, *ranked]))[:k]
    if k > 1 and said and said[0].share >= SAYS_IT and said[0].row not in rows:
        rows[-1] = said[0].row
    scores = {row: min(1.0, max(0.0, cosine)) for row, cosine in cosines.items()} | dict.fromkeys(exact, 1.0)
    return [stored[row].passage(score=scores.get(row, 0.0), snapshot=view.snapshot) for row in rows]


def _named(view: View, ids: Sequence[str], corpora: Sequence[Corpus] | None) -> list[int]:
    """Rows of these ids: for each, what bears it as its own id, then what is known by it, more trusted first.

    An alias is the feed's word: a few are enough, so that nobody fills the results by naming a well-known id.
    """
    # EPSS scores, indicators and warnings are for `Intel.lookup`
    ranked: list[Corpus] = [c for c in (CORPORA if corpora is None else corpora) if c not in EXACT_ONLY]
    named = view.named(ids, ranked) if ids else {}
    for key, rows in named.items():
        if len(rows) > _MOST_LOOKED_AT:
            bearers = {entry.row for entry in view.holders([key])} & {*rows}
            named[key] = [*sorted(bearers), *rows][:_MOST_LOOKED_AT]
    stored = view.stored({row for rows in named.values() for row in rows})
    found: dict[int, None] = {}
    for key, rows in named.items():
        known = [
            (s.fields[2].upper() != key, -s.origin.trust, row) for row in rows if (s := stored.get(row)) is not None
        ]
        found.update((row, None) for _, _, row in sorted(known)[:_MAX_NAMED])
    return list(found)
