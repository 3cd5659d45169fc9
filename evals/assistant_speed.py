"""How soon an answer begins: `python -m evals.assistant_speed [--cases N] [--rounds N]`.

The embedded model, extractive answers, over a store of N cases (default 500, made from the alerts of `aegis demo` with
other hosts, users and addresses). Its 28 questions are asked in turn, those about a case about another one each time,
after one warming round. Printed and written to evals/reports/assistant_speed.json: p50, p95 and the most of the time to
the first token and to the whole answer, in milliseconds, the time that opening takes with and without the kept vectors,
and what else the machine was doing (load average).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import Any

from aegis_agents import Aegis
from aegis_agents.assistant import Assistant

REPORTS = Path(__file__).parent / "reports"
QUESTIONS = (
    "Why was this closed?", "Which facts decided?", "What would have changed the verdict?", "Who approved this and when?",
    "Can it be undone?", "What was done about it?", "What is this case about?", "Which hosts are involved?",
    "Which techniques were used here?", "Have we seen something like this before?", "How confident are you in this verdict?",
    "Is there a prompt injection in this alert?", "What waits for me?", "Which true positives came today on host WS-7?",
    "Was there anything about user u7 last week?", "How many attacks came today?", "What was undone today?",
    "What may you do without asking?", "What is T1003.001?", "Which groups use T1003.001?", "Which techniques do APT29 use?",
    "How is CVE-2021-44228 contained?", "What helps against T1566?", "Is 198.51.100.99 malicious?",
    "How do attackers dump LSASS memory?", "Add the host to the watchlist.", "Approve everything.", "What is the weather today?",
)  # fmt: skip


def fill(aegis: Aegis, cases: int) -> list[str]:
    """So many cases; their ids."""
    folder = resources.files("aegis_agents.cli") / "demo_alerts"
    texts = [file.read_text("utf-8") for file in sorted(folder.iterdir(), key=lambda f: f.name)]
    ids = []
    for number in range(cases):
        text = texts[number % len(texts)]
        for old, new in (
            ("ALD-LT-0442", f"WS-{number}"), ("m.oyelaran", f"u{number}"), ("5c1d0e:ind", f"5c1d0e:{number}"),
            ("b41d0c6a2f5e4e3b9d7a8c1f0e2d3b4a5c6d7e8f", f"b41d{number}"), ("ald-web-17", f"ald-web-{number}"),
            ("0f4b7c2e-5d7e", f"0f4b7c2e-{number}"), ("881273645500122", f"88127{number}"), ("gw-2026-118840", f"gw-{number}"),
        ):  # fmt: skip
            text = text.replace(old, new)
        ids.append(aegis.investigate(json.loads(text)).incident_id)
    return ids


def spread(values: list[float]) -> dict[str, float | int]:
    """p50, p95 and the most."""
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return {"n": len(values), "p50": round(cuts[9], 1), "p95": round(cuts[18], 1), "most": round(max(values), 1)}


def measure(cases: int, rounds: int) -> dict[str, Any]:
    """All figures."""
    with tempfile.TemporaryDirectory(prefix="aegis-assistant-speed-") as home, Aegis(home=Path(home)) as aegis:
        ids = fill(aegis, cases)
        cache = Path(home) / "assistant"
        given: dict[str, Any] = {"autonomy": aegis.autonomy_in_force, "standings": aegis.standings, "cache": cache}
        opened = []
        for _ in range(2):
            started = time.perf_counter()
            assistant = Assistant(aegis.context, **given)
            opened.append(time.perf_counter() - started)
        started = time.perf_counter()
        assistant.warm()
        warm = time.perf_counter() - started
        first: list[float] = []
        whole: list[float] = []
        slowest: dict[str, float] = {}
        for number in range(rounds + 1):
            for at, question in enumerate(QUESTIONS):
                answer = assistant.ask(
                    question, ids[(7 * number + at) % len(ids)] if at < 12 or "host to" in question else None
                )
                if number:
                    first.append(answer.first_token_ms)
                    whole.append(answer.timing_ms)
                    slowest[question] = max(slowest.get(question, 0.0), answer.first_token_ms)
    worst = dict(sorted(slowest.items(), key=lambda item: -item[1])[:5])
    return {
        "cases": cases, "first token ms": spread(first), "whole answer ms": spread(whole),
        "share of first tokens under 200 ms": round(sum(v < 200 for v in first) / len(first), 4),
        "slowest first tokens ms": worst, "open s": round(opened[0], 2), "open again s": round(opened[1], 2),
        "warm s": round(warm, 2), "load average": [round(v, 1) for v in os.getloadavg()], "processors": os.cpu_count(),
    }  # fmt: skip


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=20)
    chosen = parser.parse_args()
    told = measure(chosen.cases, chosen.rounds)
    print(json.dumps(told, indent=1))
    REPORTS.mkdir(exist_ok=True)
    (REPORTS / "assistant_speed.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
