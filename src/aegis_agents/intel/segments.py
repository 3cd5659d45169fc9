"""Segments: immutable folders of documents, named by the hash of their content.

    segments/<id>/vectors.faiss      unit vectors of the first rows (`index`); absent where nothing has one
                  documents.sqlite   documents, origins, ids (`tables`)
                  words.bin          postings of their words (`words`)
                  manifest.json      groups of rows, SHA-256 of every other file

The id is the SHA-256 of the manifest. Rows are ordered by corpus, tenant, marking and id, and the manifest
says where each group of these begins and ends. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import threading
import weakref
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from aegis_agents.errors import IntelError, IntelTampered
from aegis_agents.intel import files
from aegis_agents.intel.documents import CORPORA, EXACT_ONLY, TLP_ORDER, Corpus, Document, Tlp
from aegis_agents.intel.index import VectorIndex, write_index
from aegis_agents.intel.readers import Range, Reader
from aegis_agents.intel.tables import Tables, write_tables
from aegis_agents.intel.words import Words
from aegis_agents.records.base import Record

VECTORS, TABLES, WORDS, MANIFEST = "vectors.faiss", "documents.sqlite", "words.bin", "manifest.json"
SEGMENTS = "segments"
ID = re.compile(r"[0-9a-f]{32}")

_REBUILD = "rebuild the snapshot"


class Group(Record):
    """The rows of one corpus, tenant and marking."""

    corpus: Corpus
    tenant: str
    tlp: Tlp
    start: int
    stop: int


class SegmentManifest(Record):
    """What a segment is made of. Rows from `vectors` on have neither vector nor words."""

    format: int
    model: str
    dimensions: int
    rows: int
    vectors: int
    postings: int
    groups: tuple[Group, ...]
    files: dict[str, str]

    def to_bytes(self) -> bytes:
        """Canonical JSON, one form for one content."""
        return canonical(self)

    @property
    def id(self) -> str:
        """The name of the segment."""
        return name_of(self.to_bytes())


def canonical(record: Record) -> bytes:
    """A record as JSON, one form for one content."""
    return json.dumps(record.model_dump(mode="json"), sort_keys=True, indent=1).encode()


def name_of(content: bytes) -> str:
    """The first 128 bits of a content's SHA-256, in hex."""
    return hashlib.sha256(content).hexdigest()[:32]


def order(documents: Sequence[Document]) -> list[Document]:
    """Documents in the order of their rows. Raises IntelError if an id is there twice in a corpus."""
    rank = {corpus: at for at, corpus in enumerate(CORPORA)}
    twice = [key for key, n in Counter((d.corpus, d.id) for d in documents).items() if n > 1]
    if twice:
        corpus, key = min(twice)
        raise IntelError(f"{corpus} {key} is there twice (give each document its own id)")
    return sorted(documents, key=lambda d: (rank[d.corpus], d.tenant, TLP_ORDER.index(d.tlp), d.id))


def with_vectors(documents: Sequence[Document]) -> int:
    """How many of ordered documents have a vector: all before the first that is found exactly or not at all."""
    return sum(1 for _ in itertools.takewhile(lambda d: d.corpus not in EXACT_ONLY, documents))


def write_segment(
    directory: Path, documents: Sequence[Document], vectors: NDArray[np.float32], *, model: str, format: int
) -> SegmentManifest:
    """Write ordered documents and the vectors of those that have one; answers the manifest.

    The segment is part of no snapshot yet. Raises IntelError if it can't be written; nothing is left then.
    """
    with files.building(directory / SEGMENTS) as folder:
        if len(vectors):
            write_index(folder / VECTORS, vectors)
        postings = write_tables(folder / TABLES, folder / WORDS, documents, texts=len(vectors))
        written = sorted(path.name for path in folder.iterdir())
        manifest = SegmentManifest(
            format=format, model=model, dimensions=vectors.shape[1], rows=len(documents), vectors=len(vectors),
            postings=postings, groups=_groups(documents),
            files=dict(zip(written, _hashes([folder / name for name in written]), strict=True)),
        )  # fmt: skip
        (folder / MANIFEST).write_bytes(manifest.to_bytes())
        for path in folder.iterdir():
            files.sync(path)
        files.place(folder, directory / SEGMENTS / manifest.id, verify)
    return manifest


_REMEMBERED = 1000
_verified: dict[str, tuple[tuple[str, int, int, int, int], ...]] = {}
"""Segments whose hashes this process has checked last, and what their files looked like then."""


