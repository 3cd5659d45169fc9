"""Past cases that a person confirmed: FAISS over their vectors, found the moment they are confirmed.

The only way in is `confirm`, which wants a final verdict. Rows are appended and chained by
hash, each over the one before, so that an edited file is noticed; the last digest is the memory's version.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from aegis_agents.errors import InputError, IntelError, IntelTampered
from aegis_agents.intel.documents import CASE_LICENCE, plain
from aegis_agents.intel.store import unit
from aegis_agents.records import Passage
from aegis_agents.records.base import Record
from aegis_agents.write_ahead import write_ahead

FinalVerdict = Literal["true_positive", "benign_positive", "false_positive"]
"""What a person can confirm; "undetermined" is no verdict to learn from."""

CASE_TRUST = 0.5
"""Of a case's passage: the verdict is a colleague's, but the title came with the alert."""

_MAX_TITLE = 300
_SCHEMA = """
CREATE TABLE IF NOT EXISTS confirmed (
    seq INTEGER PRIMARY KEY, case_id TEXT NOT NULL, verdict TEXT NOT NULL, title TEXT NOT NULL,
    dedupe_key TEXT NOT NULL, model TEXT NOT NULL, vector BLOB NOT NULL, digest BLOB NOT NULL
)
"""


class SimilarCase(Record):
    """A confirmed case and its cosine with the one asked about, -1..1."""

    case_id: str
    verdict: FinalVerdict
    title: str
    dedupe_key: str
    similarity: float
    memory: str
    """Version of the memory that answered."""

    def passage(self) -> Passage:
        """The case as a passage that can be cited."""
        return Passage(
            source="case", id=self.case_id, title=self.title, text=f"Confirmed {self.verdict}: {self.title}",
            score=min(1.0, max(0.0, self.similarity)), snapshot=self.memory, trust=CASE_TRUST, licence=CASE_LICENCE,
        )  # fmt: skip


_SIDES = ("attack", "harmless")


def _side(verdict: FinalVerdict) -> str:
    return "attack" if verdict == "true_positive" else "harmless"


class CaseCounts(NamedTuple):
    """Cases that can be compared with this model's vectors, and rows kept from other models or overruled."""

    usable: int
    kept: int


class _Known(NamedTuple):
    seq: int
    case_id: str
    verdict: FinalVerdict
    title: str
    dedupe_key: str


