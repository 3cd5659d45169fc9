"""Vectors by size: exact below, inverted lists above, over the rows that may be read."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from aegis_agents.intel import index
from aegis_agents.intel.index import VectorIndex, write_index
from aegis_agents.intel.readers import Rows

N, K = 6000, 10


def clustered(n: int, seed: int = 1) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((60, 64), np.float32)
    made = centres[rng.integers(0, 60, n)] + 0.7 * rng.standard_normal((n, 64), np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made.astype(np.float16).astype(np.float32)


VECTORS = clustered(N)
QUERIES = clustered(40, seed=2)


@pytest.fixture(scope="module", params=["exact", "lists"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> VectorIndex:
    path = tmp_path_factory.mktemp("index") / "vectors.faiss"
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "lists":
            patch.setattr(index, "EXACT_UP_TO", 1000)
        write_index(path, VECTORS)
    made = VectorIndex(path)
    assert bool(made._lists) == (request.param == "lists")
    return made


def truth(query: NDArray[np.float32], rows: Rows) -> list[int]:
    cosines = VECTORS[rows.all] @ query
    return [int(rows.all[i]) for i in np.argsort(-cosines, kind="stable")[:K]]


def selections() -> dict[str, Rows]:
    rng = np.random.default_rng(3)
    some, most = rng.random(N) < 0.1, rng.random(N) < 0.9
    return {
        "all": Rows.of([(0, N)]),
        "a range": Rows.of([(1000, 5000)]),
        "a small range": Rows.of([(5000, 5300)]),
        "ranges": Rows.of([(0, 100), (2000, 4500), (5990, N)]),
        "some dead": Rows.of([(0, N)], some),
        "most dead": Rows.of([(0, N)], most),
        "ranges with dead": Rows.of([(10, 2500), (3000, 5800)], some),
        "few": Rows.of([(4000, 4005)]),
        "beyond": Rows.of([(5995, N + 500)]),
    }


@pytest.mark.parametrize("name", selections())
def test_recall_is_kept_over_the_rows_that_may_be_read(opened: VectorIndex, name: str) -> None:
    rows = selections()[name]
    inside = rows.below(N)
    hits = wanted = 0
    for query in QUERIES:
        found = opened.nearest(query, rows, K)
        assert len(found) == min(K, inside.count)
        assert all(near.row in inside for near in found)
        assert [n.cosine for n in found] == sorted((n.cosine for n in found), reverse=True)
        assert found[0].cosine == pytest.approx(float(VECTORS[found[0].row] @ query), abs=1e-3)
        expected = truth(query, inside)
        hits += len({n.row for n in found} & set(expected))
        wanted += len(expected)
    assert hits / wanted >= (0.95 if opened._lists else 1.0)


def test_nothing_is_found_where_nothing_may_be_read(opened: VectorIndex) -> None:
    assert opened.nearest(QUERIES[0], Rows.of([]), K) == []
    assert opened.nearest(QUERIES[0], Rows.of([(0, N)], np.ones(N, np.bool_)), K) == []


def test_a_vector_is_what_was_written(opened: VectorIndex) -> None:
    rows = np.array([0, 17, N - 1], np.int32)
    assert opened.vectors(rows) == pytest.approx(VECTORS[rows], abs=1e-6)


@pytest.mark.parametrize("limit", [1000, 10**6])
def test_the_same_vectors_give_the_same_bytes(tmp_path: Path, monkeypatch, limit: int) -> None:
    monkeypatch.setattr(index, "EXACT_UP_TO", limit)
    for name in ("one", "two"):
        write_index(tmp_path / name, VECTORS[:3000])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_vectors_are_mapped_and_a_search_starts_no_threads(opened: VectorIndex) -> None:
    def status(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1])

    assert "vectors.faiss" in Path("/proc/self/maps").read_text()
    before = status("Threads")
    opened.nearest(QUERIES[0], Rows.of([(0, N)]), K)
    assert status("Threads") <= before
