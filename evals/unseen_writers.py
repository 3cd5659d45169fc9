"""How the shipped model does on writers it has never met: `python -m evals.unseen_writers`. Writes evals/reports/unseen_writers.{md,json}.

Situations of writers from `NEWEST_WRITER` on: neither weights, thresholds nor a promotion have seen one of their
lines. Test situations are of writers whose other situations trained; these are harder, and nearer to what
an alert of another company is. Variants of a situation and situations of a writer are alike, so that the interval is over
writers. When weights that learnt them ship, the number moves on, and this report is of the writers after it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from aegis_agents.evaluation.evaluators import Judged
from aegis_agents.evaluation.figures import verdict_figures
from aegis_agents.evaluation.suites import Told, minimal_pairs, tell
from aegis_agents.model import FastModel
from aegis_agents.records import Assessment
from aegis_agents.training.alerts.situations import load_situations
from aegis_agents.training.groups import NEWEST_WRITER
from evals.counting import Mean

REPORTS = Path(__file__).parent / "reports"
SHARES = (
    "detection", "rejection", "undetermined called so", "attacks called harmless above 0.9", "minimal pairs, both right",
)  # fmt: skip
Rows = list[tuple[Judged, Assessment]]


def unmet(since: int = NEWEST_WRITER) -> dict[str, list[Told]]:
    """Writer → situations, of writers from this number on."""
    found: dict[str, list[Told]] = defaultdict(list)
    for writer, situation in load_situations():
        if int(writer.removeprefix("w")) >= since:
            found[writer].append(tell(writer, situation))
    return found


def figures(model: FastModel, told: Sequence[Told]) -> dict[str, Any]:
    """Shares over these situations; each variant is judged once."""
    said = {id(e.incident): model.assess(e.incident) for _, _, variants in told for e in variants}
    rows: Rows = [
        (Judged(verdict=e.verdict, family=family), said[id(e.incident)])
        for _, family, variants in told
        for e in variants
    ]
    pairs: Rows = [(c.metadata, said[id(c.inputs)]) for c in minimal_pairs(among=told).cases if c.metadata is not None]
    return verdict_figures(pairs) | verdict_figures(rows)


def over_writers(of: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Each share summed over all writers, with its mean over writers, who count alike."""
    found: dict[str, Any] = {}
    for name in SHARES:
        asked = [f[name] for f in of if f.get(name, {}).get("n")]
        found[name] = {
            "k": sum(s["k"] for s in asked), "n": sum(s["n"] for s in asked),
            "over writers": Mean(tuple(s["k"] / s["n"] for s in asked)).to_json(),
        }  # fmt: skip
    return found


def main() -> None:
    """Measure and write."""
    model, console = FastModel(threads=1), Console()
    writers = unmet()
    if not writers:
        raise SystemExit(f"no writer from {NEWEST_WRITER} on: the shipped model has met all")
    by_writer = {w: figures(model, told) for w, told in track(writers.items(), "judging", console=console)}
    found = {
        "model": model.version, "writers": len(writers), "situations": sum(len(t) for t in writers.values()),
        "alerts": sum(f["alerts"] for f in by_writer.values()), "shares": over_writers(list(by_writer.values())),
        "by writer": by_writer,
    }  # fmt: skip
    (REPORTS / "unseen_writers.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    text = to_markdown(found)
    (REPORTS / "unseen_writers.md").write_text(text, "utf-8")
    console.print(text, markup=False)


def to_markdown(found: dict[str, Any]) -> str:
    """The report."""
    lines = [
        "# Writers whom the shipped model has never met", "",
        f"`python -m evals.unseen_writers`, {found['model']}: {found['alerts']} alerts of {found['situations']} situations by "
        f"{found['writers']} writers. Intervals are over writers (95 %, bootstrap).", "",
        "| | all alerts | mean of writers | interval |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, share in found["shares"].items():
        if share["n"]:
            mean = share["over writers"]
            all_alerts = f"{share['k'] / share['n']:.3f} ({share['k']}/{share['n']})"
            alike = mean["low"] == mean["high"]  # then the bootstrap says nothing of how sure that is
            interval = "none: all alike" if alike else f"{mean['low']:.2f} to {mean['high']:.2f}"
            lines.append(f"| {name} | {all_alerts} | {mean['mean']:.3f} | {interval} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