def verify(path: Path) -> SegmentManifest:
    """The manifest of a segment whose every file is what was written.

    Raises IntelTampered naming the file that is not. A segment is hashed once by a process, its files side by
    side in threads, and again only if size, times or inode of a file changed.
    """
    try:
        # a link may lead elsewhere tomorrow, and reading a pipe may never end
        links = [path] if path.is_symlink() else [p for p in path.iterdir() if p.is_symlink() or not p.is_file()]
        if links:
            raise IntelTampered(f"{min(links)}: is not a plain file ({_REBUILD})")
        raw = (path / MANIFEST).read_bytes()
        manifest = SegmentManifest.model_validate_json(raw)
    except (OSError, ValidationError) as error:
        raise IntelTampered(f"{path / MANIFEST}: missing or not a manifest ({_REBUILD})") from error
    if name_of(raw) != path.name:
        raise IntelTampered(f"{path / MANIFEST}: differs from what its segment is named after ({_REBUILD})")
    present = {entry.name for entry in path.iterdir()}
    if strange := sorted(present - set(manifest.files) - {MANIFEST}):
        raise IntelTampered(f"{path / strange[0]}: does not belong to the segment ({_REBUILD})")
    for name in manifest.files:
        if name not in present:
            raise IntelTampered(f"{path / name}: missing ({_REBUILD})")
    names = sorted(manifest.files)
    key = str(path.resolve())
    try:
        # ctime: anybody can set a file's mtime back
        looks = tuple(
            (n, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for n in names for s in [(path / n).stat()]
        )
        if _verified.get(key) != looks:
            for name, found in zip(names, _hashes([path / n for n in names]), strict=True):
                if found != manifest.files[name]:
                    raise IntelTampered(f"{path / name}: altered since it was written ({_REBUILD})")
            _verified[key] = looks
    except OSError as error:
        raise IntelTampered(f"{path}: can't be read: {error} ({_REBUILD})") from error
    while len(_verified) > _REMEMBERED:
        _verified.pop(next(iter(_verified)), None)
    return manifest


class Segment:
    """A segment, verified and open for reading; safe to share between threads and snapshots.

    Raises IntelTampered if a file is not what was written, IntelError if it can't be read.
    """

    def __init__(self, directory: Path, segment_id: str) -> None:
        path = directory / SEGMENTS / segment_id
        if not path.is_dir():
            raise IntelTampered(f"{path}: the snapshot names this segment and it is not there ({_REBUILD})")
        self.id = segment_id
        self.manifest = verify(path)  # before parsing: FAISS does not defend itself against hostile files
        self.index = VectorIndex(path / VECTORS) if self.manifest.vectors else None
        self.tables = Tables(path / TABLES)
        self.words = Words(path / WORDS, rows=self.manifest.vectors, postings=self.manifest.postings)

    def ranges(self, reader: Reader, corpora: Sequence[Corpus]) -> list[Range]:
        """The rows of these corpora that this reader may see."""
        return [(g.start, g.stop) for g in self.manifest.groups if g.corpus in corpora and reader.sees(g.tenant, g.tlp)]

    def close(self) -> None:
        """Release the files."""
        self.tables.close()


class SegmentPool:
    """Open segments, shared by the snapshots that name them; one that none uses any more is closed by itself."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._open: weakref.WeakValueDictionary[str, Segment] = weakref.WeakValueDictionary()

    def get(self, segment_id: str) -> Segment:
        """A segment, opened if it is not open."""
        with self._lock:
            segment = self._open.get(segment_id)
            if segment is None:
                segment = self._open[segment_id] = Segment(self._directory, segment_id)
            return segment

    def close(self) -> None:
        """Release the files of all."""
        with self._lock:
            for segment in list(self._open.values()):
                segment.close()
            self._open.clear()


def _groups(documents: Sequence[Document]) -> tuple[Group, ...]:
    groups: list[Group] = []
    start = 0
    for (corpus, tenant, tlp), members in itertools.groupby(documents, key=lambda d: (d.corpus, d.tenant, d.tlp)):
        stop = start + sum(1 for _ in members)
        groups.append(Group(corpus=corpus, tenant=tenant, tlp=tlp, start=start, stop=stop))
        start = stop
    return tuple(groups)


def _hashes(paths: Sequence[Path]) -> list[str]:
    with ThreadPoolExecutor(max(1, len(paths))) as pool:
        return list(pool.map(files.sha256_of, paths))
