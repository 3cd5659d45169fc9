"""The words of a segment: BM25 over postings that are read by memory map, at a cost that has a bound.

FTS5 stems the words (porter, unicode61), but the postings are ours: FTS5 weighs a word by all rows of
its table, so that a new segment of one document would rank nothing and another tenant's documents would move the
ranks of one's own; and it scores every match, which takes a second on a million rows. Here weights come
from the rows that the reader may see, over all segments.

    words.bin    rows (int32) of every word, one after another | lengths (int32) of all rows | counts (uint8)
"""

from __future__ import annotations

import re
import sqlite3
import threading
import unicodedata
from collections.abc import Iterable, Sequence
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aegis_agents.intel.readers import Rows

MAX_WORDS = 32
"""Words of a query that are looked up: the text may come from an alert, and its length must not cost."""

MAX_POSTINGS = 20_000
"""Rows that the rarest words of a query may bring in; commoner words then only weigh those. The very rarest brings
in all of its rows, however many: the bound that is left is one word's."""

K1, B = 1.2, 0.75
"""Robertson and Zaragoza (2009), with the values that FTS5 uses."""

_LEAST = 1e-6
"""Weight of a word that stands in more than half of the rows, as in FTS5: it never counts against a row."""

_WORD = re.compile(r"[^\W_]+")
_COMMON = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "in", "into", "is", "it", "its", "of",
    "on", "or", "that", "the", "this", "to", "was", "were", "with",
})  # fmt: skip
"""Words that stand in nearly every document: they rank nothing and cost most of the time."""

_REMEMBERED = 50_000


class Postings(NamedTuple):
    """The rows of a word within one segment, ascending, and how often it stands in each."""

    rows: NDArray[np.int32]
    counts: NDArray[np.uint8]


class Stemmer:
    """FTS5's own cutting and stemming of words, remembered; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, ...]] = {}
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.executescript(
            "CREATE VIRTUAL TABLE word USING fts5(w, content='', tokenize='porter unicode61 remove_diacritics 2');"
            "CREATE VIRTUAL TABLE found USING fts5vocab(word, instance);"
        )

    def terms(self, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Each word → the terms that it is kept under, mostly one."""
        with self._lock:
            wanted = dict.fromkeys(words)
            fresh = [word for word in wanted if word not in self._known]
            if fresh:
                self._known.update(self._ask(fresh))
            found = {word: self._known[word] for word in wanted}
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            return found

    def _ask(self, words: Sequence[str]) -> dict[str, tuple[str, ...]]:
        terms: dict[str, tuple[str, ...]] = dict.fromkeys(words, ())
        self._db.execute("BEGIN")
        try:
            self._db.executemany("INSERT INTO word(rowid, w) VALUES (?, ?)", enumerate(words))
            for at, term in self._db.execute("SELECT doc, term FROM found ORDER BY doc, offset").fetchall():
                terms[words[at]] += (term,)
        finally:
            self._db.execute("ROLLBACK")  # also where Ctrl+C struck: the next question must find it empty
        return terms


