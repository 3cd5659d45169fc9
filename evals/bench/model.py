"""The model's own speed: `python -m evals.bench.model [--dev DIR]` (needs the train extra). Writes evals/reports/model_speed.{json,md}.

Whole alerts in native shape, of test situations, each with a deciding field moved to the end.
Cold: every fact is new, nothing is cached. Stream: the same queue with what repeats in it
cached. Beside it, in the same run, one bare pass of the published MiniLM (ONNX, fp32) over the
same text, and both in batches. How much repeats is the queue's: "test situations" are hundreds of
unlike detections, in "recurring detections" each of 48 fires five times, for other people and on
other machines. With --dev also the alerts of dev_cases, and real ones: the windows of one AIT-ADS
scenario that trains nothing, in the order of their time (short alerts).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from aegis_agents.evaluation.suites import test_situations
from aegis_agents.model import FastModel
from aegis_agents.model.sessions import open_session
from aegis_agents.model.text import read
from aegis_agents.sources import parse
from aegis_agents.training.base import base_folder, load_base
from aegis_agents.training.export import export_encoder
from aegis_agents.training.network import FactEncoder
from aegis_agents.training.perturb import renamed
from evals import suites

REPORTS = Path(__file__).parents[1] / "reports"
THREADS, ALERTS, BATCH, LONGEST = 2, 240, 32, 512


def queue(n: int = ALERTS) -> list[tuple[dict[str, Any], str]]:
    """(alert, format): shuffled variants, a deciding top-level field last."""
    found = [alert for alerts in _by_situation() for alert in alerts]
    return random.Random(9).sample(found, min(n, len(found)))


def recurring_queue(detections: int = 48, times: int = 5) -> list[tuple[dict[str, Any], str]]:
    """(alert, format) of few test situations, `times` variants of each, shuffled; who and which machine is named differs each time."""
    rng, found = random.Random(9), []
    for alerts in rng.sample(list(_by_situation()), detections):
        for alert, format in rng.sample(alerts, min(times, len(alerts))):
            found.append((renamed(alert, format, rng) or alert, format))
    return rng.sample(found, len(found))


def _by_situation() -> Iterator[list[tuple[dict[str, Any], str]]]:
    for situation, _, told in test_situations():
        found = []
        for example, variant in zip(told, situation.variants, strict=True):
            deciding = [p.split(".")[0] for paths in variant.facts.values() for p in paths]
            alert = dict(example.alert)
            last = next((key for key in deciding if key in alert), None)
            if last is not None:
                alert[last] = alert.pop(last)
            found.append((alert, situation.format))
        yield found


def real_queue(folder: Path, scenario: str = "russellmitchell") -> list[tuple[dict[str, Any], str]]:
    """The windows of one AIT-ADS scenario in the order of their time, without what labels them."""
    items = [item for item in suites.ait_windows(folder) if item.known["scenario"] == scenario]
    return [(item.alert, "generic") for item in sorted(items, key=lambda item: item.known["start"])]


def dev_queue(folder: Path) -> list[tuple[dict[str, Any], str]]:
    """The alerts of dev_cases, a top-level field with a key fact last."""
    found = []
    for part in ("tune", "report"):
        for line in (folder / "dev_cases" / part / "cases.jsonl").read_text("utf-8").splitlines():
            case = json.loads(line)
            alert, facts = case["alert"], case["truth"]["key_facts"]
            deciding = (k for k, v in alert.items() if any(f in json.dumps(v, ensure_ascii=False) for f in facts))
            if (last := next(deciding, None)) is not None:
                alert[last] = alert.pop(last)
            found.append((alert, case["source_format"]))
    return found


class Bare:
    """One pass of the published MiniLM over a whole text, cut at 512 tokens."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        export_encoder(FactEncoder(load_base()).eval(), folder / "bare.onnx", None)
        self._session = open_session((folder / "bare.onnx").read_bytes(), THREADS)
        self.tokenizer = Tokenizer.from_file(str(base_folder() / "tokenizer.json"))
        self.tokenizer.enable_truncation(LONGEST)
        self.tokenizer.no_padding()

    def __call__(self, texts: list[str]) -> None:
        ids = [e.ids for e in self.tokenizer.encode_batch(texts)]
        width = max(map(len, ids))
        tokens, mask = np.zeros((len(ids), width), np.int64), np.zeros((len(ids), width), np.int64)
        for row, one in enumerate(ids):
            tokens[row, : len(one)], mask[row, : len(one)] = one, 1
        self._session.run(None, {"input_ids": tokens, "attention_mask": mask})


