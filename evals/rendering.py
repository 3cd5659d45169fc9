"""The report of real_input as JSON and for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from evals.counting import Mean, Share

_NOTES = {
    "planted into": "Each text goes into several alerts and each alert takes several texts: the intervals treat "
    "them as independent and are too narrow.",
    "AIT windows": "A pattern is a scenario's set of alert names; the first window of each counts. Windows repeat, "
    "so the intervals over every window are too narrow; each pattern once is the fairer figure.",
    "Sigma regression events": "Attacks by construction: they say nothing of false alarms. Some rules have several "
    "events.",
    "OTRF events": "Sigma rules on recorded attacks. Where rule and data set differ in technique nobody judged the event.",
}


def _plain(value: Any) -> Any:
    if isinstance(value, Share | Mean):
        return value.to_json()
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return value


def to_json(report: Mapping[str, Any]) -> str:
    """Numbers with their n and bounds."""
    return json.dumps(_plain(report), indent=1) + "\n"


def _table(rows: Mapping[str, Mapping[str, Any]], first: str) -> Iterator[str]:
    """One line a row; the rows have the same columns."""
    columns = list(next(iter(rows.values())))
    yield f"| {first} | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for name, row in rows.items():
        yield f"| {name} | {' | '.join(str(row[c]) for c in columns)} |"


def _suite(figures: Mapping[str, Any]) -> Iterator[str]:
    for key, value in figures.items():
        if key.startswith("per "):
            yield ""
            yield from _table(value, key.removeprefix("per "))
        elif isinstance(value, dict):
            yield f"- {key}: " + ", ".join(f"{k} {v}" for k, v in value.items())
        else:
            yield f"- {key}: {value}"


def to_markdown(report: Mapping[str, Any]) -> str:
    """The report for people."""
    lines = [
        "# Real input",
        "",
        f"`python -m evals.real_input --split {report['split']}`. Shares as share (k/n, 95 % Wilson interval); "
        "means with a 95 % bootstrap interval. An alert that ended in an error is a miss everywhere.",
        "",
        "detection: attacks answered true_positive. rejection: non-attacks answered benign_positive or false_positive. "
        "undetermined is a miss in both; coverage is the share not undetermined. "
        "kind: of the rejected, benign and false told apart rightly.",
        "",
        ", ".join(f"{k} {v}" for k, v in report["versions"].items()),
        "",
    ]
    for name, figures in report["suites"].items():
        notes = [note for part, note in _NOTES.items() if part in name]
        lines += [f"## {name}", "", *(line for note in notes for line in (note, "")), *_suite(figures), ""]
    failed = [f"- {name}: {error}" for name, errors in report["errors"].items() for error in errors]
    lines += ["## Errors", "", *(failed or ["none"]), "", "## Pace", ""]
    pace = {
        name: {
            "alerts": p["alerts"], "seconds": f"{p['seconds']:.1f}", "alerts/s": f"{p['alerts/s']:.1f}",
            "ledger entries verified": report["ledger entries verified"][name],
        }
        for name, p in report["pace"].items()
    }  # fmt: skip
    return "\n".join([*lines, *_table(pace, "suite")]) + "\n"
