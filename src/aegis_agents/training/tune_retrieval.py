"""Teaches search to find techniques: `python -m aegis_agents.training.tune_retrieval DATA RUN`.

For the maintainer. The encoder stays, and every text is encoded once by it. Learnt is where the vector
of each technique stands, with InfoNCE over all techniques (van den Oord et al. 2018), so that a query
costs nothing more. Texts come from `retrieval_lessons`; none of them is kept, only the vectors are.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch.nn import functional as F

from aegis_agents.errors import InputError
from aegis_agents.intel.attack import attack_documents
from aegis_agents.intel.crosswalk import resolve
from aegis_agents.intel.documents import Document, Embedder
from aegis_agents.intel.taught import Taught, write_taught
from aegis_agents.training.retrieval_lessons import (
    Lesson,
    Seen,
    procedure_examples,
    rule_lessons,
    situation_lessons,
    tram_rows,
)

Vectors = NDArray[np.float32]

FILE = "technique_search.npz"
"""What a run writes: `model`, `ids`, `vectors` in half precision, and how many `lessons` told of each."""
SHARES = {"procedures": 0.45, "situations": 0.2, "rules": 0.2, "descriptions": 0.15, "needs": 0.85}
"""Of each batch. Without descriptions a technique of which nothing else tells is only ever a wrong answer, and lost."""
CHUNK = 512
"""Texts encoded at a time."""


class Plan(NamedTuple):
    """How long and how boldly it learns; chosen on the parts that tune."""

    steps: int = 800
    batch: int = 256
    rate: float = 3e-3
    temperature: float = 0.05
    dropout: float = 0.1
    decay: float = 1e-3
    seed: int = 7


STANDARD = Plan()


class Remembering:
    """A model whose vectors are kept in a file, so that a second run encodes nothing."""

    def __init__(self, model: Embedder, file: Path) -> None:
        self._model, self._file = model, file
        self.version = model.version
        self._known: dict[bytes, NDArray[np.float16]] = {}
        if file.exists():
            with np.load(file, allow_pickle=False) as kept:
                if str(kept["model"]) == self.version:
                    self._known = {bytes(k): v for k, v in zip(kept["keys"], kept["vectors"], strict=True)}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), 384), exact to half precision."""
        keys = [hashlib.sha256(t.encode()).digest() for t in texts]
        missing = sorted(
            {k: t for k, t in zip(keys, texts, strict=True) if k not in self._known}.items(), key=lambda i: len(i[1])
        )
        try:
            for start in range(0, len(missing), CHUNK):
                part = missing[start : start + CHUNK]
                vectors = self._model.embed([t for _, t in part]).astype(np.float16)
                self._known.update((k, v) for (k, _), v in zip(part, vectors, strict=True))
        finally:  # what was encoded is kept, also where somebody stops it
            if missing and self._known:
                self._write()
        return np.stack([self._known[k] for k in keys]).astype(np.float32)

    def _write(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        keys = np.frombuffer(b"".join(self._known), np.uint8).reshape(-1, 32)
        whole = self._file.with_suffix(".tmp")
        with whole.open("wb") as out:
            np.savez(out, model=np.array(self.version), keys=keys, vectors=np.stack(list(self._known.values())))
        whole.replace(self._file)


def lessons(data: Path) -> dict[str, list[Lesson]]:
    """Every source's lessons. Raises FileNotFoundError where `data` lacks TRAM or Sigma, from which others are kept apart."""
    tram = tram_rows(data)
    titles = sorted({row["doc_title"] for row in tram})
    seen = Seen((row["text"] for row in tram), at_least=0.5)
    return {
        "procedures": list(procedure_examples(titles, seen)),
        "situations": list(situation_lessons("train")),
        "rules": list(rule_lessons(data)),
    }


def descriptions(documents: Sequence[Document]) -> Iterator[Lesson]:
    """What ATT&CK itself says of each technique: its name, its text, and the text without the name."""
    for d in documents:
        for text in (d.title, d.to_embed, d.text.removeprefix(f"{d.title}. ")):
            yield Lesson(text, (d.id,))


def names_of(documents: Sequence[Document]) -> dict[str, str]:
    """Id or former id → the id under which a technique is kept."""
    return {name: d.id for d in documents for name in (*d.aliases, d.id)}


def known(sources: dict[str, list[Lesson]], names: dict[str, str]) -> dict[str, list[Lesson]]:
    """The lessons whose techniques this release knows, in its terms."""
    found: dict[str, list[Lesson]] = {}
    for source, taught in sources.items():
        told = [(x.text, [r for r in (resolve(t, names) for t in x.techniques) if r]) for x in taught]
        found[source] = [Lesson(text, tuple(dict.fromkeys(ids))) for text, ids in told if ids]
    return found


def chances(sources: dict[str, list[Lesson]]) -> NDArray[np.float64]:
    """How likely each lesson is drawn: sources by SHARES, and within one a technique by the root of how often it stands."""
    counts = Counter(t for taught in sources.values() for x in taught for t in x.techniques)
    parts = []
    for source, taught in sources.items():
        weight = np.array([np.mean([counts[t] ** -0.5 for t in x.techniques]) for x in taught])
        parts.append(SHARES[source] * weight / weight.sum())
    chance = np.concatenate(parts)
    scaled: NDArray[np.float64] = chance / chance.sum()
    return scaled


def fit(
    sources: dict[str, list[Lesson]], queries: Vectors, ids: Sequence[str], start: Vectors, plan: Plan = STANDARD,
    console: Console | None = None,
) -> Taught:  # fmt: skip
    """Move the techniques' vectors from `start` to where `queries` (the lessons' vectors, in order) find them.

    Raises InputError without lessons.
    """
    taught = [x for each in sources.values() for x in each]
    if not taught:
        raise InputError("holds no lessons", field="sources", fix="give texts with their techniques")
    torch.manual_seed(plan.seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # steps are so small that a second thread is only waited for
    draw = np.random.default_rng(plan.seed)
    chance = chances({name: each for name, each in sources.items() if each})
    at = {t: n for n, t in enumerate(ids)}
    rows = [[at[t] for t in x.techniques] for x in taught]
    read, first = torch.from_numpy(queries), torch.from_numpy(start)
    moved = torch.zeros_like(first, requires_grad=True)
    optimiser = torch.optim.AdamW([moved], lr=plan.rate, weight_decay=plan.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.steps)
    for step in range(plan.steps):
        batch = draw.choice(len(taught), plan.batch, p=chance)
        wanted = torch.tensor([draw.choice(rows[i]) for i in batch])
        query = F.normalize(F.dropout(read[batch], plan.dropout), dim=-1)
        loss = F.cross_entropy(query @ F.normalize(first + moved, dim=-1).T / plan.temperature, wanted)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimiser.step()
        schedule.step()
        if console is not None and (step + 1) % 200 == 0:
            console.print(f"techniques {step + 1}/{plan.steps} loss {loss.item():.3f}")
    torch.set_num_threads(threads)
    with torch.no_grad():
        vectors: Vectors = F.normalize(first + moved, dim=-1).numpy()
    told = Counter(t for name, each in sources.items() if name != "descriptions" for x in each for t in x.techniques)
    return Taught(tuple(ids), vectors, tuple(told[t] for t in ids))


def tune_retrieval(
    data: Path, run: Path, model: Embedder, plan: Plan = STANDARD, console: Console | None = None
) -> Taught:
    """Teach the techniques of the pinned ATT&CK release, and write them to `run`."""
    console = console or Console(stderr=True)
    documents = [d for d in attack_documents() if d.corpus == "technique"]
    sources = known(lessons(data) | {"descriptions": list(descriptions(documents))}, names_of(documents))
    console.print(", ".join(f"{len(each)} {name}" for name, each in sources.items()))
    reading = Remembering(model, run / "vectors.npz")
    start = reading.embed([d.to_embed for d in documents])
    queries = reading.embed([x.text for each in sources.values() for x in each])
    taught = fit(sources, queries, [d.id for d in documents], start, plan, console)
    write_taught(taught, model.version, run / FILE)
    return taught


if __name__ == "__main__":
    from aegis_agents.model import FastModel

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with tram and sigma")
    parser.add_argument("run", type=Path, help="folder for vectors and result")
    given = parser.parse_args()
    tune_retrieval(given.data, given.run, FastModel())