STEMMER = Stemmer()


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case and in order; half characters, which nothing can store, left out."""
    # composed: a combining accent is no letter, and would cut its word in two
    return _WORD.findall(unicodedata.normalize("NFC", text.lower().encode("utf-8", "ignore").decode()))


def query_terms(query: str) -> list[str]:
    """The terms that a query asks for, each once, at most 32; words of one letter and the commonest left out."""
    words = [w for w in dict.fromkeys(words_of(query[: 64 * MAX_WORDS])) if len(w) > 1 and w not in _COMMON]
    known = STEMMER.terms(words[:MAX_WORDS])
    return list(dict.fromkeys(term for word in known.values() for term in word))[:MAX_WORDS]


def write_words(path: Path, tables: sqlite3.Connection, texts: Sequence[str]) -> int:
    """Write the postings of texts, whose place is their row, and a table `term` of where each word's begin.

    Answers how many postings there are.
    """
    known: dict[str, int] = {}
    lengths = np.zeros(len(texts), np.int32)
    parts: list[NDArray[np.int32]] = []
    for row, text in enumerate(texts):
        words = words_of(text)
        parts.append(np.fromiter((known.setdefault(w, len(known)) for w in words), np.int32, len(words)))
        lengths[row] = len(words)
    rows_of_words = np.repeat(np.arange(len(texts), dtype=np.int64), lengths)
    words_found = np.concatenate(parts) if parts else np.empty(0, np.int32)
    stems = STEMMER.terms(known)
    names = sorted({term for terms in stems.values() for term in terms})
    number = {term: at for at, term in enumerate(names)}
    width = max((len(terms) for terms in stems.values()), default=1)
    pairs: list[NDArray[np.int64]] = []
    for place in range(width):  # nearly always once: a word is one term
        table = np.fromiter(
            (number[stems[w][place]] if place < len(stems[w]) else -1 for w in known), np.int64, len(known)
        )
        terms = table[words_found] if len(known) else np.empty(0, np.int64)
        pairs.append(((terms << 32) | rows_of_words)[terms >= 0])
    unique, counts = np.unique(np.concatenate(pairs), return_counts=True)
    rows, terms = (unique & 0xFFFFFFFF).astype(np.int32), unique >> 32
    starts = np.searchsorted(terms, np.arange(len(names) + 1))
    with path.open("wb") as file:
        for block in (rows, lengths, np.minimum(counts, 255).astype(np.uint8)):
            file.write(block.tobytes())
    tables.executemany(
        "INSERT INTO term VALUES (?, ?, ?)",
        ((name, int(starts[at]), int(starts[at + 1] - starts[at])) for at, name in enumerate(names)),
    )
    return len(rows)


class Words:
    """The postings of one segment open for reading."""

    def __init__(self, path: Path, *, rows: int, postings: int) -> None:
        self.rows = rows
        self._posted: NDArray[np.int32] = _block(path, np.int32, 0, postings)
        self._lengths: NDArray[np.int32] = _block(path, np.int32, 4 * postings, rows)
        self._counts: NDArray[np.uint8] = _block(path, np.uint8, 4 * (postings + rows), postings)

    def postings(self, start: int, size: int, rows: Rows) -> Postings:
        """The part of a word's postings that lies in these rows' ranges; dead rows are still in it."""
        end = start + size
        if rows.ranges == ((0, self.rows),):
            return Postings(self._posted[start:end], self._counts[start:end])
        bounds = np.searchsorted(self._posted[start:end], np.array(rows.ranges, np.int32).ravel()) + start
        cuts = [slice(int(lo), int(hi)) for lo, hi in bounds.reshape(-1, 2) if lo < hi]
        if len(cuts) == 1:
            return Postings(self._posted[cuts[0]], self._counts[cuts[0]])
        if not cuts:
            return Postings(np.empty(0, np.int32), np.empty(0, np.uint8))
        return Postings(
            np.concatenate([self._posted[c] for c in cuts]), np.concatenate([self._counts[c] for c in cuts])
        )

    def damping(self, rows: NDArray[np.int32], mean: float) -> NDArray[np.float32]:
        """What BM25 adds to a word's count in each of these rows: more for one longer than the mean."""
        return np.asarray(np.float32(K1 * (1 - B)) + np.float32(K1 * B / mean) * self._lengths[rows], np.float32)

    def total(self, rows: Rows) -> int:
        """How many words these rows have together."""
        whole = sum(int(self._lengths[lo:hi].sum(dtype=np.int64)) for lo, hi in rows.ranges)
        return whole - int(self._lengths[rows.gone].sum(dtype=np.int64))


def _block(path: Path, kind: Any, offset: int, size: int) -> Any:
    # as a plain array, which is cut faster
    return np.memmap(path, kind, "r", offset, (size,)).view(np.ndarray) if size else np.empty(0, kind)


