"""A snapshot open for reading: its segments as one, and what each reader sees of them.

A `Store` answers nothing by itself: `seen_by` gives the view of a reader, and every read goes through one.
Rows are numbered through all segments, in the order of the snapshot's manifest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aegis_agents.errors import InputError, IntelTampered
from aegis_agents.intel import words
from aegis_agents.intel.documents import CORPORA, Corpus
from aegis_agents.intel.index import Near
from aegis_agents.intel.readers import Reader, Rows
from aegis_agents.intel.segments import Segment, SegmentPool
from aegis_agents.intel.snapshot import Held, dead_rows, read_manifest
from aegis_agents.intel.tables import Entry, Stored


class Store:
    """A snapshot open for reading; safe to share between threads.

    `pool` holds its segments open, which other snapshots of the directory share; closing it closes them.
    Raises IntelTampered if a file is not what was written, IntelError if it can't be read.
    """

    def __init__(self, directory: Path, snapshot_id: str, pool: SegmentPool) -> None:
        self.id = snapshot_id
        self.manifest = read_manifest(directory, snapshot_id)
        self.segments = [pool.get(part.segment) for part in self.manifest.parts]
        if any(part.rows != s.manifest.rows for part, s in zip(self.manifest.parts, self.segments, strict=True)):
            raise IntelTampered(f"{snapshot_id}: counts other rows than its segments have (rebuild the snapshot)")
        self.dead = [dead_rows(part) for part in self.manifest.parts]
        self.first = [0, *accumulate(part.rows for part in self.manifest.parts)]
        self._views: dict[Reader, View] = {}

    def seen_by(self, reader: Reader) -> View:
        """What this reader sees of it."""
        view = self._views.get(reader)
        if view is None:
            # A view does not refer to its store: what nobody uses any more goes at once, and its files with it.
            all_of = [
                Piece(s, Rows((), dead), at) for s, dead, at in zip(self.segments, self.dead, self.first, strict=False)
            ]
            view = self._views[reader] = View(self.id, self.manifest.seen_by(reader), all_of, reader)
        return view


class Piece(NamedTuple):
    """What a view may read of one segment."""

    segment: Segment
    rows: Rows
    first: int


class _Measure(NamedTuple):
    """How many rows with words there are to read, and how many words they have."""

    rows: int
    length: int


class View:
    """One reader's rows of a snapshot. `held` is how many documents of which feed there are for them."""

    def __init__(self, snapshot: str, held: list[Held], segments: Sequence[Piece], reader: Reader) -> None:
        self.snapshot, self.held, self.reader = snapshot, held, reader
        self._segments = segments
        self._pieces: dict[tuple[Corpus, ...] | None, list[Piece]] = {}
        self._ranked: dict[tuple[Corpus, ...] | None, tuple[list[Piece], _Measure]] = {}

    def names(self, corpus: Corpus) -> dict[str, tuple[int, str]]:
        """Every id and alias of a corpus, in upper case → the row, and its id; an id wins over another's alias."""
        found: dict[str, tuple[int, str]] = {}
        for piece in self.pieces((corpus,)):
            for name, (row, key) in piece.segment.tables.names(piece.rows).items():
                if name == key.upper() or name not in found:
                    found[name] = piece.first + row, key
        return found

    @cached_property
    def technique_names(self) -> dict[str, str]:
        """Every id and alias of a technique, in upper case → its id; a live id wins over another's alias."""
        return {name: key for name, (_, key) in self.names("technique").items()}

    @cached_property
    def technique_ids(self) -> frozenset[str]:
        """Every technique's id."""
        return frozenset(self.technique_names.values())

    def pieces(self, corpora: Sequence[Corpus] | None) -> list[Piece]:
        """What may be read of these corpora (None: all), by segment. Raises InputError for one that does not exist."""
        key = None if corpora is None else tuple(corpora)
        if key not in self._pieces:
            for corpus in key or ():
                if corpus not in CORPORA:
                    raise InputError(f"{corpus!r} is not a corpus", field="corpora", fix=f"use {', '.join(CORPORA)}")
            found = [
                piece._replace(
                    rows=Rows.of(piece.segment.ranges(self.reader, CORPORA if key is None else key), piece.rows.dead)
                )
                for piece in self._segments
            ]
            self._pieces[key] = [piece for piece in found if piece.rows.count]
        return self._pieces[key]

    def nearest(self, vector: NDArray[np.float32], corpora: Sequence[Corpus] | None, n: int) -> list[Near]:
        """The n rows with the highest cosine, best first."""
        found: list[Near] = []
        for segment, rows, first in self._ranked_pieces(corpora)[0]:
            if segment.index is not None:
                found += [Near(first + row, cosine) for row, cosine in segment.index.nearest(vector, rows, n)]
        return sorted(found, key=lambda near: (-near.cosine, near.row))[:n]

    def cosine(self, row: int, vector: NDArray[np.float32]) -> float:
        """The cosine of one row's vector with another; 0 for a row without, or that may not be read."""
        for segment, rows, first in self._ranked_pieces(None)[0]:
            if row - first in rows and segment.index is not None and row - first < segment.index.size:
                return float(np.dot(segment.index.vectors(np.array([row - first], np.int32))[0], vector))
        return 0.0

    def lexical(
        self, query: str, corpora: Sequence[Corpus] | None, n: int, *, budget: int = words.MAX_POSTINGS
    ) -> list[words.Said]:
        """The n best rows by BM25 (see `words.best`), best first."""
        terms = words.query_terms(query)
        pieces, measure = self._ranked_pieces(corpora)
        scopes = []
        for segment, rows, first in pieces if terms else ():
            at = segment.tables.terms(terms)
            found = {t: segment.words.postings(start, size, rows) for t, (start, size) in at.items()}
            scopes.append(words.Scope(segment.words, found, rows, first))
        return words.best(scopes, rows=measure.rows, length=measure.length, n=n, budget=budget)

    def named(self, names: Sequence[str], corpora: Sequence[Corpus] | None) -> dict[str, list[int]]:
        """Each name, as given → the rows that have it as id or alias, whatever its case."""
        rows: dict[str, list[int]] = {}
        for segment, inside, first in self.pieces(corpora):
            for name, row in segment.tables.named(names, inside):
                rows.setdefault(name, []).append(first + row)
        return {name: rows[name.upper()] for name in dict.fromkeys(names) if name.upper() in rows}

    def stored(self, wanted: Iterable[int]) -> dict[int, Stored]:
        """The documents of these rows, those left out that may not be read."""
        rows = list(wanted)
        found: dict[int, Stored] = {}
        for segment, inside, first in self.pieces(None):
            local = [row - first for row in rows if first <= row < first + segment.manifest.rows]
            if local:
                found.update((first + row, s) for row, s in segment.tables.stored(local, inside).items())
        return found

    def each(self, corpora: Sequence[Corpus] | None = None, *, feed: str | None = None) -> Iterator[tuple[int, Stored]]:
        """(row, document) of all, or of one feed, segment by segment."""
        for segment, inside, first in self.pieces(corpora):
            for stored in segment.tables.each(inside, feed=feed):
                yield first + stored.fields[0], stored

    def entries(self, *, feed: str | None = None, segments: Sequence[str] | None = None) -> Iterator[Entry]:
        """What tells documents apart, of all or of one feed; of these segments only if any are named."""
        for segment, inside, first in self.pieces(None):
            if segments is None or segment.id in segments:
                for entry in segment.tables.entries(inside, feed=feed):
                    yield entry._replace(row=first + entry.row)

    def holders(self, ids: Sequence[str]) -> Iterator[Entry]:
        """What tells documents apart, of those that have one of these very ids, in whatever corpus."""
        for segment, inside, first in self.pieces(None):
            for entry in segment.tables.holders(ids, inside):
                yield entry._replace(row=first + entry.row)

    def _ranked_pieces(self, corpora: Sequence[Corpus] | None) -> tuple[list[Piece], _Measure]:
        key = None if corpora is None else tuple(corpora)
        if key not in self._ranked:
            pieces = [
                piece._replace(rows=ranked)
                for piece in self.pieces(corpora)
                if (ranked := piece.rows.below(piece.segment.manifest.vectors)).count
            ]
            count = sum(piece.rows.count for piece in pieces)
            self._ranked[key] = pieces, _Measure(count, sum(p.segment.words.total(p.rows) for p in pieces))
        return self._ranked[key]


def unit(vector: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """A vector of length 1, shape (dimensions,); (1, dimensions) is taken too.

    Raises InputError if it has another shape, is zero or is not finite.
    """
    flat = np.asarray(vector, np.float32)
    if flat.shape == (1, dimensions):
        flat = flat[0]
    if flat.shape != (dimensions,):
        raise InputError(f"has shape {flat.shape}, not ({dimensions},)", field="vector", fix="use the model's embed")
    length = float(np.linalg.norm(flat))
    if not np.isfinite(length) or length == 0:
        raise InputError("is zero or not finite", field="vector", fix="use the model's embed")
    return flat / np.float32(length)
