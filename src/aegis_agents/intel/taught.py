"""Vectors of techniques and actions that were taught what is told of them, for searches among them.

A technique's description says what it is, procedures say how it is done; an action's says what it does, and not
what calls for it. `training.tune_retrieval` and `tune_actions` move each vector towards those of texts that tell
of it (InfoNCE, van den Oord et al. 2018), and the query's stay the encoder's. Only a search in one of these corpora
alone goes by them; elsewhere texts are compared with texts.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from aegis_agents.errors import InputError, IntelError
from aegis_agents.intel.documents import Corpus
from aegis_agents.intel.index import Near
from aegis_agents.intel.store import View

_DATA = Path(__file__).with_name("data")
SHIPPED_TAUGHT: Mapping[Corpus, Path] = {
    "technique": _DATA / "taught_techniques.npz",
    "action": _DATA / "taught_actions.npz",
}
"""Made for the shipped model; used with that model only."""


class Taught(NamedTuple):
    """Unit vectors of techniques or actions, shape (len(ids), 384), to rank against the encoder's vector of a query.

    `lessons` is how many texts beside its own description told of each.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    lessons: tuple[int, ...]


def read_taught(file: Path, model: str) -> Taught:
    """Read what `write_taught` wrote.

    Raises InputError where it was taught with another model, IntelError if it can't be read.
    """
    try:
        with file.open("rb") as raw, np.load(raw, allow_pickle=False) as kept:
            by, vectors = str(kept["model"]), kept["vectors"].astype(np.float32)
            ids, told = tuple(str(t) for t in kept["ids"]), tuple(int(n) for n in kept["lessons"])
    # TypeError: NumPy's answer to another of its formats, which can't be used in `with`
    except (OSError, EOFError, TypeError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise IntelError(f"{file}: taught vectors can't be read: {error} (install the package anew)") from error
    if by != model:
        raise InputError(f"was taught with {by}, not {model}", field=str(file), fix="teach them again")
    return Taught(ids, vectors, told)


def write_taught(taught: Taught, model: str, file: Path) -> None:
    """Write the vectors for the model that they were taught with; no pickle."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as out:
        np.savez(
            out, model=np.array(model), ids=np.array(taught.ids), vectors=taught.vectors.astype(np.float16),
            lessons=np.array(taught.lessons, np.int32),
        )  # fmt: skip


@lru_cache(maxsize=8)
def shipped_taught(model: str, corpus: Corpus) -> Taught | None:
    """The shipped vectors of a corpus, None for one without or a model that they were not taught with."""
    if corpus not in SHIPPED_TAUGHT:
        return None
    try:
        return read_taught(SHIPPED_TAUGHT[corpus], model)
    except InputError:
        return None  # a model of the user's own: texts alone decide


class TaughtRanking:
    """The techniques or actions of one snapshot, as one reader sees them, ranked by taught vectors.

    Those that were not taught (of a later release) are ranked by their texts, among the others.
    """

    def __init__(self, taught: Taught, view: View, corpus: Corpus) -> None:
        named, self._corpus = view.names(corpus), corpus
        known = [at for at, id in enumerate(taught.ids) if id.upper() in named]
        self._rows = [named[taught.ids[at].upper()][0] for at in known]
        self._vectors = taught.vectors[known]
        # Two ids of an older release may be one technique now: the row then counts once, as the better of them.
        self._at: dict[int, list[int]] = {}
        for at, row in enumerate(self._rows):
            self._at.setdefault(row, []).append(at)
        self._doubles = len(self._rows) - len(self._at)
        self._untaught = len({row for row, _ in named.values()} - self._at.keys())

    def nearest(self, view: View, vector: NDArray[np.float32], n: int) -> list[Near]:
        """The n rows with the highest cosine, best first."""
        cosines = self._vectors @ vector
        best = np.argsort(-cosines, kind="stable")[: n + self._doubles]
        found = {self._rows[at]: float(cosines[at]) for at in reversed(best)}  # the better is written last
        near = [Near(row, cosine) for row, cosine in found.items()]
        if self._untaught:  # taught ones that are nearer by their texts must not crowd them out
            every = view.nearest(vector, (self._corpus,), n + len(self._rows))
            near += [other for other in every if other.row not in self._at]
        return sorted(near, key=lambda one: (-one.cosine, one.row))[:n]

    def cosine(self, view: View, row: int, vector: NDArray[np.float32]) -> float:
        """The cosine of one row with a vector: its taught vector's, or its text's."""
        at = self._at.get(row)
        return view.cosine(row, vector) if at is None else float(np.max(self._vectors[at] @ vector))


class Rankings:
    """The rankings for one reader and model, each made once for a snapshot; safe to share between threads."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._kept: WeakKeyDictionary[View, dict[Corpus, TaughtRanking | None]] = WeakKeyDictionary()

    def of(self, view: View, corpus: Corpus) -> TaughtRanking | None:
        """How a corpus is ranked by what it was taught, None if it was taught nothing."""
        kept = self._kept.setdefault(view, {})  # goes with the view, whose files it must not hold open
        if corpus not in kept:
            taught = shipped_taught(self._model, corpus)
            kept[corpus] = None if taught is None else TaughtRanking(taught, view, corpus)
        return kept[corpus]
