"""Vectors of techniques that were taught what attackers do with them, for searches among techniques.

A technique's description says what it is, procedures say how it is done: `training.tune_retrieval` moves each
technique's vector towards those of texts that tell of it (InfoNCE, van den Oord et al. 2018), and the query's
stay the encoder's. Only a search in the corpus "technique" goes by them; elsewhere texts are compared with texts.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aegis_agents.errors import InputError
from aegis_agents.intel.index import Near
from aegis_agents.intel.store import View

SHIPPED_TAUGHT = Path(__file__).with_name("data") / "taught_techniques.npz"
"""Made by `training.tune_retrieval` for the shipped model; used with that model only."""


class Taught(NamedTuple):
    """Unit vectors of techniques, shape (len(ids), 384), to rank against the encoder's vector of a query.

    `lessons` is how many texts beside its own description told of each.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    lessons: tuple[int, ...]


def read_taught(file: Path, model: str) -> Taught:
    """Read what `write_taught` wrote. Raises InputError where it was taught with another model."""
    with np.load(file, allow_pickle=False) as kept:
        if str(kept["model"]) != model:
            raise InputError(f"was taught with {kept['model']}, not {model}", field=str(file), fix="run tune_retrieval")
        ids, told = tuple(str(t) for t in kept["ids"]), tuple(int(n) for n in kept["lessons"])
        return Taught(ids, kept["vectors"].astype(np.float32), told)


def write_taught(taught: Taught, model: str, file: Path) -> None:
    """Write the vectors for the model that they were taught with; no pickle."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as out:
        np.savez(
            out, model=np.array(model), ids=np.array(taught.ids), vectors=taught.vectors.astype(np.float16),
            lessons=np.array(taught.lessons, np.int32),
        )  # fmt: skip


@lru_cache(maxsize=4)
def shipped_taught(model: str) -> Taught | None:
    """The shipped vectors, None for a model that they were not taught with."""
    try:
        return read_taught(SHIPPED_TAUGHT, model)
    except InputError:
        return None  # a model of the user's own: texts alone decide


class TaughtRanking:
    """The techniques of one snapshot, as one reader sees them, ranked by taught vectors.

    Those that were not taught (of a later release) are ranked by their texts, among the others.
    """

    def __init__(self, taught: Taught, view: View) -> None:
        named = view.named(taught.ids, ("technique",))
        known = [at for at, id in enumerate(taught.ids) if id in named]
        self._rows = [named[taught.ids[at]][0] for at in known]
        self._vectors = taught.vectors[known]
        self._at = {row: at for at, row in enumerate(self._rows)}

    def nearest(self, view: View, vector: NDArray[np.float32], n: int) -> list[Near]:
        """The n techniques with the highest cosine, best first."""
        cosines = self._vectors @ vector
        best = np.argsort(-cosines, kind="stable")[:n]
        found = {self._rows[at]: float(cosines[at]) for at in best}
        # Two ids of an older release may be one technique now: the row counts once, as the better of them.
        near = [Near(row, cosine) for row, cosine in found.items()]
        near += [other for other in view.nearest(vector, ("technique",), n) if other.row not in self._at]
        return sorted(near, key=lambda one: (-one.cosine, one.row))[:n]

    def cosine(self, view: View, row: int, vector: NDArray[np.float32]) -> float:
        """The cosine of one row with a vector: its taught vector's, or its text's."""
        at = self._at.get(row)
        return view.cosine(row, vector) if at is None else float(self._vectors[at] @ vector)
