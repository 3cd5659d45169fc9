"""One snapshot, verified and open for reading: its FAISS index by memory map, its tables, its ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aegis_agents.errors import InputError, IntelError
from aegis_agents.intel.documents import CORPORA, Corpus
from aegis_agents.intel.snapshot import TABLES, VECTORS, snapshot_path, verify
from aegis_agents.intel.tables import Range, Tables


class Near(NamedTuple):
    """A row and the cosine of its vector with the query's."""

    row: int
    cosine: float


class Store:
    """A snapshot open for reading; safe to share between threads.

    Raises IntelTampered if a file is not what was written, IntelError if it can't be read.
    """

    def __init__(self, directory: Path, snapshot_id: str) -> None:
        import faiss

        path = snapshot_path(directory, snapshot_id)
        self.id = snapshot_id
        self.manifest = verify(path)  # before parsing: FAISS does not defend itself against hostile files
        # Some ten thousand vectors take well under a millisecond on one thread; handing them out costs more.
        faiss.omp_set_num_threads(1)
        # IO_FLAG_MMAP maps inverted lists, IO_FLAG_MMAP_IFC flat codes: with both, processes share any index.
        try:
            self._index = faiss.read_index(str(path / VECTORS), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise IntelError(f"{path / VECTORS}: FAISS can't read it: {error}") from error
        self.tables = Tables(path / TABLES)
        self.technique_names = self.tables.names("technique")
        self.technique_ids = frozenset(self.technique_names.values())

    def close(self) -> None:
        """Release the files."""
        self.tables.close()

    def ranges(self, corpora: Sequence[Corpus] | None) -> list[Range]:
        """The rows of these corpora (None: all). Raises InputError for a corpus that does not exist."""
        for corpus in corpora or ():
            if corpus not in CORPORA:
                raise InputError(f"{corpus!r} is not a corpus", field="corpora", fix=f"use {', '.join(CORPORA)}")
        ranges = self.manifest.ranges
        return [ranges[c] for c in (CORPORA if corpora is None else dict.fromkeys(corpora)) if c in ranges]

    def nearest(self, vector: NDArray[np.float32], ranges: Sequence[Range], n: int) -> list[Near]:
        """The n rows with the highest cosine among those in `ranges`, best first."""
        import faiss

        found: list[Near] = []
        for lo, hi in ranges:
            inside = faiss.SearchParameters(sel=faiss.IDSelectorRange(lo, hi, True))  # type: ignore[call-arg]  # its stubs lack the wrapper
            cosines, rows = self._index.search(vector[None], min(n, hi - lo), params=inside)
            found += [Near(int(r), float(c)) for r, c in zip(rows[0], cosines[0], strict=True) if r >= 0]
        return sorted(found, key=lambda near: (-near.cosine, near.row))[:n]

    def cosine(self, row: int, vector: NDArray[np.float32]) -> float:
        """The cosine of one row's vector with another."""
        return float(np.dot(self._index.reconstruct(row), vector))


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
