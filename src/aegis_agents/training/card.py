"""The model card, generated from the manifest and the reports: no figure is typed by hand.

Sections after Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_USE = """\
Judges one security alert at a time: attack, allowed, mistaken or undecided, with severity, ATT&CK technique and the facts
that decided. Meant to rank and explain for analysts. It must not act alone: out of the box every containing action and
every closing waits for a person. It reads English best; other languages only as they occur in tickets and names. It knows
what an alert says and nothing else: what is not in the alert or its enrichment can't be weighed."""


def _share(value: dict[str, Any]) -> str:
    if value["share"] is None:
        return "none"
    return f"{value['share']:.2f} ({value['k']}/{value['n']}, {value['low']:.2f} to {value['high']:.2f})"


def _suite(name: str, figures: dict[str, Any]) -> list[str]:
    lines = [f"### {name}", ""]
    for key, value in figures.items():
        if isinstance(value, dict) and "share" in value:
            lines.append(f"- {key}: {_share(value)}")
        elif isinstance(value, int | float):
            lines.append(f"- {key}: {value}")
    return [*lines, ""]


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return found


def make_card(weights: Path, reports: Path) -> str:
    """The card of the model in `weights`, with the figures that lie in `reports` (model, bakeoff, language .json)."""
    manifest, calibration = _read(weights / "manifest.json"), _read(weights / "calibration.json")
    about = manifest.get("about", {})
    measured, bake, language = (_read(reports / f"{n}.json") for n in ("model", "bakeoff", "language"))
    size = sum((weights / name).stat().st_size for name in manifest["files"]) / 1e6
    lines = [
        f"# {manifest['name']}", "", _USE, "",
        "## What it is", "",
        f"- base: {about.get('base')} (sentence-transformers, Apache-2.0), checked by hash; {size:.0f} MB with head and techniques",
        f"- int8 with fixed activation ranges: {about.get('quantised')}",
        f"- training alerts by source: {about.get('alerts')}",
        f"- prepared data, SHA-256 {about.get('data')}", "",
        "## Data and licences", "",
        *(f"- {source}: {licence}" for source, licence in sorted(about.get("licences", {}).items())),
        "- families and situations: Apache-2.0, written for Aegis by several writers without sight of one another's wording", "",
        "## Thresholds", "",
        f"Temperature {calibration['temperature']}, undetermined above {calibration['undetermined_above']}, a missed attack "
        f"costs {calibration['missed_attack_cost']} false alarms. Fitted on {calibration['fitted_on']}.", "",
        f"Bounds on error (Learn then Test, confidence {calibration['bounds_confidence']}, {calibration['bounds_families']} families):", "",
        "| tolerated error | least share for an attack | least share for harmless |", "|---|---|---|",
        *(f"| {t:g} | {'not shown' if a is None else a} | {'not shown' if h is None else h} |" for t, a, h in calibration["bounds"]), "",
        "## Figures", "",
        f"`aegis eval`, model {measured.get('model', 'not measured')}. Shares with 95 % Wilson intervals.", "",
    ]  # fmt: skip
    for name, figures in measured.items():
        if isinstance(figures, dict):
            lines += _suite(name, figures)
    for cases, rows in bake.items():
        lines += [
            f"### Bake-off: {cases}",
            "",
            "| way | MB | ms | detection | rejection | AUC | ECE |",
            "|---" * 7 + "|",
        ]
        lines += [
            f"| {way} | {r['MB']} | {r['ms']} | {_share(r['detection'])} | {_share(r['rejection'])} | {r['auc']} | {r['ece']} |"
            for way, r in rows.items()
        ]
        lines.append("")
    if language:
        lines += ["## The language model's adapter", "", *(f"- {k}: {v}" for k, v in language.items()), ""]
    return "\n".join(lines)