class Scope(NamedTuple):
    """What the words of one segment are searched for: its postings by term, and which rows may be read."""

    words: Words
    found: dict[str, Postings]
    rows: Rows
    first: int
    """Number of the segment's first row within the snapshot."""


class Said(NamedTuple):
    """A row, numbered within the snapshot, and its BM25 score, above 0.

    `share` is that score of the most that any row could have: near 0.45 for one of mean length that says each word of
    the query once, less for one that says a few of many.
    """

    row: int
    score: float
    share: float


def best(scopes: Sequence[Scope], *, rows: int, length: int, n: int, budget: int = MAX_POSTINGS) -> list[Said]:
    """The n best rows by BM25, best first; any word may match.

    `rows` and `length` are how many rows the reader sees and how many words they have. The rarest words bring in
    rows until `budget` of them were looked at, at least one word in any case; the others only add to these.
    """
    seen: dict[str, int] = {}
    for scope in scopes:
        for term, found in scope.found.items():
            seen[term] = seen.get(term, 0) + len(found.rows) - scope.rows.dead_among(found.rows)
    order = sorted((term for term, size in seen.items() if size), key=lambda t: (seen[t], t))
    spent = np.cumsum([seen[term] for term in order])
    bringing = order[: max(1, int(np.searchsorted(spent, budget, side="right")))]
    mean = max(1.0, length / max(1, rows))
    weights = {t: np.float32((K1 + 1) * max(_LEAST, log((rows - seen[t] + 0.5) / (seen[t] + 0.5)))) for t in order}
    adding = order[len(bringing) :]
    ranked: list[tuple[float, int]] = []
    for scope in scopes:
        brought = {t: scope.found[t] for t in bringing if t in scope.found and len(scope.found[t].rows)}
        if not brought:
            continue
        every = np.zeros(scope.words.rows, np.float32)  # only the pages that are written to take memory
        for term, found in brought.items():
            every[found.rows] += weights[term] * _saturated(found.counts, scope.words.damping(found.rows, mean))
        candidates = scope.rows.live(_each_once([found.rows for found in brought.values()], every))
        scores = every[candidates]
        # What the other words can add at most decides which candidates they need to be looked up for.
        most = sum(float(weights[t]) for t in adding if t in scope.found)
        candidates, scores = _within(candidates, scores, n, most)
        for term in adding:
            other = scope.found.get(term)
            if other is not None and len(other.rows):
                at = np.minimum(np.searchsorted(other.rows, candidates), len(other.rows) - 1)
                counts = np.where(other.rows[at] == candidates, other.counts[at], 0)
                scores = scores + weights[term] * _saturated(counts, scope.words.damping(candidates, mean))
        candidates, scores = _within(candidates, scores, n, 0)
        ranked += [(-score, scope.first + row) for score, row in zip(scores.tolist(), candidates.tolist(), strict=True)]
    most = float(sum(weights.values()))
    return [Said(row, -score, -score / most) for score, row in sorted(ranked)[:n]]


def _each_once(rows: Sequence[NDArray[np.int32]], every: NDArray[np.float32]) -> NDArray[np.int32]:
    """The rows ascending, each once; `every` has a score above 0 for them and for no other."""
    if 8 * sum(map(len, rows)) > len(every):
        return np.flatnonzero(every).astype(np.int32)
    ordered = np.sort(np.concatenate(rows))
    once = np.append(True, ordered[1:] != ordered[:-1])
    return np.asarray(ordered[once], np.int32)


def _saturated(counts: NDArray[np.uint8], damping: NDArray[np.float32]) -> NDArray[np.float32]:
    times = counts.astype(np.float32)
    return np.asarray(times / (times + damping), np.float32)


def _within(
    candidates: NDArray[np.int32], scores: NDArray[np.float32], n: int, most: float
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Those candidates that are among the n best, or could be if each score grew by up to `most`."""
    if len(scores) <= n:
        return candidates, scores
    least = np.partition(scores, len(scores) - n)[len(scores) - n]
    kept = scores >= least - np.float32(most)
    return candidates[kept], scores[kept]
