"""Snapshots: immutable directories named by the hash of their contents, and the pointer to the current one.

    snapshots/<id>/vectors.faiss      faiss.write_index
                   documents.sqlite   documents, ids, and their FTS5 index
                   manifest.json      versions, row ranges, SHA-256 of both files
    current                           the id in use, replaced atomically

The id is the SHA-256 of the manifest, which names the SHA-256 of every other file: a verdict that
records its snapshot id pins every byte that it was based on. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from aegis_agents.errors import IntelError, IntelTampered
from aegis_agents.intel.documents import CORPORA, Corpus, Document
from aegis_agents.intel.tables import write_tables
from aegis_agents.records.base import Record

FORMAT = 1
"""Raised when the files, or the wording of the shipped documents, change: older snapshots are then rebuilt."""

VECTORS, TABLES, MANIFEST, CURRENT = "vectors.faiss", "documents.sqlite", "manifest.json", "current"
_ID = re.compile(r"[0-9a-f]{32}")


class Manifest(Record):
    """What a snapshot is made of.

    `ranges` gives the first row and the row after the last of each corpus;
    `sources` the version of what each corpus was read from; `own` the corpora that
    the user supplied, which a rebuild carries over.
    """

    format: int
    model: str
    dimensions: int
    ranges: dict[Corpus, tuple[int, int]]
    sources: dict[Corpus, str]
    own: tuple[Corpus, ...]
    files: dict[str, str]

    def to_bytes(self) -> bytes:
        """Canonical JSON, one form for one content."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1).encode()

    @property
    def snapshot_id(self) -> str:
        """The first 128 bits of the manifest's SHA-256, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:32]


def order(documents: Sequence[Document]) -> list[Document]:
    """Documents in the order of their rows: by corpus, then id. Raises IntelError if an id is there twice."""
    rank = {corpus: at for at, corpus in enumerate(CORPORA)}
    ordered = sorted(documents, key=lambda d: (rank[d.corpus], d.id))
    for one, two in itertools.pairwise(ordered):
        if (one.corpus, one.id) == (two.corpus, two.id):
            raise IntelError(f"{one.corpus} {one.id} is there twice (give each document its own id)")
    return ordered


def write_snapshot(
    directory: Path,
    documents: Sequence[Document],
    vectors: NDArray[np.float32],
    *,
    model: str,
    sources: Mapping[Corpus, str],
    own: Sequence[Corpus],
) -> str:
    """Write a snapshot of ordered documents and make it the current one; answers its id.

    Until the last step, one rename, the old snapshot stays in use, and so it does
    if any step fails. Old snapshots are kept, so that old verdicts can be replayed.
    """
    import faiss

    snapshots = directory / "snapshots"
    snapshots.mkdir(parents=True, exist_ok=True, mode=0o700)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=snapshots))
    try:
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors, np.float32))
        faiss.write_index(index, str(building / VECTORS))
        write_tables(building / TABLES, documents)
        manifest = Manifest(
            format=FORMAT, model=model, dimensions=vectors.shape[1], ranges=_ranges(documents), sources=dict(sources),
            own=tuple(sorted(own)), files={name: _sha256(building / name) for name in (TABLES, VECTORS)},
        )  # fmt: skip
        (building / MANIFEST).write_bytes(manifest.to_bytes())
        for path in building.iterdir():
            _sync(path)
        _place(building, snapshots / manifest.snapshot_id)
    except OSError as error:
        raise IntelError(f"{snapshots}: the snapshot can't be written: {error}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)  # gone already when all went well
    point_to(directory, manifest.snapshot_id)
    return manifest.snapshot_id


def verify(path: Path) -> Manifest:
    """The manifest of a snapshot whose every file is what was written.

    Raises IntelTampered naming the file that is not, IntelError if there is no such snapshot.
    """
    if not path.is_dir():
        raise IntelError(f"{path}: there is no such snapshot (build one, or name one that is there)")
    try:
        raw = (path / MANIFEST).read_bytes()
        manifest = Manifest.model_validate_json(raw)
    except (OSError, ValidationError) as error:
        raise IntelTampered(f"{path / MANIFEST}: missing or not a manifest (rebuild the snapshot)") from error
    if hashlib.sha256(raw).hexdigest()[:32] != path.name:
        raise IntelTampered(f"{path / MANIFEST}: differs from what its snapshot is named after (rebuild it)")
    present = {entry.name for entry in path.iterdir()}
    if strange := sorted(present - set(manifest.files) - {MANIFEST}):
        raise IntelTampered(f"{path / strange[0]}: does not belong to the snapshot (rebuild it)")
    for name, expected in manifest.files.items():
        if name not in present or _sha256(path / name) != expected:
            raise IntelTampered(f"{path / name}: missing or altered since it was built (rebuild the snapshot)")
    return manifest


def current(directory: Path) -> str | None:
    """The id of the snapshot in use, None before the first build. Raises IntelTampered if it is no id."""
    try:
        name = (directory / CURRENT).read_text("ascii", errors="replace").strip()
    except FileNotFoundError:
        return None
    if not _ID.fullmatch(name):
        raise IntelTampered(f"{directory / CURRENT}: does not hold a snapshot id (rebuild)")
    return name


def snapshot_path(directory: Path, snapshot_id: str) -> Path:
    """Where a snapshot lies. Raises IntelError if the id is not one, so that no path can be smuggled in."""
    if not _ID.fullmatch(snapshot_id):
        raise IntelError(f"{snapshot_id[:60]!r} is not a snapshot id (32 hexadecimal digits)")
    return directory / "snapshots" / snapshot_id


def point_to(directory: Path, snapshot_id: str) -> None:
    """Make a snapshot the current one, in one atomic step."""
    handle, name = tempfile.mkstemp(prefix=".current-", dir=directory)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(snapshot_id + "\n")
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(directory / CURRENT)  # os.replace: atomic
    _sync(directory)


def _place(building: Path, target: Path) -> None:
    if target.exists():
        try:
            verify(target)
            return  # the same content was built before
        except IntelTampered:
            shutil.rmtree(target)
    try:
        building.rename(target)
        _sync(target.parent)
    except OSError:
        verify(target)  # another process built the same a moment ago


def _ranges(documents: Sequence[Document]) -> dict[Corpus, tuple[int, int]]:
    ranges: dict[Corpus, tuple[int, int]] = {}
    for row, document in enumerate(documents):
        ranges[document.corpus] = (ranges.get(document.corpus, (row, row))[0], row + 1)
    return ranges


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows can't sync a directory, and does not need to
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
