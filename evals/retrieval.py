"""How well search finds techniques and actions: `python -m evals.retrieval [--out FOLDER] [--cache FOLDER]`.

Ours is `Intel.search` on a store as it ships. Reads the folder that AEGIS_DEV_DATA names, and
writes evals/reports/retrieval.{json,md}. Exit code 2 without data.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aegis_agents.intel import Intel
from aegis_agents.intel.crosswalk import base_technique, resolve
from aegis_agents.intel.documents import Corpus as Named
from aegis_agents.intel.documents import Document, Embedder
from aegis_agents.intel.search import MAX_RESULTS
from aegis_agents.intel.taught import SHIPPED_TAUGHT, Taught, read_taught
from aegis_agents.intel.uses import USES
from aegis_agents.training.tune_retrieval import Remembering, names_of
from evals.retrieval_report import to_markdown
from evals.retrieval_scoring import DEEPEST, Scores, figures, score, versus
from evals.retrieval_suites import Suite, action_suites, technique_suites
from evals.retrieval_systems import Bm25, Untuned, Vectors, by_rank, vectors

REPORTS = Path(__file__).parent / "reports"
OURS = "ours: Intel.search"
BASELINES = ("BM25", "untuned encoder")
"""What ours has to beat."""
FEW = 5
CONSTANT = "always the same order, commonest first"

Ranked = dict[str, list[list[int]]]


class Corpus:
    """Documents of one corpus, ready to be searched by every system; ours is what `Intel.search` answers."""

    def __init__(
        self, name: Named, documents: Sequence[Document], intel: Intel, ours: Embedder, untuned: Embedder
    ) -> None:
        self.name, self.intel = name, intel
        self.ids = [d.id for d in documents]
        self._row = {id: row for row, id in enumerate(self.ids)}
        self.words = Bm25(documents)
        texts = [d.to_embed for d in documents]
        self.ours, self.untuned = ours.embed(texts), untuned.embed(texts)

    def rank(self, texts: Sequence[str], mine: Vectors, base: Vectors) -> Ranked:
        """The rows that each system answers to each query, best first; `mine`, `base`: the queries' vectors."""
        found: Ranked = {}

        def add(system: str, rows: list[int]) -> None:
            found.setdefault(system, []).append(rows)

        for n, text in enumerate(texts):
            said = self.words.find(text, DEEPEST)
            add("BM25", said.rows)
            for name, query, held in (("untuned encoder", base[n], self.untuned), ("our encoder", mine[n], self.ours)):
                near = vectors(query, held, DEEPEST)
                add(name, near.rows)
                add(f"{name} and words, by rank", by_rank(near, said))
            add(OURS, self._searched(text, mine[n]))
        return found

    def _searched(self, text: str, vector: Vectors) -> list[int]:
        """What a search for five answers, and after it what a deeper one does."""
        first = self.intel.search(text, vector, corpora=(self.name,), k=5)
        rest = self.intel.search(text, vector, corpora=(self.name,), k=MAX_RESULTS)
        return [self._row[id] for id in dict.fromkeys(p.id for p in (*first, *rest))]


def few_lessons(asked: Suite, told: Mapping[str, int]) -> Suite:
    """The questions of a suite whose techniques had fewer than five lessons: are they still found?"""
    rare = tuple(q for q in asked.questions if all(told[t] < FEW for t in q.right))
    return asked._replace(name=f"{asked.name}, those of fewer than {FEW} lessons", questions=rare, dropped=0)


def commonest(suites: Sequence[Suite], name: str, ids: Sequence[str]) -> list[int]:
    """Rows by how often the tune part of a suite has them right, commonest first: an answer that reads nothing."""
    counts = Counter(i for s in suites if s.name == name and s.part == "tune" for q in s.questions for i in q.right)
    return sorted(range(len(ids)), key=lambda row: (-counts[ids[row]], row))


