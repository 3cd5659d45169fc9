"""Runs the suites with progress and writes a report with plots."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from aegis_agents.evaluation import figures, suites
from aegis_agents.evaluation.evaluators import Judged
from aegis_agents.model import FastModel
from aegis_agents.records import Assessment, Incident

Suite = Literal[
    "situations",
    "minimal_pairs",
    "calibration",
    "robustness",
    "techniques",
    "triage_tune",
    "triage_report",
    "ait",
    "sigma",
]
SUITES: tuple[Suite, ...] = get_args(Suite)
OWN: tuple[Suite, ...] = ("situations", "minimal_pairs", "calibration", "robustness")
"""Those that need no data from outside."""


def evaluate(
    model: FastModel, wanted: Iterable[Suite], *, data: Path | None = None, sizes: suites.Sizes | None = None, progress: bool = True
) -> dict[str, Any]:  # fmt: skip
    """Run suites; returns their figures by name. Raises InputError where a suite needs data that is not there."""
    sizes = sizes or suites.Sizes()
    found: dict[str, Any] = {"model": model.version}
    for name in wanted:
        if name == "techniques":
            found[name] = _techniques(model, suites.need(data), progress)
            continue
        make: dict[Suite, Callable[[], suites.Alerts]] = {
            "situations": suites.situations, "minimal_pairs": suites.minimal_pairs,
            "calibration": lambda: suites.calibration(sizes), "robustness": lambda: suites.robustness(sizes, model.assess),
            "triage_tune": lambda: suites.triage(suites.need(data), "tune"),
            "triage_report": lambda: suites.triage(suites.need(data), "report"),
            "ait": lambda: suites.ait(suites.need(data)), "sigma": lambda: suites.sigma(suites.need(data)),
        }  # fmt: skip
        found[name] = _alerts(model, name, make[name](), progress)
    return found


def _alerts(model: FastModel, name: Suite, dataset: suites.Alerts, progress: bool) -> dict[str, Any]:
    def judge(incident: Incident) -> Assessment:
        return model.assess(incident)

    report = asyncio.run(dataset.evaluate(judge, max_concurrency=1, progress=progress))
    rows: list[tuple[Judged, Assessment]] = [(c.metadata, c.output) for c in report.cases if c.metadata is not None]
    made: dict[str, Any] = {"failures": len(report.failures)}
    if name == "robustness":
        by_change: dict[str, list[bool]] = {}
        for case in report.cases:
            by_change.setdefault(str(case.labels["change"].value), []).append(not case.assertions["same"].value)
        flips = [flip for kind in by_change.values() for flip in kind]
        return (
            made
            | {"flips": figures.share_of(flips)}
            | {f"flips, {k}": figures.share_of(v) for k, v in by_change.items()}
        )
    made |= figures.verdict_figures(rows)
    if name == "calibration":
        made |= figures.calibration_figures(rows)
    hits = [bool(c.assertions["technique"].value) for c in report.cases if "technique" in c.assertions]
    return made | ({"a right technique (base level, top 3)": figures.share_of(hits)} if hits else {})


def _techniques(model: FastModel, data: Path, progress: bool) -> dict[str, Any]:
    ids, vectors = model.techniques()

    def name_three(text: str) -> tuple[str, ...]:
        closeness = vectors @ model.embed([text])[0]
        return tuple(ids[i] for i in np.argsort(-closeness)[:3])

    report = asyncio.run(suites.techniques(data).evaluate(name_three, max_concurrency=1, progress=progress))
    hits = [bool(c.assertions["technique"].value) for c in report.cases]
    return {
        "sentences": len(hits),
        "a right technique (base level, top 3)": figures.share_of(hits),
        "failures": len(report.failures),
    }


def write(found: dict[str, Any], out: Path) -> None:
    """model.json, model.md and, where the calibration suite ran, reliability.png."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "model.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (out / "model.md").write_text(to_markdown(found), "utf-8")
    if "calibration" in found:
        _plot(found["calibration"]["bins"], out / "reliability.png")


def to_markdown(found: dict[str, Any]) -> str:
    """The figures for people; shares with their 95 % intervals."""
    lines = ["# The model, measured", "", f"`aegis eval`, model {found['model']}. Intervals are 95 % (Wilson; ECE: bootstrap over families).", ""]  # fmt: skip
    for name, figure in found.items():
        if not isinstance(figure, dict):
            continue
        lines += [f"## {name}", ""]
        for key, value in figure.items():
            if isinstance(value, dict):
                share = "none" if value["share"] is None else f"{value['share']:.3f}"
                lines.append(f"- {key}: {share} ({value['k']}/{value['n']}, {value['low']:.2f} to {value['high']:.2f})")
            elif key != "bins":
                lines.append(f"- {key}: {value}")
        lines.append("")
    return "\n".join(lines)


def _plot(bins: list[dict[str, Any]], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (upper, lower) = plt.subplots(2, 1, figsize=(5, 6), height_ratios=(3, 1), sharex=True)
    upper.plot([0.5, 1], [0.5, 1], color="0.7", linestyle="--", label="just as sure as right")
    upper.plot([b["confidence"] for b in bins], [b["right"] for b in bins], marker="o", label="the model")
    upper.set(ylabel="share that was right", ylim=(0, 1.02), title="Reliability on families not trained on")
    upper.legend(loc="lower right")
    lower.bar([b["confidence"] for b in bins], [b["n"] for b in bins], width=0.025)
    lower.set(xlabel="confidence in attack or harmless", ylabel="alerts")
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)
