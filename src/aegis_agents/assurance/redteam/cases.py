"""The alerts and texts that attacks are made of, shipped as data; see `data/`."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple

_DATA = resources.files("aegis_agents.assurance.redteam") / "data"


class Shipped(NamedTuple):
    """One alert in its native shape, and what is called so in reports."""

    name: str
    alert: dict[str, Any]


class Text(NamedTuple):
    """A text to plant."""

    style: str
    text: str


@cache
def alerts(kind: Literal["attacks", "harmless"]) -> tuple[Shipped, ...]:
    """Alerts that are attacks, or that are none."""
    lines = (_DATA / f"{kind}.jsonl").read_text("utf-8").splitlines()
    return tuple(Shipped(row["name"], row["alert"]) for row in map(json.loads, lines))


@cache
def _texts() -> dict[str, Any]:
    return tomllib.loads((_DATA / "texts.toml").read_text("utf-8"))


def bystander() -> dict[str, str]:
    """What a framing text names: nothing of it is in any alert."""
    return dict(_texts()["bystander"])


def texts(goal: Literal["silence", "act"]) -> list[Text]:
    """Texts that claim harmlessness, or that frame the bystander."""
    names = bystander() if goal == "act" else {}
    return [
        Text(group["style"], text.format(**names) if names else text)
        for group in _texts()[goal]
        for text in group["texts"]
    ]


def numbered(alert: dict[str, Any], number: int) -> dict[str, Any]:
    """The alert as another one: with an id of its own in a field that says nothing."""
    return alert | {"redteam_event_id": f"redteam-{number:06d}"}
