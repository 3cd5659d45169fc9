"""The intelligence store: `python -m evals.bench.intel_store [--million]`. Writes evals/reports/intel_store.{json,md}.

Passages of 40 words from a vocabulary of 200,000 that follows Zipf's law, each with a vector made for the purpose:
384 dimensions, one cluster for every 200 passages, clusters of unequal size around 64 themes. One passage in five
has an indicator beside it. A question is eight words of a passage, drawn as they stand there, and its vector with
noise added (cosine about 0.9). One thread searches; files are in the page cache. The encoder's time is apart: it is
the same for every size.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegis_agents.intel import Document, Intel
from aegis_agents.intel.changes import Change
from aegis_agents.intel.index import PROBES, VectorIndex, write_index
from aegis_agents.intel.readers import Rows
from aegis_agents.intel.words import MAX_POSTINGS
from evals.bench.intel_made import DIMENSIONS, Made, address, normal

REPORTS = Path(__file__).parents[1] / "reports"
ASKED = 300


def _milliseconds(what: Callable[[Any], Any], items: Sequence[Any]) -> dict[str, float]:
    for item in items[:20]:
        what(item)
    taken, own = [], []
    for item in items:
        begun, busy = time.perf_counter(), time.thread_time()
        what(item)
        taken.append(1000 * (time.perf_counter() - begun))
        own.append(1000 * (time.thread_time() - busy))
    taken.sort()
    return {
        "p50": round(statistics.median(taken), 2), "p95": round(taken[int(0.95 * len(taken))], 2),
        "p50 of its own processor time": round(statistics.median(own), 2),
    }  # fmt: skip


def exact(vectors: NDArray[np.float16], questions: NDArray[np.float32], n: int = 10) -> list[set[int]]:
    """The n nearest of each question, by comparing with every vector."""
    best: list[list[tuple[float, int]]] = [[] for _ in questions]
    for at in range(0, len(vectors), 50_000):
        cosines = questions @ vectors[at : at + 50_000].astype(np.float32).T
        for row, found in enumerate(cosines):
            top = np.argpartition(-found, min(n, len(found) - 1))[:n]
            best[row] = sorted([*best[row], *((-float(found[i]), at + int(i)) for i in top)])[:n]
    return [{number for _, number in found} for found in best]


def measure(n: int, folder: Path) -> dict[str, Any]:
    """All figures of one size."""
    made = Made(n)
    rng = np.random.default_rng(11)
    asked = [made.question(int(i), rng) for i in rng.integers(0, n, ASKED)]
    if not (folder / "built.json").exists():
        documents = made.documents()
        with Intel.build(folder, made) as intel:
            before, begun = _size(folder / "segments"), time.perf_counter()
            intel.apply([Change("made", "1", documents, complete=True)])
            built = [time.perf_counter() - begun, _size(folder / "segments") - before]
        del documents
        (folder / "built.json").write_text(json.dumps(built), "utf-8")
    seconds, disk = json.loads((folder / "built.json").read_text("utf-8"))
    with Intel.open(folder, made) as intel:
        truth = exact(made.vectors, np.stack([vector for _, vector in asked]))
        hits = sum(
            len(true & {int(p.id.removeprefix("made/")) for p in intel.search(vector=v, corpora=("document",), k=10)})
            for true, (_, v) in zip(truth, asked, strict=True)
        )
        view = intel._view
        full = [view.lexical(text, None, 10, budget=10**9) for text, _ in asked]
        bounded = [view.lexical(text, None, 10) for text, _ in asked]
        keys = [[address(5 * int(i) + (j % 2)) for j, i in enumerate(rng.integers(0, n // 5, 30))] for _ in asked]
        found = {
            "passages": n, "indicators": n // 5, "first apply, s": round(seconds, 1),
            "hybrid, ms": _milliseconds(lambda q: intel.search(q[0], vector=q[1]), asked),
            "vector alone, ms": _milliseconds(lambda q: intel.search(vector=q[1]), asked),
            "words alone, ms": _milliseconds(lambda q: view.lexical(q[0], None, 20), asked),
            "hybrid in one corpus, ms": _milliseconds(lambda q: intel.search(q[0], q[1], ("technique",)), asked),
            "lookup of 30 keys, ms": _milliseconds(intel.lookup, keys),
            "recall@10 of vectors": round(hits / (10 * ASKED), 4),
            "recall@10 of words within the bound": round(
                sum(len(set(a) & set(b)) for a, b in zip(full, bounded, strict=True)) / sum(map(len, full)), 4
            ),
            "apply to found, s": _apply_to_found(intel),
            "disk, MB": round(disk / 1e6),
        }  # fmt: skip
        found["hybrid after ten small applies, ms"] = _milliseconds(lambda q: intel.search(q[0], vector=q[1]), asked)
    np.save(folder / "asked.npy", np.stack([vector for _, vector in asked]))
    (folder / "asked.json").write_text(json.dumps([text for text, _ in asked]), "utf-8")
    command = [sys.executable, "-m", "evals.bench.intel_store", "--child", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    return found | json.loads(done.stdout)


def without_clusters(n: int = 100_000, hidden: int = 24) -> dict[str, Any]:
    """Recall where inverted lists do worst: vectors spread evenly over few dimensions, in no clusters."""
    rng = np.random.default_rng(5)
    weights = rng.standard_normal((hidden, DIMENSIONS), dtype=np.float32) / np.sqrt(np.float32(hidden))

    def made(m: int) -> NDArray[np.float32]:
        found = rng.standard_normal((m, hidden), dtype=np.float32) @ weights + np.float32(0.3) * normal(rng, m)
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found.astype(np.float16), np.float32)

    vectors, questions = made(n), made(ASKED)
    truth = exact(vectors.astype(np.float16), questions)
    with tempfile.TemporaryDirectory(prefix="aegis-store-") as folder:
        write_index(Path(folder) / "vectors.faiss", vectors)
        index, rows = VectorIndex(Path(folder) / "vectors.faiss"), Rows.of([(0, n)])
        found = [{near.row for near in index.nearest(q, rows, 10)} for q in questions]
    return {
        "vectors": n, "hidden dimensions": hidden, "lists searched": PROBES,
        "recall@10": round(sum(len(a & b) for a, b in zip(truth, found, strict=True)) / (10 * ASKED), 4),
    }  # fmt: skip


def _apply_to_found(intel: Intel) -> dict[str, float]:
    taken, before = [], 10 * len(intel.snapshots())
    for number in range(before, before + 10):
        text = f"zzyzx{number} gateway compromised"
        document = Document(
            corpus="document", id=f"news/{number}", title="news", text=text, licence="made", feed="news"
        )
        begun = time.perf_counter()
        intel.apply([Change("news", str(number), [document], complete=False)])
        if not any(p.id == f"news/{number}" for p in intel.search(f"zzyzx{number}")):
            raise RuntimeError("the new passage is not found")
        taken.append(time.perf_counter() - begun)
    return {"p50": round(statistics.median(taken), 3), "worst of 10": round(max(taken), 3)}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _status(name: str) -> int:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(name))
    return int(line.split()[1]) * 1024


def child(folder: Path) -> None:
    """What a process that only reads sees: seconds to open, memory after 300 questions."""
    import faiss  # noqa: F401 - its own size is not the store's

    vectors, texts = np.load(folder / "asked.npy", allow_pickle=False), json.loads((folder / "asked.json").read_text())
    model = Made(1000)
    own = _status("RssAnon")
    begun = time.perf_counter()
    with Intel.open(folder, model) as intel:
        opened = time.perf_counter() - begun
        begun = time.perf_counter()
        with Intel.open(folder, model):
            again = time.perf_counter() - begun
        for text, vector in zip(texts, vectors, strict=True):
            intel.search(text, vector=vector)
        found = {
            "open, first in a process, s": round(opened, 3), "open again, s": round(again, 3),
            "memory of its own, MB": round((_status("RssAnon") - own) / 1e6),
            "mapped and shared, MB": round(_status("RssFile") / 1e6),
        }  # fmt: skip
    print(json.dumps(found))


def encoder() -> dict[str, float]:
    """Milliseconds that the shipped model takes for a question."""
    from aegis_agents.model import FastModel

    model = FastModel(threads=1, cache=0)
    texts = [f"powershell downloaded a payload number {n} and started it hidden" for n in range(60)]
    return _milliseconds(lambda text: model.embed([text]), texts)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--million", action="store_true", help="also a million passages: about ten minutes, 8 GB")
    parser.add_argument("--folder", type=Path, help="keep the stores there, and use those that are")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child)
        return
    sizes = [10_000, 100_000, *([1_000_000] if given.million else [])]
    found: dict[str, Any] = {"cores": os.cpu_count(), "encoder, a question, ms": encoder(), "sizes": []}
    for n in reversed(sizes):
        with tempfile.TemporaryDirectory(prefix="aegis-store-") as temporary:
            folder = (given.folder or Path(temporary)) / str(n)
            folder.mkdir(parents=True, exist_ok=True)
            found["sizes"].insert(0, measure(n, folder))
            print(json.dumps(found["sizes"][0], indent=1), flush=True)
    found["without clusters"] = without_clusters()
    found["load average at the end"] = round(os.getloadavg()[1], 1)
    lines = ["# The intelligence store", "", (__doc__ or "").split("\n\n")[1].replace("\n", " "), ""]
    lines += [
        f"Questions per figure: {ASKED}. Postings that a question's rarest words may bring in: {MAX_POSTINGS}.",
        "",
    ]
    lines += [
        f"Cores: {found['cores']}, load average at the end {found['load average at the end']} (other work ran beside).",
        "",
    ]
    lines += [f"Encoder, apart, ms a question: {_cell(found['encoder, a question, ms'])}.", ""]
    if given.folder:
        lines += ["First applies may be of an earlier run, at low priority beside other work.", ""]
    lines += [f"Vectors in no clusters, where lists do worst: {_cell(found['without clusters'])}.", ""]
    lines += [f"|  | {' | '.join(format(s['passages'], ',') for s in found['sizes'])} |", "|---|" + "---|" * len(sizes)]
    for name in found["sizes"][0]:
        lines.append(f"| {name} | {' | '.join(_cell(s[name]) for s in found['sizes'])} |")
    (REPORTS / "intel_store.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (REPORTS / "intel_store.md").write_text("\n".join(lines) + "\n", "utf-8")


def _cell(value: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else f"{value:,}"


if __name__ == "__main__":
    main()
