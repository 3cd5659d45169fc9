"""Real labelled alerts that the user fetched: AIT-ADS windows and Sigma regression events.

Split by source: some scenarios and half of the rules train, the others are never shown.
Labels are what their publishers verified; AIT says only "attack" or "not", so its
negatives teach no difference between benign and false.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aegis_agents.errors import InputError
from aegis_agents.records import VERDICTS, Severity, Verdict
from aegis_agents.sources import parse
from aegis_agents.training.corpus import Example

AIT_TRAIN = frozenset({"fox", "harrison"})
_AIT_KEPT = ("id", "host", "start", "end", "n_alerts", "alerts", "ips")
"""What a sensor would know; every label is left out."""


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise InputError(f"is no JSON: {error}", field=str(file), fix="give JSON Lines", line=number) from error


def _example(
    alert: dict[str, Any], format: str, verdict: Verdict, techniques: tuple[str, ...], family: str, source: str
) -> Example:
    incident = parse(alert, format=format)
    severity: Severity = "high" if verdict == "true_positive" else "informational"
    unknown = (-1,) * len(incident.facts)
    return Example(incident, verdict, severity, techniques, unknown, family, source, alert, format)


def ait_windows(data: Path, *, training: bool) -> Iterator[Example]:
    """Windows of AIT-ADS (Landauer et al. 2024, CC BY 4.0), each pattern of alert names once; ambiguous ones left out."""
    seen: set[str] = set()
    for row in _lines(data / "ait_ads" / "windows.jsonl"):
        if (row["scenario"] in AIT_TRAIN) != training or row["label"] not in ("true_positive", "not_malicious"):
            continue
        attack = row["label"] != "not_malicious"
        pattern = json.dumps([attack, sorted(a["name"] for a in row["alerts"])])
        if pattern in seen:
            continue
        seen.add(pattern)
        shown = {k: row[k] for k in _AIT_KEPT if k in row}
        verdict: Verdict = "true_positive" if attack else "false_positive"
        yield _example(shown, "generic", verdict, (), f"ait.{row['scenario']}", "ait-ads")


def sigma_events(data: Path, *, training: bool) -> Iterator[Example]:
    """Events that Sigma's own regression tests say are attacks (DRL 1.1); rule names are not in them."""
    for row in _lines(data / "sigma" / "regression.jsonl"):
        if (hashlib.sha256(row["id"].encode()).digest()[0] % 2 == 0) != training:
            continue
        for event in row["events"]:
            attack = tuple(row["rule"]["attack"])
            yield _example(event, "windows_event", "true_positive", attack, f"sigma.{row['id']}", "sigma-regression")


def labelled_lines(file: Path) -> list[Example]:
    """Alerts with their verdicts, a line {"id", "alert", "truth": {"verdict"}} each. Raises InputError for another shape."""
    found = []
    for number, row in enumerate(_lines(file), 1):
        try:
            alert, verdict, name = row["alert"], row["truth"]["verdict"], str(row["id"])
        except (KeyError, TypeError) as error:
            raise InputError(
                f"lacks {error}", field=str(file), fix="give id, alert and truth.verdict", line=number
            ) from error
        if verdict not in VERDICTS:
            raise InputError(f"is {verdict!r}", field="truth.verdict", fix=", ".join(VERDICTS), line=number)
        incident = parse(alert)
        found.append(
            Example(
                incident,
                verdict,
                "informational",
                (),
                (-1,) * len(incident.facts),
                name,
                file.parent.name,
                alert,
                incident.source,
            )
        )
    return found