class CaseMemory:
    """Confirmed cases in one SQLite file, searched in memory; threads and processes may share the file.

    Vectors of another model version can't be compared: such rows are kept, and not used.
    Raises IntelTampered if a row is not what was written, IntelError if the file can't be used.
    """

    def __init__(self, path: Path, *, model: str, dimensions: int) -> None:
        import faiss

        self._path, self._model, self._dimensions = path, model, dimensions
        self._lock = threading.RLock()
        self._faiss = faiss  # imported late: it takes a while
        # A side each: a flood of harmless cases must not crowd the attacks out of the nearest ones.
        self._index = {side: faiss.IndexIDMap2(faiss.IndexFlatIP(dimensions)) for side in _SIDES}
        self._known: dict[int, _Known] = {}
        self._seq_of_case: dict[str, int] = {}
        self._seq_of_key: dict[str, int] = {}
        self._seq, self._digest, self._seen = 0, b"", -1
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
            write_ahead(self._db, 30)
            self._db.execute(_SCHEMA)
            self._catch_up()

    @property
    def version(self) -> str:
        """What the memory has learned so far, as one name; two memories with one name are the same."""
        with self._lock:
            return f"memory:{self._digest.hex()[:32] or 'empty'}"

    def counts(self) -> CaseCounts:
        """How many cases take part, and how many rows are kept without."""
        with self._lock, self._errors():
            self._catch_up()
            return CaseCounts(len(self._known), self._seq - len(self._known))

    def confirm(
        self, case_id: str, vector: NDArray[np.float32], verdict: FinalVerdict, title: str, dedupe_key: str
    ) -> None:
        """Remember a case whose verdict a person confirmed; it is found from now on.

        Cases with one `dedupe_key` are one event and have one vote: the latest
        confirmation. Raises InputError for a verdict that is not final, an empty id
        or a vector of the wrong shape.
        """
        if verdict not in get_args(FinalVerdict):
            raise InputError(
                f"{verdict!r} is not a final verdict", field="verdict", fix=f"use {', '.join(get_args(FinalVerdict))}"
            )
        for field, value in (("case_id", case_id), ("dedupe_key", dedupe_key)):
            if not value or any("\ud800" <= c <= "\udfff" for c in value):  # half characters can't be stored
                raise InputError("is empty or not valid text", field=field, fix="give the case's own")
        row = (case_id, verdict, plain(title)[:_MAX_TITLE], dedupe_key, self._model)
        stored = unit(vector, self._dimensions).tobytes()
        with self._lock, self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._catch_up()
                digest = _chain(self._digest, self._seq + 1, row, stored)
                self._db.execute(
                    "INSERT INTO confirmed VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (self._seq + 1, *row, stored, digest)
                )
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._read_new()

    def similar(self, vector: NDArray[np.float32], k: int = 5, *, exclude_key: str | None = None) -> list[SimilarCase]:
        """The k most similar confirmed attacks and the k most similar harmless cases, best first.

        At most one for each dedupe key; `exclude_key` leaves out the asked case's own event, so that it does
        not vote on itself.
        """
        query = unit(vector, self._dimensions)
        if k < 1:
            raise InputError(f"is {k}", field="k", fix="ask for at least 1")
        with self._lock, self._errors():
            self._catch_up()
            found: list[tuple[_Known, float]] = []
            for index in self._index.values():
                if n := min(k + 1, index.ntotal):  # one more, in case the excluded one is among them
                    cosines, seqs = index.search(query[None], n)
                    near = [(self._known[int(s)], float(c)) for s, c in zip(seqs[0], cosines[0], strict=True) if s >= 0]
                    found += [(c, cosine) for c, cosine in near if c.dedupe_key != exclude_key][:k]
            memory = self.version
        return [
            SimilarCase(
                case_id=c.case_id, verdict=c.verdict, title=c.title, dedupe_key=c.dedupe_key,
                similarity=similarity, memory=memory,
            )
            for c, similarity in sorted(found, key=lambda f: -f[1])
        ]  # fmt: skip

    def vector_of(self, case_id: str) -> NDArray[np.float32] | None:
        """The vector of a confirmed case, None if it is not known."""
        with self._lock, self._errors():
            self._catch_up()
            seq = self._seq_of_case.get(case_id)
            if seq is None:
                return None
            return np.asarray(self._index[_side(self._known[seq].verdict)].reconstruct(seq), np.float32)

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()

    def _catch_up(self) -> None:
        """Take in what other processes confirmed since; costs microseconds when there is nothing."""
        seen = self._db.execute("PRAGMA data_version").fetchone()[0]
        if seen != self._seen:
            self._read_new()
            self._seen = seen

    def _read_new(self) -> None:
        rows = self._db.execute("SELECT * FROM confirmed WHERE seq > ? ORDER BY seq", (self._seq,)).fetchall()
        fresh: dict[int, bytes] = {}
        for seq, *row, vector, digest in rows:
            if seq != self._seq + 1 or _chain(self._digest, seq, tuple(row), vector) != digest:
                raise IntelTampered(f"{self._path}: confirmed case {seq} is not what was written (restore the file)")
            self._seq, self._digest = seq, digest
            case_id, verdict, title, key, model = row
            if model != self._model or len(vector) != 4 * self._dimensions:
                continue
            for old in {self._seq_of_case.get(case_id), self._seq_of_key.get(key)} - {None}:
                self._forget(old, fresh)  # type: ignore[arg-type]  # None was taken out
            self._known[seq] = _Known(seq, case_id, verdict, title, key)
            self._seq_of_case[case_id] = self._seq_of_key[key] = seq
            fresh[seq] = vector
        for side, index in self._index.items():
            own = {seq: vector for seq, vector in fresh.items() if _side(self._known[seq].verdict) == side}
            if own:
                matrix = np.frombuffer(b"".join(own.values()), np.float32).reshape(len(own), self._dimensions)
                index.add_with_ids(matrix, np.fromiter(own, np.int64))

    def _forget(self, seq: int, fresh: dict[int, bytes]) -> None:
        old = self._known.pop(seq)
        del self._seq_of_case[old.case_id], self._seq_of_key[old.dedupe_key]
        if fresh.pop(seq, None) is None:  # not only just read: it is in the index
            self._index[_side(old.verdict)].remove_ids(self._faiss.IDSelectorRange(seq, seq + 1))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise IntelError(f"{self._path}: the memory of cases can't be used: {error}") from error


def _chain(before: bytes, seq: int, row: tuple[str, ...], vector: bytes) -> bytes:
    return hashlib.sha256(before + json.dumps([seq, *row]).encode() + b"\0" + vector).digest()
