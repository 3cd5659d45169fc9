"""Measures what issue and README promise; writes evals/reports/bench.{json,md}."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from aegis_agents import Aegis
from aegis_agents.model.encoder import Encoder
from aegis_agents.model.files import read_weights
from evals.bench.alerts import distinct, repeating

REPORTS = Path(__file__).parents[1] / "reports"
_ATTACK = "1_attack.json"


def _p50(run: Callable[[int], object], rounds: int, start: int = 0) -> float:
    """Median milliseconds of run(start), run(start + 1), ..."""
    times = []
    for number in range(start, start + rounds):
        begun = time.perf_counter()
        run(number)
        times.append(time.perf_counter() - begun)
    return 1000 * statistics.median(times)


def bare_encoder() -> Callable[[int], object]:
    """One pass of the shipped encoder over the whole alert as one text, as far as 512 tokens."""
    files = read_weights()
    encoder = Encoder(files.contents["encoder.onnx"], files.contents["tokenizer.json"])
    tokenizer, session = encoder._tokenizer, encoder._session
    tokenizer.enable_truncation(512)

    def run(number: int) -> object:
        ids = np.array([tokenizer.encode(json.dumps(distinct(number))).ids], np.int64)
        return session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})

    return run


def decisions(rounds: int) -> dict[str, float]:
    """Bare pass and whole decisions, taken in turns so that the machine's mood meets all alike."""
    bare = bare_encoder()
    with tempfile.TemporaryDirectory() as one, Aegis(home=Path(one)) as aegis:
        for number in range(10):  # warm: guardrails, FAISS, SQLite
            bare(number)
            aegis.investigate(distinct(number))
        times: dict[str, list[float]] = {"bare": [], "decision": [], "stream": []}
        for number in range(10, 10 + rounds):
            times["bare"].append(_p50(bare, 1, number))
            times["decision"].append(_p50(lambda n: aegis.investigate(distinct(n)), 1, number))
            times["stream"].append(_p50(lambda n: aegis.investigate(repeating(n)), 1, number))
        return {name: statistics.median(found) for name, found in times.items()}


def where_time_goes(rounds: int) -> dict[str, float]:
    """Median milliseconds of the parts of a decision."""
    from aegis_agents.sources import parse

    with tempfile.TemporaryDirectory() as home, Aegis(home=Path(home)) as aegis:
        model = aegis.context.model
        aegis.investigate(distinct(0))
        incidents = [parse(distinct(n)) for n in range(5000, 5000 + rounds)]
        parts = {"sources: parse": _p50(lambda n: parse(distinct(n)), rounds, 5000)}
        parts["model: facts not seen before"] = _p50(lambda n: model.assess(incidents[n]), rounds)
        parts["model: facts seen before"] = _p50(lambda n: model.assess(incidents[n]), rounds)
        parts["model: one more look with a fact masked"] = _p50(
            lambda n: model.assess(incidents[n], masked={incidents[n].facts[3].id}), rounds
        )
        return parts


def _python(code: str, *arguments: str) -> tuple[float, str]:
    """Seconds and output of a fresh interpreter."""
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return time.perf_counter() - begun, done.stdout


def import_seconds() -> float:
    """Median of nine fresh imports, the interpreter's own start taken off."""
    bare = statistics.median(_python("pass")[0] for _ in range(9))
    return statistics.median(_python("import aegis_agents")[0] for _ in range(9)) - bare


def cold(home: str, *, shadow: bool) -> tuple[float, float]:
    """Seconds of a fresh process to the printed case, and its peak memory in MB."""
    code = (
        "import sys, resource\nfrom importlib import resources\nfrom aegis_agents import Aegis\nfrom pathlib import Path\n"
        f"alert = (resources.files('aegis_agents.cli') / 'demo_alerts' / '{_ATTACK}').read_text()\n"
        f"with Aegis(home=Path(sys.argv[1]), mode={'shadow' if shadow else 'live'!r}) as aegis:\n"
        "    case = aegis.investigate(alert)\n"
        "print(len(case.actions), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    seconds, out = _python(code, home)
    return seconds, float(out.split()[-1])


def flat(sizes: list[int]) -> dict[str, float]:
    """Milliseconds an alert, for ever more alerts in one state."""
    found = {}
    with tempfile.TemporaryDirectory() as home, Aegis(home=Path(home)) as aegis:
        aegis.investigate(repeating(0))
        done = 1
        for size in sizes:
            begun = time.perf_counter()
            for number in range(done, size):
                aegis.investigate(repeating(number))
            found[f"alerts {done} to {size}"] = 1000 * (time.perf_counter() - begun) / (size - done)
            done = size
    return found


def measure(full: bool) -> dict[str, Any]:
    """All figures."""
    taken = decisions(60)
    with tempfile.TemporaryDirectory() as home:
        cold(home, shadow=True)  # builds the index, which is set-up
        verdict = min(cold(str(Path(home)), shadow=True) for _ in range(3))
    with tempfile.TemporaryDirectory() as home:
        gated, memory = cold(home, shadow=False)
    limit = 1.5 * taken["bare"] + 5
    per_alert = flat([100, 1000, 10_000] if full else [100, 1000])
    first, last = next(iter(per_alert.values())), list(per_alert.values())[-1]
    return {
        "targets": [
            ["warm decision p50, distinct alerts (1.5 x bare pass + 5 ms)", taken["decision"], limit, "ms"],
            ["warm decision p50, realistic stream", taken["stream"], limit, "ms"],
            ["import aegis_agents", import_seconds(), 0.3, "s"],
            ["cold process to first verdict", verdict[0], 4.0, "s"],
            ["cold process to first gated action, index built too", gated, 9.0, "s"],
            ["peak memory of the core path", memory, 700.0, "MB"],
            ["cost per alert, last decade over first", last / first, 1.25, "x"],
        ],
        "bare encoder pass on the same text, ms": taken["bare"],
        "where time goes, ms": where_time_goes(30),
        "ms an alert": per_alert,
    }


def to_markdown(found: dict[str, Any]) -> str:
    """The table for people."""
    lines = [
        "# Bench",
        "",
        "`python -m evals.bench`: all in one run.",
        "",
        "| what | measured | target | |",
        "|---|---|---|---|",
    ]
    for name, value, target, unit in found["targets"]:
        lines.append(
            f"| {name} | {value:.2f} {unit} | {target:.2f} {unit} | {'held' if value <= target else 'MISSED'} |"
        )
    lines += ["", f"Bare encoder pass on the same text: {found['bare encoder pass on the same text, ms']:.1f} ms", ""]
    for title in ("where time goes, ms", "ms an alert"):
        lines += [f"## {title}", "", *(f"- {name}: {value:.2f}" for name, value in found[title].items()), ""]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="go up to 10,000 alerts")
    found = measure(parser.parse_args().full)
    REPORTS.mkdir(exist_ok=True)
    (REPORTS / "bench.json").write_text(json.dumps(found, indent=1), "utf-8")
    (REPORTS / "bench.md").write_text(to_markdown(found), "utf-8")
    print(to_markdown(found))


if __name__ == "__main__":
    main()
