"""A stand-in for the model: it hashes words into 384 buckets and understands nothing."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from aegis_agents.intel import Intel


class FakeEmbedder:
    """Bag of hashed words; counts what it was asked, so that tests can see when it is not."""

    def __init__(self, version: str = "fake-1") -> None:
        self.version = version
        self.asked = 0
        self.largest_batch = 0

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += len(texts)
        self.largest_batch = max(self.largest_batch, len(texts))
        vectors = np.zeros((len(texts), 384), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                number = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "little")
                vectors[row, number % 384] += 1.0 if number & (1 << 20) else -1.0
            if not vectors[row].any():
                vectors[row, 0] = 1.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _one_hot(at: int, *, lean: int | None = None) -> NDArray[np.float32]:
    vector = np.zeros(384, np.float32)
    vector[at] = 1.0
    if lean is not None:
        vector[lean] = 0.2
    return vector / np.float32(np.linalg.norm(vector))


@pytest.fixture
def one_hot() -> Callable[..., NDArray[np.float32]]:
    """Makes a unit vector along one axis, or leaning a little towards another."""
    return _one_hot


@pytest.fixture
def embedder() -> type[FakeEmbedder]:
    """The stand-in's class, for tests that need another version of it."""
    return FakeEmbedder


@pytest.fixture
def model() -> FakeEmbedder:
    return FakeEmbedder()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a built snapshot; tests that write take a copy (`directory`)."""
    directory = tmp_path_factory.mktemp("built")
    Intel.build(directory, FakeEmbedder()).close()
    return directory


@pytest.fixture(scope="session")
def shared(built: Path) -> Iterator[Intel]:
    """Intelligence for tests that only read."""
    with Intel.open(built, FakeEmbedder()) as intel:
        yield intel


@pytest.fixture
def directory(built: Path, tmp_path: Path) -> Path:
    """A copy of the built directory that a test may change; the cache of vectors comes along."""
    return Path(shutil.copytree(built, tmp_path / "intel"))
