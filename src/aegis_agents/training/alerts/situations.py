"""Situations: one whole alert in its native shape, and what else may be true of it (`situations/*.jsonl`).

All variants of a situation share title, vendor severity and the neutral part of the alert,
so that none of these can tell the verdict; a variant sets the few fields that decide. Each
file has one writer, who had not seen the others' wording nor any evaluation data.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import Field

from aegis_agents.errors import InputError
from aegis_agents.records import Severity, Verdict
from aegis_agents.records.base import Record
from aegis_agents.sources import parse
from aegis_agents.training.corpus import FACT_CLASSES, Example, stances_of
from aegis_agents.training.parts import Part, part_of

_STEP = re.compile(r"[.\[\]]+")


class Variant(Record):
    """What a variant sets over the alert (dotted path → value, null removes), and the paths that decide."""

    verdict: Verdict
    severity: Severity
    set: dict[str, Any]
    facts: dict[Literal["attack", "authorised", "wrong"], tuple[str, ...]]


class Situation(Record):
    """An alert and its variants."""

    scenario: str
    format: str
    techniques: tuple[str, ...]
    alert: dict[str, Any]
    variants: tuple[Variant, ...] = Field(min_length=4)


def _key_at(node: dict[str, Any], steps: list[str], at: int) -> tuple[str, int]:
    """The longest key of `node` that `steps` spell from `at` on (keys may hold dots), and where the rest begins."""
    for end in range(len(steps), at, -1):
        if (key := ".".join(steps[at:end])) in node:
            return key, end
    return steps[at], at + 1


def put(alert: dict[str, Any], path: str, value: Any) -> None:
    """Set one field, making what lies between. Raises InputError where the path can't be followed."""
    steps, node, at = path.split("."), alert, 0
    current: Any = node
    while True:
        if isinstance(current, list):
            if not steps[at].isdigit() or int(steps[at]) > len(current):
                raise InputError(f"no element {steps[at]!r} in the list", field=path, fix="use an index of the list")
            index, end = int(steps[at]), at + 1
            if end == len(steps):
                current[index : index + 1] = [] if value is None else [value]
                return
            if index == len(current):
                current.append({})
            current, at = current[index], end
        elif isinstance(current, dict):
            key, end = _key_at(current, steps, at)
            if end == len(steps):
                if value is None:
                    current.pop(key, None)
                else:
                    current[key] = value
                return
            if not isinstance(current.get(key), (dict, list)):
                current[key] = [] if steps[end].isdigit() else {}
            current, at = current[key], end
        else:
            raise InputError("the path goes through a plain value", field=path, fix="name a field of an object")


@cache
def load_situations() -> tuple[tuple[str, Situation], ...]:
    """(writer, situation), in the order of the files. Raises pydantic's ValidationError on a malformed one."""
    found = []
    for file in sorted(
        (resources.files("aegis_agents.training.alerts") / "situations").iterdir(), key=lambda f: f.name
    ):
        if file.name.endswith(".jsonl"):
            for line in file.read_text("utf-8").splitlines():
                found.append((file.name.removesuffix(".jsonl"), Situation.model_validate_json(line)))
    return tuple(found)


def tell_variant(situation: Situation, variant: Variant, family: str) -> Example:
    """The alert of one variant, its facts labelled by the side that they are on."""
    alert = copy.deepcopy(situation.alert)
    for path, value in variant.set.items():
        put(alert, path, value)
    incident = parse(alert, format=situation.format)
    sides = [(_plain(path), FACT_CLASSES.index(side)) for side, paths in variant.facts.items() for path in paths]
    stances = stances_of(incident.facts, lambda f: _side(_plain(f.path), sides))
    techniques = situation.techniques if variant.verdict == "true_positive" else ()
    return Example(
        incident, variant.verdict, variant.severity, techniques, stances, family, "situations", alert, situation.format
    )


def _plain(path: str) -> str:
    return ".".join(s for s in _STEP.split(path) if s).lower()


def _side(path: str, sides: list[tuple[str, int]]) -> int:
    return next((side for named, side in sides if path == named or path.startswith(f"{named}.")), 0)


def situation_groups(part: Part) -> Iterator[list[Example]]:
    """The variants of each situation of a part, a list a situation."""
    for writer, situation in load_situations():
        if part_of(situation.scenario) == part:
            yield [tell_variant(situation, v, f"{writer}:{situation.scenario}") for v in situation.variants]
