"""The vectors of a segment: exact up to 50,000, above that in inverted lists, read by memory map.

Measured (evals/reports/intel_store.md): an exact search of 50,000 takes some milliseconds and grows with
them, where inverted lists answer in a fraction of one but must be trained for seconds. Their vectors keep 16 bits
a value, which is what `embedding` rounds to, so that nothing is lost but what lies in lists that are not probed.
"""

from __future__ import annotations

import os
from math import ceil, sqrt
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from aegis_agents.errors import IntelError
from aegis_agents.intel.readers import Rows

EXACT_UP_TO = 50_000
"""Vectors that are searched one by one."""

PROBES = 128
"""Lists that are searched when everything may be read; the fewer may be read, the more lists. A quarter of these
would do for vectors in clusters; without any clusters they find 95 of 100 among 100,000 (evals/reports/intel_store.md)."""

_MAX_LISTS, _PER_LIST, _ROUNDS, _SEED = 2048, 40, 8, 4
_FEW = 2000
"""Rows that are compared one by one whatever the index: no list is then missed, and it costs less."""


class Near(NamedTuple):
    """A row and the cosine of its vector with the query's."""

    row: int
    cosine: float


def write_index(path: Path, vectors: NDArray[np.float32]) -> None:
    """Write unit vectors, shape (rows, dimensions), in the order of their rows; the same give the same bytes."""
    import faiss

    faiss.omp_set_num_threads(os.cpu_count() or 1)
    rows, dimensions = vectors.shape
    vectors = np.ascontiguousarray(vectors, np.float32)
    if rows <= EXACT_UP_TO:
        index: Any = faiss.IndexFlatIP(dimensions)
    else:
        lists = min(_MAX_LISTS, int(4 * sqrt(rows)))
        coarse = faiss.IndexFlatIP(dimensions)
        kind = faiss.ScalarQuantizer.QT_fp16
        index = faiss.IndexIVFScalarQuantizer(coarse, dimensions, lists, kind, faiss.METRIC_INNER_PRODUCT, False)
        index.cp.niter, index.cp.seed, index.cp.spherical = _ROUNDS, _SEED, True
        index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = _PER_LIST, 1
        some = np.random.default_rng(_SEED).permutation(rows)[: lists * _PER_LIST]
        index.train(vectors[np.sort(some)])
        index.set_direct_map_type(cast(Any, faiss).DirectMap.Array)  # to read one row's vector
    index.add(vectors)
    faiss.write_index(index, str(path))
    faiss.omp_set_num_threads(1)


class VectorIndex:
    """The vectors of a segment open for reading; safe to share between threads.

    Raises IntelError if FAISS can't read the file, which must have been verified: FAISS does not defend
    itself against hostile ones.
    """

    def __init__(self, path: Path) -> None:
        import faiss

        self._faiss = cast(Any, faiss)  # its stubs lack the wrappers that Python gets
        # IO_FLAG_MMAP_IFC maps flat vectors and inverted lists alike, so that processes share them. IO_FLAG_MMAP
        # would start threads for every search of lists, and the two can't be had together.
        try:
            self._index = cast(Any, faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC))
        except RuntimeError as error:
            raise IntelError(f"{path}: FAISS can't read it: {error}") from error
        self.size: int = self._index.ntotal
        self._lists: int = getattr(self._index, "nlist", 0)

    def nearest(self, vector: NDArray[np.float32], rows: Rows, n: int) -> list[Near]:
        """The n rows with the highest cosine among those that may be read, best first; fewer only if there are fewer."""
        rows = rows.below(self.size)
        n = min(n, rows.count)
        if n == 0:
            return []
        if not self._lists:
            found = self._exact(vector, rows, n)
        elif rows.count <= _FEW:
            cosines = self.vectors(rows.all) @ vector
            found = [Near(int(r), float(c)) for r, c in zip(rows.all, cosines, strict=True)]
        else:
            probes = min(self._lists, ceil(PROBES * self.size / rows.count))
            found = self._probe(vector, rows, n, probes)
            if len(found) < n:
                found = self._probe(vector, rows, n, self._lists)
        return sorted(found, key=lambda near: (-near.cosine, near.row))[:n]

    def vectors(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """The vectors of these rows, shape (rows, dimensions)."""
        return np.asarray(self._index.reconstruct_batch(rows.astype(np.int64)), np.float32)

    def _exact(self, vector: NDArray[np.float32], rows: Rows, n: int) -> list[Near]:
        if rows.dead is not None:
            return self._ask(vector, n, self._faiss.SearchParameters(sel=self._bitmap(rows)))
        found: list[Near] = []
        for lo, hi in rows.ranges:  # a range is searched without looking at anything outside it
            inside = self._faiss.SearchParameters(sel=self._faiss.IDSelectorRange(lo, hi, True))
            found += self._ask(vector, min(n, hi - lo), inside)
        return found

    def _probe(self, vector: NDArray[np.float32], rows: Rows, n: int, probes: int) -> list[Near]:
        if rows.count == self.size:
            return self._ask(vector, n, self._faiss.SearchParametersIVF(nprobe=probes))
        one = len(rows.ranges) == 1 and rows.dead is None
        selector = self._faiss.IDSelectorRange(*rows.ranges[0], True) if one else self._bitmap(rows)
        return self._ask(vector, n, self._faiss.SearchParametersIVF(sel=selector, nprobe=probes))

    def _bitmap(self, rows: Rows) -> Any:
        return self._faiss.IDSelectorBitmap(rows.bitmap)

    def _ask(self, vector: NDArray[np.float32], n: int, parameters: Any) -> list[Near]:
        # Some ten thousand vectors take well under a millisecond on one thread; handing them out costs more.
        self._faiss.omp_set_num_threads(1)  # holds for the calling thread only
        cosines, rows = self._index.search(vector[None], n, params=parameters)
        return [Near(int(r), float(c)) for r, c in zip(rows[0], cosines[0], strict=True) if r >= 0]
