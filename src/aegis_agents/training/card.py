"""The model card, generated from the manifest and the reports: no figure is typed by hand.

`python -m aegis_agents.training.card` writes it beside the shipped weights. Sections after
Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aegis_agents.model.files import shipped_folder

_USE = """\
Judges one security alert at a time: attack, allowed, mistaken or undecided, with severity, ATT&CK technique and the facts
that decided. Meant to rank and explain for analysts. It must not act alone: out of the box every containing action and
every closing waits for a person. It reads English best; other languages only as they occur in tickets and names. It knows
what an alert says and nothing else: what is not in the alert or its enrichment can't be weighed."""

_READ = """\
Detection: attacks called true_positive. Rejection: harmless alerts called benign_positive or false_positive. An undetermined
answer is a miss in both; coverage is the share that was decided. Shares as share (k/n, 95 % Wilson interval)."""


def _share(value: dict[str, Any]) -> str:
    if value.get("share", value.get("mean")) is None:
        return "none"
    if "mean" in value:
        return f"mean {value['mean']:.2f} (n {value['n']}, {value['low']:.2f} to {value['high']:.2f})"
    return f"{value['share']:.2f} ({value['k']}/{value['n']}, {value['low']:.2f} to {value['high']:.2f})"


def _figures(figures: dict[str, Any]) -> Iterator[str]:
    for key, value in figures.items():
        if isinstance(value, dict) and ("share" in value or "mean" in value):
            yield f"- {key}: {_share(value)}"
        elif isinstance(value, bool | int | float | str):
            yield f"- {key}: {value}"


def _section(title: str, how: str, body: Iterator[str] | list[str]) -> Iterator[str]:
    lines = list(body)
    if lines:
        yield from ("", f"## {title}", "", f"`{how}`", "", *lines)


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return found


def _what(weights: Path) -> Iterator[str]:
    manifest, calibration = _read(weights / "manifest.json"), _read(weights / "calibration.json")
    about = manifest.get("about", {})
    size = sum((weights / name).stat().st_size for name in manifest["files"]) / 1e6
    yield f"# {manifest['name']}"
    yield from ("", _USE, "", "## What it is", "")
    yield f"- base: {about.get('base')} (sentence-transformers, Apache-2.0), checked by hash; {size:.0f} MB with head and techniques"
    yield f"- int8 with fixed activation ranges: {about.get('quantised')}"
    yield f"- training alerts by source: {about.get('alerts')}"
    yield f"- plan of the last run (0 steps: a checkpoint exported as it was; docs/model.md says what went before): {about.get('plan')}"
    yield f"- prepared data, SHA-256 {about.get('data')}"
    yield from ("", "## Data and licences", "")
    yield from (f"- {source}: {licence}" for source, licence in sorted(about.get("licences", {}).items()))
    yield "- families: Apache-2.0, written for Aegis, like the situations, by several writers meant to see nothing of one another's wording (docs/model.md: where some did)"
    yield from ("", "## Thresholds", "")
    yield (
        f"Temperature {calibration['temperature']}, undetermined above {calibration['undetermined_above']}, a missed attack "
        f"costs {calibration['missed_attack_cost']} false alarms. Fitted on {calibration['fitted_on']}, none trained on."
    )
    families = calibration["bounds_families"]
    yield from (
        "",
        f"Bounds on error (Learn then Test, confidence {calibration['bounds_confidence']}, {families} families):",
        "",
    )
    yield from ("| tolerated error | least share for an attack | least share for harmless |", "|---|---|---|")
    for tolerated, attack, harmless in calibration["bounds"]:
        said = ["not shown" if share is None else f"{share:g}" for share in (attack, harmless)]
        yield f"| {tolerated:g} | {said[0]} | {said[1]} |"


def _bakeoff(reports: Path) -> Iterator[str]:
    for cases, rows in _read(reports / "bakeoff.json").items():
        yield from (
            "",
            f"{cases}:",
            "",
            "| way | MB | ms | detection | rejection | coverage | AUC | ECE |",
            "|---" * 8 + "|",
        )
        for way, row in rows.items():
            shares = " | ".join(_share(row[k]) for k in ("detection", "rejection", "coverage"))
            yield f"| {way} | {row['MB']} | {row['ms']} | {shares} | {row['auc']:.3f} | {row['ece']:.3f} |"


def _own_domain(reports: Path) -> Iterator[str]:
    if found := _read(reports / "own_domain.json"):
        yield from _figures(found)
        for when in ("before", "after"):
            yield from (f"- {when}, {line.removeprefix('- ')}" for line in _figures(found[when]))


def make_card(weights: Path, reports: Path) -> str:
    """The card of the model in `weights`, with the figures that lie in `reports`; a report that is missing leaves its section out."""
    measured = _read(reports / "model.json")
    lines = [*_what(weights), "", "## How to read the figures", "", _READ]
    for half in ("report", "tune"):
        figures = _read(reports / "real_input.json").get("suites", {}).get(f"dev_cases/{half}", {})
        lines += _section(f"dev_cases/{half}", "python -m evals.real_input --split all", _figures(figures))
    for name, figures in measured.items():
        if isinstance(figures, dict):
            lines += _section(f"Suite: {name}", "aegis eval", _figures(figures))
    lines += _section("Bake-off", "python -m evals.bakeoff", _bakeoff(reports))
    for queue, figures in _read(reports / "model_speed.json").items():
        lines += _section(f"Speed: {queue}", "python -m evals.bench.model", _figures(figures))
    lines += _section("Memory", "python -m evals.memory_stream", _figures(_read(reports / "memory.json")))
    lines += _section("One organisation's own cases (OT)", "python -m evals.own_domain", _own_domain(reports))
    lines += _section(
        "The language model's adapter", "aegis train language --steps 0", _figures(_read(reports / "language.json"))
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (shipped_folder() / "card.md").write_text(make_card(shipped_folder(), Path("evals/reports")), "utf-8")
