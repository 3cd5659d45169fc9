"""Alerts to measure on: the demo's five, made distinct, so that nothing is in a cache by accident."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

_FILES = sorted(
    (f for f in (resources.files("aegis_agents.cli") / "demo_alerts").iterdir() if f.name.endswith(".json")),
    key=lambda f: f.name,
)
_TEXTS = [f.read_text("utf-8") for f in _FILES]
_WORDS = [
    "amber",
    "basil",
    "cedar",
    "dune",
    "ember",
    "fjord",
    "grove",
    "heath",
    "islet",
    "jetty",
    "knoll",
    "larch",
    "mesa",
    "north",
    "oasis",
    "pine",
]


def distinct(number: int) -> dict[str, Any]:
    """Alert `number`: one of the five, every fact of it said in other words."""

    def vary(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: vary(value) for key, value in node.items()}
        if isinstance(node, list):
            return [vary(value) for value in node]
        # Times and addresses keep their form; other texts get a word that no other alert has.
        if isinstance(node, str) and not node[:4].isdigit() and "." not in node[:4]:
            return f"{node} {_WORDS[number % 16]}{number}"
        return node

    alert: dict[str, Any] = vary(json.loads(_TEXTS[number % len(_TEXTS)]))
    return alert


def repeating(number: int) -> dict[str, Any]:
    """Alert `number` of a realistic stream: the same five kinds again and again, with new ids and times of day."""
    text = _TEXTS[number % len(_TEXTS)]
    alert: dict[str, Any] = json.loads(text)
    for key in ("composite_id", "kibana.alert.uuid", "event_id", "uuid"):
        if key in alert:
            alert[key] = f"{alert[key]}-{number}"
    if "flow_id" in alert:
        alert["flow_id"] += number
    return alert
