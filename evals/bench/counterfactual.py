"""What the counterfactual check costs: `python -m evals.bench.counterfactual`. Writes evals/reports/counterfactual_speed.{json,md}.

Alerts of test situations as they are, and the same with many more fields that anybody could have written. In one
run and for each alert in turn: the bare model pass with nothing cached; the gate over all of the alert's containments
and closings without the check; with it; and the check's questions asked to the last one whatever the first
answers, which is what it costs where an action does run alone. Times are wall-clock, the model on two threads.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aegis_agents.gate import Gate, GateRequest, Usage
from aegis_agents.gate.counterfactual import bare_question, forgeable_facts, further_questions
from aegis_agents.gate.request import ACTION_CLASSES, class_of
from aegis_agents.gate.tiers import TIERS
from aegis_agents.model import FastModel
from aegis_agents.model.reask import Reask
from aegis_agents.records import CATALOGUE, Incident
from aegis_agents.sources import parse
from evals.bench.model import queue
from evals.injections_cases import NOW, reasoned

REPORTS = Path(__file__).parents[1] / "reports"
ALERTS, LARGE = 120, {"as they are": 0, "100 more fields": 100, "500 more fields": 500}
LIMIT = 1.5
"""Most that the pass and the gate together may cost, in passes."""
_ACTING = {
    "autonomy": "act", "matrix": {name: dict.fromkeys(TIERS, "act") for name in ACTION_CLASSES},
    "risk": {name: 0.0 for name in ACTION_CLASSES if name != "record"},
}  # fmt: skip


def _ms(what: Callable[[], Any]) -> float:
    started = time.perf_counter()
    what()
    return (time.perf_counter() - started) * 1000


def _more(alert: dict[str, Any], fields: int) -> dict[str, Any]:
    words = ("opened", "by", "setup", "task", "queue", "worker", "cache", "index", "render", "sync", "upload", "job")
    said = {
        f"message_{n}": f"{words[n % 12]} {words[(n // 12) % 12]} {words[(n // 144) % 12]} step {n % 97} finished without delay"
        for n in range(fields)
    }
    return alert | said


def one(model: FastModel, asking: Gate, acting: Gate, incident: Incident) -> dict[str, float] | None:
    """The times of one alert, ms; None where nothing that the check is for would be proposed."""
    model._encoder._cache.clear()
    times = {"pass": _ms(lambda: model.assess(incident))}
    assessment = model.assess(incident)
    state: Any = {"assessment": assessment, "incident": incident, "passages": ()}
    conclusion, proposed = reasoned(state, acting)
    proposals = [p for p in proposed if class_of(CATALOGUE[p.action]) != "record"]
    if not proposals:
        return None

    def gate(which: Gate) -> None:
        reask = Reask(model, incident)
        for proposal in proposals:
            which.decide(
                GateRequest(
                    incident=incident, assessment=assessment, conclusion=conclusion, action=proposal, now=NOW,
                    usage=Usage(), reassess=reask,
                )
            )  # fmt: skip

    def all_questions() -> None:
        reask, forgeable = Reask(model, incident), forgeable_facts(incident)
        reask.many([bare_question(forgeable).masked])
        reask.many([q.masked for q in further_questions(incident, assessment, forgeable, 23)])

    times["gate without"] = _ms(lambda: gate(asking))
    times["gate with"] = _ms(lambda: gate(acting))
    times["all questions"] = _ms(all_questions)
    times["actions"] = len(proposals)
    return times


def figures(rows: list[dict[str, float]]) -> dict[str, Any]:
    """p50 and p95 of each part, and of pass and gate together over the pass."""
    parts = {name: [row[name] for row in rows] for name in rows[0]}
    parts["pass and gate, over the pass"] = [(r["pass"] + r["gate with"]) / r["pass"] for r in rows]
    parts["the same, all questions asked"] = [
        (r["pass"] + r["gate without"] + r["all questions"]) / r["pass"] for r in rows
    ]
    return {"n": len(rows)} | {
        name: {"p50": statistics.median(values), "p95": sorted(values)[int(0.95 * len(values))]}
        for name, values in parts.items()
    }


def measure(alerts: int) -> dict[str, Any]:
    """All queues, one after another."""
    model = FastModel(threads=2)
    asking, acting = Gate(autonomy="act"), Gate(**_ACTING)
    found: dict[str, Any] = {"model": model.version, "cpus": os.cpu_count(), "load before": os.getloadavg()[0]}
    taken = queue(alerts)
    one(model, asking, acting, parse(taken[0][0], format=taken[0][1]))  # imports guardrails
    for name, fields in LARGE.items():
        shown = taken if not fields else taken[: max(10, alerts // 4)]
        incidents = [parse(_more(alert, fields), format=format) for alert, format in shown]
        rows = [row for i in incidents if (row := one(model, asking, acting, i)) is not None]
        found[name] = figures(rows)
    found["load after"] = os.getloadavg()[0]
    return found


def to_markdown(found: dict[str, Any]) -> str:
    """The tables for people."""
    lines = ["# What the counterfactual check costs", "", *(__doc__ or "").split("\n\n")[1].splitlines(), ""]
    lines += [
        f"Model {found['model']}; {found['cpus']} CPUs, load average {found['load before']:.1f} before and "
        f"{found['load after']:.1f} after. Target: pass and gate together under {LIMIT} passes.",
        "",
    ]
    for name in LARGE:
        table = found[name]
        lines += [f"## {name}", "", f"{table['n']} alerts.", "", "| | p50 | p95 |", "|---|---|---|"]
        for part, value in table.items():
            if part != "n":
                unit = "" if part == "actions" or "over" in part or "same" in part else " ms"
                lines.append(f"| {part} | {value['p50']:.2f}{unit} | {value['p95']:.2f}{unit} |")
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=int, default=ALERTS)
    parser.add_argument("--out", type=Path, default=REPORTS)
    given = parser.parse_args()
    found = measure(given.alerts)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "counterfactual_speed.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (given.out / "counterfactual_speed.md").write_text(to_markdown(found), "utf-8")
    print(to_markdown(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