def _times(what: Callable[[Any], Any], items: list[Any]) -> list[float]:
    for item in items[:5]:
        what(item)
    found = []
    for item in items:
        started = time.perf_counter()
        what(item)
        found.append((time.perf_counter() - started) * 1000)
    return found


def _quantiles(name: str, times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        f"{name}, p50 ms": round(statistics.median(ordered), 1),
        f"{name}, p95 ms": round(ordered[int(0.95 * len(ordered))], 1),
    }


def measure(bare: Bare, alerts: list[tuple[dict[str, Any], str]]) -> dict[str, Any]:
    """All figures of one queue in one run."""
    incidents = [parse(alert, format=format) for alert, format in alerts]
    texts = [json.dumps(alert, ensure_ascii=False) for alert, _ in alerts]
    read_texts = [" ; ".join(p.text for p in read(i)[0]) for i in incidents]
    counter = bare.tokenizer
    counter.no_truncation()
    tokens = [len(e.ids) for e in counter.encode_batch(texts)]
    as_read = [len(e.ids) for e in counter.encode_batch(read_texts)]
    counter.enable_truncation(LONGEST)
    cold, warm = FastModel(threads=THREADS, cache=0), FastModel(threads=THREADS)
    found: dict[str, Any] = {
        "alerts": len(alerts), "tokens of the native alert, median": statistics.median(tokens),
        "tokens as the model reads it, median": statistics.median(as_read),
        "facts skipped as meaningless, mean (each answer says how many)": round(
            statistics.fmean(cold.assess(i).facts_skipped for i in incidents[:60]), 1
        ),
    }  # fmt: skip
    found |= _quantiles("cold, parse and judge", _times(lambda a: cold.assess(parse(a[0], format=a[1])), alerts))
    found |= _quantiles("stream, parse and judge", _times(lambda a: warm.assess(parse(a[0], format=a[1])), alerts))
    found |= _quantiles("bare MiniLM fp32, whole native text", _times(lambda t: bare([t]), texts))
    found |= _quantiles("bare MiniLM fp32, the text that the model reads", _times(lambda t: bare([t]), read_texts))
    batches = [slice(i, i + BATCH) for i in range(0, len(alerts) - BATCH + 1, BATCH)]
    ordered = sorted(read_texts, key=len)  # batches of like length, as anybody would
    ours = sum(_times(lambda s: cold.assess_many(incidents[s]), batches)) / (BATCH * len(batches))
    plain = sum(_times(lambda s: bare(ordered[s]), batches)) / (BATCH * len(batches))
    found |= {
        f"batches of {BATCH}, cold: ms an alert": round(ours, 1),
        f"batches of {BATCH}, bare MiniLM fp32 on the text that the model reads: ms an alert": round(plain, 1),
        "batched throughput, ours over bare": round(plain / ours, 2),
    }
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", type=Path, help="the development data, for the alerts of dev_cases")
    given = parser.parse_args()
    queues = {"test situations": queue(), "recurring detections": recurring_queue()}
    if given.dev:
        queues |= {"dev_cases": dev_queue(given.dev), "AIT-ADS windows": real_queue(given.dev)}
    with tempfile.TemporaryDirectory(prefix="aegis-bench-") as folder:
        bare = Bare(Path(folder))
    found = {name: measure(bare, alerts) for name, alerts in queues.items()}
    lines = ["# The model's speed", "", (__doc__ or "").split("\n\n")[1].replace("\n", " "), ""]
    for queue_name, figures in found.items():
        lines += [f"## {queue_name}", "", *(f"- {name}: {value}" for name, value in figures.items()), ""]
    (REPORTS / "model_speed.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (REPORTS / "model_speed.md").write_text("\n".join(lines), "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
