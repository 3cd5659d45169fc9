"""From a plan to the next snapshot: one new segment, one new manifest, and small segments folded into it.

Must run under `files.only_writer`, on the current snapshot.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aegis_agents.intel.changes import Plan
from aegis_agents.intel.documents import Corpus, Document, Embedder
from aegis_agents.intel.embedding import SHIPPED_VECTORS, embed_documents
from aegis_agents.intel.readers import KEEPER
from aegis_agents.intel.segments import order, with_vectors, write_segment
from aegis_agents.intel.snapshot import FORMAT, Held, Manifest, Part, as_ranges, join, write_manifest
from aegis_agents.intel.store import Store
from aegis_agents.intel.tables import Entry

CACHE = "embeddings.sqlite"
"""Vectors of earlier builds, in the directory of the snapshots."""

MAX_PARTS = 8
"""Segments of a snapshot; each is asked in every search. Where there would be more, the small ones become one."""


class Versions(NamedTuple):
    """What a snapshot says of where its contents came from (see `Manifest`)."""

    sources: Mapping[Corpus, str]
    feeds: Mapping[str, str]
    own: Iterable[Corpus]


class _Kept(NamedTuple):
    """Documents of a segment that is folded into the next, and the vectors of those that have one."""

    documents: list[Document]
    vectors: NDArray[np.float32]


def write_all(
    directory: Path,
    documents: Sequence[Document],
    model: Embedder,
    versions: Versions,
    *,
    vectors: Path = SHIPPED_VECTORS,
) -> str:
    """Write a snapshot of nothing but these documents, in one segment; answers its id. It is not in use yet."""
    ordered = order(documents)
    matrix = _embed(directory, ordered[: with_vectors(ordered)], model, vectors)
    return _write(directory, model, [], ordered, matrix, versions, _held(ordered))


def write_next(directory: Path, store: Store, plan: Plan, model: Embedder, versions: Versions) -> str:
    """Write the snapshot after a plan; answers its id. It is not in use yet. Only births are embedded."""
    dead = [
        np.zeros(part.rows, np.bool_) if gone is None else gone.copy()
        for part, gone in zip(store.manifest.parts, store.dead, strict=True)
    ]
    for row in plan.deaths:
        at = bisect.bisect_right(store.first, row) - 1
        dead[at][row - store.first[at]] = True
    live = [int(len(d) - d.sum()) for d in dead]
    folded = to_fold(live, [len(d) for d in dead], len(plan.births))
    births = order(plan.births)
    kept = [_Kept(births, _embed(directory, births[: with_vectors(births)], model, SHIPPED_VECTORS))]
    kept += [_carried(store, at, dead[at]) for at in folded]
    documents, vectors = _together(kept, store.manifest.dimensions)
    parts = [
        Part(segment=part.segment, rows=part.rows, dead=as_ranges(dead[at]))
        for at, part in enumerate(store.manifest.parts)
        if live[at] and at not in folded
    ]
    held = join(store.manifest.held, _held(births), 1)
    held = join(held, _held_by(store, plan.deaths), -1)
    return _write(directory, model, parts, documents, vectors, versions, held)


def to_fold(live: Sequence[int], rows: Sequence[int], births: int) -> list[int]:
    """Which segments become part of the new one.

    Those of which more than half is dead; and where there would be more than 8, the smallest, up to the first
    that is more than twice what they come to together: a large one is rewritten only when as much is new.
    """
    folded = [at for at, n in enumerate(live) if n and 2 * n < rows[at]]
    rest = sorted((at for at, n in enumerate(live) if n and at not in folded), key=lambda at: (live[at], at))
    together = births + sum(live[at] for at in folded)
    must = len(rest) + 1 - MAX_PARTS
    if must > 0:
        for number, at in enumerate(rest):
            if number >= must and live[at] > 2 * together:
                break
            folded.append(at)
            together += live[at]
    return sorted(folded)


def _write(
    directory: Path,
    model: Embedder,
    parts: list[Part],
    documents: Sequence[Document],
    vectors: NDArray[np.float32],
    versions: Versions,
    held: tuple[Held, ...],
) -> str:
    if documents:
        made = write_segment(directory, documents, vectors, model=model.version, format=FORMAT)
        parts = [*parts, Part(segment=made.id, rows=made.rows)]
    manifest = Manifest(
        format=FORMAT, model=model.version, dimensions=vectors.shape[1], parts=tuple(parts),
        sources=dict(versions.sources), feeds=dict(sorted(versions.feeds.items())),
        own=tuple(sorted(set(versions.own))), held=held,
    )  # fmt: skip
    return write_manifest(directory, manifest)


def _embed(directory: Path, documents: Sequence[Document], model: Embedder, shipped: Path) -> NDArray[np.float32]:
    if not documents:
        return np.empty((0, 0), np.float32)
    return embed_documents(documents, model, cache=directory / CACHE, shipped=shipped)


def _carried(store: Store, at: int, dead: NDArray[np.bool_]) -> _Kept:
    segment, first = store.segments[at], store.first[at]
    rows = np.flatnonzero(~dead).astype(np.int32)
    view = store.seen_by(KEEPER)
    found = view.stored(first + int(row) for row in rows)
    documents = [found[first + int(row)].document() for row in rows]
    ranked = rows[rows < segment.manifest.vectors]
    vectors = segment.index.vectors(ranked) if segment.index is not None and len(ranked) else None
    return _Kept(documents, np.empty((0, 0), np.float32) if vectors is None else vectors)


def _together(kept: Sequence[_Kept], dimensions: int) -> tuple[list[Document], NDArray[np.float32]]:
    documents = order([d for part in kept for d in part.documents])
    place = {(d.corpus, d.id): at for at, d in enumerate(documents[: with_vectors(documents)])}
    vectors = np.zeros((len(place), dimensions), np.float32)
    for part in kept:
        if len(part.vectors):
            rows = [place[d.corpus, d.id] for d in part.documents[: len(part.vectors)]]
            vectors[rows] = part.vectors
    return documents, vectors


def _held(documents: Iterable[Document]) -> tuple[Held, ...]:
    counts = Counter((d.feed, d.corpus, d.tenant, d.tlp) for d in documents)
    return tuple(Held(feed=f, corpus=c, tenant=t, tlp=m, documents=n) for (f, c, t, m), n in sorted(counts.items()))


def _held_by(store: Store, entries: Mapping[int, Entry]) -> tuple[Held, ...]:
    starts = [[g.start for g in segment.manifest.groups] for segment in store.segments]
    counts: Counter[tuple[str, Corpus, str, str]] = Counter()
    for row, entry in entries.items():
        at = bisect.bisect_right(store.first, row) - 1
        group = store.segments[at].manifest.groups[bisect.bisect_right(starts[at], row - store.first[at]) - 1]
        counts[entry.feed, entry.corpus, group.tenant, group.tlp] += 1
    return tuple(
        Held.model_construct(feed=f, corpus=c, tenant=t, tlp=m, documents=n) for (f, c, t, m), n in counts.items()
    )
