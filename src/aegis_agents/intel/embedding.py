"""Vectors of documents: shipped with the package, kept from an earlier build, or asked of the model."""

from __future__ import annotations

import sqlite3
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aegis_agents.errors import IntelError
from aegis_agents.intel.documents import Document, Embedder, text_key

SHIPPED_VECTORS = Path(__file__).with_name("data") / "attack_vectors.npz"
"""Vectors of the shipped documents, made by `intel.write_vectors` for the shipped model; used with that model only."""

BATCH = 32
"""Texts asked of the model at a time: more gains nothing on a CPU and pads more."""

_ASKED = 500
"""Texts that are looked up in the cache at a time; SQLite takes 999 values in a statement at least."""

_MISSING = "the vectors of {n} documents are not finite unit vectors (the model's embed is at fault)"


def embed_documents(
    documents: Sequence[Document], model: Embedder, *, cache: Path, shipped: Path = SHIPPED_VECTORS
) -> NDArray[np.float32]:
    """One unit vector a document, in order, asking the model only for texts it has not seen.

    `cache` is a SQLite file keyed by model version and text; `shipped` an npz file
    of `pack_vectors`, passed over when it is of another model. All vectors
    are rounded to 16 bits, so that a vector is the same wherever it came from.
    Raises IntelError if a file can't be read or the model answers nonsense.
    """
    texts = {text_key(d.to_embed): d.to_embed for d in documents}
    known = _read_shipped(shipped, model.version)
    try:
        with closing(_open_cache(cache)) as kept:
            known |= _read_cache(kept, model.version, [key for key in texts if key not in known])
            fresh = _ask(model, {key: text for key, text in texts.items() if key not in known})
            _write_cache(kept, model.version, fresh)
    except sqlite3.Error as error:
        raise IntelError(f"{cache}: not a usable cache of vectors: {error} (delete it)") from error
    known |= fresh
    vectors = [known[text_key(d.to_embed)] for d in documents]
    if len({v.shape for v in vectors}) != 1:
        raise IntelError(f"{cache}: holds vectors of different lengths for one model (delete it)")
    found = np.stack(vectors).astype(np.float32)
    if not np.all(np.abs(np.linalg.norm(found, axis=1) - 1) < 0.01):
        raise IntelError(f"{cache}: holds vectors that are not finite unit vectors (delete it)")
    return found


def pack_vectors(model: Embedder, path: Path, documents: Iterable[Document]) -> int:
    """Write the vectors of `documents` as npz without pickle; answers how many texts.

    The same model and documents give the same bytes.
    """
    texts = {text_key(d.to_embed): d.to_embed for d in documents}
    vectors = _ask(model, texts)
    keys = sorted(vectors)
    with path.open("wb") as file:
        np.savez(
            file,
            model=np.array(model.version),
            keys=np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), 32),
            vectors=np.stack([vectors[k] for k in keys]),
        )
    return len(keys)


def _ask(model: Embedder, texts: dict[bytes, str]) -> dict[bytes, NDArray[np.float16]]:
    # By length, so that a batch is padded little; then by text, so that batches are always the same.
    order = sorted(texts.items(), key=lambda item: (len(item[1]), item[1]))
    answered: dict[bytes, NDArray[np.float16]] = {}
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        vectors = model.embed([text for _, text in part])
        if vectors.ndim != 2 or len(vectors) != len(part):
            raise IntelError(f"the model gave vectors of shape {vectors.shape} for {len(part)} texts")
        norms = np.linalg.norm(vectors, axis=1)
        if not np.all(np.abs(norms - 1) < 0.01):  # NaN fails too
            raise IntelError(_MISSING.format(n=len(part)))
        answered.update((key, v) for (key, _), v in zip(part, vectors.astype(np.float16), strict=True))
    return answered


def _read_shipped(path: Path, version: str) -> dict[bytes, NDArray[np.float16]]:
    if path == SHIPPED_VECTORS and not path.exists():
        return {}  # a package without prebuilt vectors is whole: they only save time
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if str(file["model"]) != version:
                return {}
            keys, vectors = file["keys"], file["vectors"]
    # TypeError: NumPy's answer to another of its formats, which can't be used in `with`
    except (OSError, EOFError, TypeError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise IntelError(f"{path}: prebuilt vectors can't be read: {error} (make them with write_vectors)") from error
    if keys.shape != (len(vectors), 32) or vectors.ndim != 2 or vectors.dtype != np.float16:
        raise IntelError(f"{path}: prebuilt vectors have the wrong shape (make them with write_vectors)")
    return {bytes(key): vector for key, vector in zip(keys, vectors, strict=True)}


def _open_cache(path: Path) -> sqlite3.Connection:
    cache = sqlite3.connect(path, timeout=30)
    cache.execute(
        "CREATE TABLE IF NOT EXISTS vector (model TEXT, text BLOB, vector BLOB, PRIMARY KEY (model, text)) "
        "WITHOUT ROWID"
    )
    return cache


def _read_cache(cache: sqlite3.Connection, version: str, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float16]]:
    found: dict[bytes, NDArray[np.float16]] = {}
    for at in range(0, len(keys), _ASKED):  # only what is wanted: a cache may hold millions
        some = keys[at : at + _ASKED]
        marks = ",".join("?" * len(some))
        sql = f"SELECT text, vector FROM vector WHERE model = ? AND text IN ({marks})"  # noqa: S608 - question marks only
        # count=: a cut blob gives a vector of another length, which the caller notices, and no ValueError
        found.update(
            (text, np.frombuffer(vector, np.float16, count=len(vector) // 2))
            for text, vector in cache.execute(sql, (version, *some))
        )
    return found


def _write_cache(cache: sqlite3.Connection, version: str, vectors: dict[bytes, NDArray[np.float16]]) -> None:
    with cache:
        cache.executemany(
            "INSERT OR REPLACE INTO vector VALUES (?, ?, ?)",
            [(version, text, vector.tobytes()) for text, vector in vectors.items()],
        )
