"""The alerts of AEGIS_DEV_DATA, each with what is known of it; no label ever reaches the alert."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

Row = dict[str, Any]

AIT_LABELS = frozenset({"label", "time_labels", "event_labels", "n_attack_event_alerts", "attack", "scenario"})
"""`scenario` is no label, but names the recording, which a sensor would not know."""
TRAINED_SCENARIOS = frozenset({"fox", "harrison"})
"""As aegis_agents.training.real has it; a test holds the two together."""
RAW_PER_SCENARIO = 200
"""Raw AIT alerts, evenly spaced: 1.5 million would take a day."""


class Item(NamedTuple):
    """One alert to investigate and what its publisher says of it."""

    known: Row
    alert: Row


def read_lines(file: Path) -> Iterator[Row]:
    """The objects of a JSON Lines file."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def dev_cases(data: Path, half: str) -> list[Item]:
    """tune or report, in their native shapes, their formats to be detected."""
    return [Item(row, row["alert"]) for row in read_lines(data / "dev_cases" / half / "cases.jsonl")]


def ait_windows(data: Path) -> list[Item]:
    """Each window as one alert in no known format."""
    rows = read_lines(data / "ait_ads" / "windows.jsonl")
    return [Item(row, {k: v for k, v in row.items() if k not in AIT_LABELS}) for row in rows]


def ait_raw(data: Path) -> list[Item]:
    """Some of the raw alerts, as rows of their table without the columns that label them."""
    found = []
    with zipfile.ZipFile(data / "ait_ads" / "alerts_csv.zip") as archive:
        for name in (n for n in archive.namelist() if n.endswith(".txt")):
            with archive.open(name) as raw:
                lines = list(io.TextIOWrapper(raw, "utf-8", newline=""))
            step = max(1, (len(lines) - 1) // RAW_PER_SCENARIO)
            for row in csv.DictReader([lines[0], *lines[1::step]]):
                found.append(Item({}, {k: v for k, v in row.items() if k and "label" not in k}))
    return found


def sigma_events(data: Path) -> list[Item]:
    """Every event of Sigma's own regression tests."""
    return [Item(row, event) for row in read_lines(data / "sigma" / "regression.jsonl") for event in row["events"]]


def trained_on(rule: Row) -> bool:
    """Whether the shipped model was trained on this Sigma rule's events (half of them, by the hash of the id)."""
    return hashlib.sha256(rule["id"].encode()).digest()[0] % 2 == 0


def otrf_events(data: Path) -> list[Item]:
    """Host events on which Sigma rules fired."""
    return [Item(row, row["event"]) for row in read_lines(data / "otrf" / "sigma_alerts.jsonl")]


def texts(data: Path, half: str, kind: str) -> list[str]:
    """`injections` or `benign_lookalikes` of a half."""
    return [row["text"] for row in read_lines(data / "dev_cases" / half / f"{kind}.jsonl")]
