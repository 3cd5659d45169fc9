"""Whole alerts written by hand, each with its verdict and the facts that decide it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from importlib import resources

from aegis_agents.sources import parse
from aegis_agents.training.corpus import FACT_CLASSES, Example


def is_held_out(scenario: str) -> bool:
    """Whether a scenario belongs to development: one in six, by a hash of its name. Its variants stay together."""
    return hashlib.sha256(scenario.encode()).digest()[0] % 6 == 0


def whole_alerts(*, held_out: bool) -> Iterator[Example]:
    """The alerts of the training (or held-out) scenarios, with every fact labelled."""
    for file in sorted(resources.files("aegis_agents.training.alerts").iterdir(), key=lambda f: f.name):
        if not file.name.endswith(".jsonl"):
            continue
        for line in file.read_text("utf-8").splitlines():
            row = json.loads(line)
            if is_held_out(row["scenario"]) != held_out:
                continue
            incident = parse(row["alert"], format=row["format"])
            said = [(str(text), FACT_CLASSES.index(side)) for side, texts in row["facts"].items() for text in texts]
            stances = tuple(
                -1 if f.derived else next((c for text, c in said if text and text in f.value), 0)
                for f in incident.facts
            )
            yield Example(
                incident, row["verdict"], row["severity"], tuple(row["techniques"]), stances,
                f"{file.name}:{row['scenario']}", row["format"],
            )  # fmt: skip