def judge(asked: Suite, ranked: Ranked, ids: Sequence[str], ours: str) -> dict[str, Any]:
    """All systems on a suite, and ours against each baseline."""
    levels: dict[str, Callable[[str], str]] = {"exact": str}
    if asked.corpus == "technique":
        levels = {"base technique": base_technique} | levels
    right = [q.right for q in asked.questions]
    found: dict[str, Any] = {"suite": asked.name, "part": asked.part, "n": len(right), "dropped": asked.dropped}
    for level, through in levels.items():
        scores: dict[str, Scores] = {
            system: score([[ids[r] for r in rows] for rows in each], right, through) for system, each in ranked.items()
        }
        found[level] = {system: figures(s) for system, s in scores.items()}
        found[f"ours against, {level}"] = {b: versus(scores[ours], scores[b]) for b in scores if b != ours}
    return found


def without_uses(document: Document) -> Document:
    """An action's document as it was: it does not say when the action is used."""
    uses = f" {' '.join(USES[document.id])}"  # type: ignore[index]  # ids of the catalogue are names of actions
    return document.model_copy(
        update={"text": document.text.replace(uses, ""), "embedding_text": document.to_embed.replace(uses, "")}
    )


def run(data: Path, taught: Taught, intel: Intel, ours: Embedder, untuned: Embedder) -> dict[str, Any]:
    """Every suite on every system."""
    techniques = list(intel.documents(corpora=("technique",)))
    names = names_of(techniques)

    def known(technique: str) -> str | None:
        return resolve(technique, names) or names.get(base_technique(technique))

    actions = list(intel.documents(corpora=("action",)))
    corpora = {
        "technique": Corpus("technique", techniques, intel, ours, untuned),
        "action": Corpus("action", actions, intel, ours, untuned),
    }
    bare = Corpus("action", [without_uses(d) for d in actions], intel, ours, untuned)
    told = dict(zip(taught.ids, taught.lessons, strict=True))
    suites = technique_suites(data, known)
    suites += [few_lessons(s, told) for s in suites if s.name.startswith("Atomic")]
    suites += action_suites(data, {d.id: d.id for d in actions}.get)
    found = []
    for asked in suites:
        texts = [q.text for q in asked.questions]
        mine, base = ours.embed(texts), untuned.embed(texts)
        corpus = corpora[asked.corpus]
        ranked = corpus.rank(texts, mine, base)
        if asked.corpus == "action":
            before = bare.rank(texts, mine, base)
            ranked |= {f"{name}, without uses": rows for name, rows in before.items() if name != OURS}
            ranked[CONSTANT] = [commonest(suites, asked.name, corpus.ids)] * len(texts)
        found.append(judge(asked, ranked, corpus.ids, OURS))
    return {"model": ours.version, "untuned": untuned.version, "techniques": len(techniques), "suites": found}


def cost(intel: Intel, taught: Taught, rounds: int = 200) -> Mapping[str, float]:
    """Milliseconds of a search among techniques, the query's vector given."""
    times = []
    for n in range(rounds):
        start = time.perf_counter()
        intel.search("credentials dumped from lsass", taught.vectors[n], corpora=("technique",), k=5)
        times.append(1000 * (time.perf_counter() - start))
    return {"median": round(float(np.median(times)), 3), "p95": round(float(np.percentile(times, 95)), 3)}


def main() -> int:
    """Run, write the reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=REPORTS)
    parser.add_argument("--cache", type=Path, help="folder in which vectors are kept for the next run")
    given = parser.parse_args()
    folder = os.environ.get("AEGIS_DEV_DATA")
    if not folder or not (Path(folder) / "tram").is_dir():
        print("evals.retrieval needs the development data: set AEGIS_DEV_DATA to its folder", file=sys.stderr)
        return 2
    from aegis_agents.model import FastModel

    with tempfile.TemporaryDirectory(prefix="aegis-evals-") as scratch:
        kept = given.cache or Path(scratch)
        ours = Remembering(FastModel(), kept / "vectors.npz")
        untuned = Remembering(Untuned(), kept / "untuned.npz")
        taught = read_taught(SHIPPED_TAUGHT["technique"], ours.version)
        with Intel.build(Path(scratch) / "intel", ours) as intel:
            report = run(Path(folder), taught, intel, ours, untuned) | {"ms beyond the encoder": cost(intel, taught)}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "retrieval.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    (given.out / "retrieval.md").write_text(text := to_markdown(report), "utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
