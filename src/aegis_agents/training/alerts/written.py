"""Whole alerts written by hand in native shape, four ways a scenario, with the facts that decide (`*.jsonl`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

from aegis_agents.sources import parse
from aegis_agents.training.corpus import FACT_CLASSES, Example, stances_of
from aegis_agents.training.parts import Part, part_of


def written_groups(part: Part) -> Iterator[list[Example]]:
    """The alerts of each scenario of a part, every fact labelled by the side it is on."""
    for file in sorted(resources.files("aegis_agents.training.alerts").iterdir(), key=lambda f: f.name):
        if not file.name.endswith(".jsonl"):
            continue
        groups: dict[str, list[Example]] = {}
        for line in file.read_text("utf-8").splitlines():
            row = json.loads(line)
            if part_of(row["scenario"]) == part:
                family = f"{file.name.removesuffix('.jsonl')}:{row['scenario']}"
                groups.setdefault(family, []).append(_example(row, family))
        yield from groups.values()


def _example(row: dict[str, Any], family: str) -> Example:
    incident = parse(row["alert"], format=row["format"])
    said = [(str(text), FACT_CLASSES.index(side)) for side, texts in row["facts"].items() for text in texts]
    stances = stances_of(incident.facts, lambda f: next((c for text, c in said if text and text in f.value), 0))
    techniques = tuple(row["techniques"])
    return Example(
        incident, row["verdict"], row["severity"], techniques, stances, family, "written", row["alert"], row["format"]
    )
