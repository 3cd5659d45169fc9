"""Alerts to measure on: the demo's five, with other ids, users, hosts, addresses and hashes, the same each time.

What they say stays as it is, so that they are judged, and acted on, as the five are.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from importlib import resources
from typing import Any

from aegis_agents import Aegis
from aegis_agents.sources import parse

PEOPLE = 40
"""So many users and hosts take turns in the stream."""


@cache
def _texts() -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Each alert's JSON text and the (kind, value) of what names somebody or something in it, longest first."""
    folder = resources.files("aegis_agents.cli") / "demo_alerts"
    texts = [f.read_text("utf-8") for f in sorted(folder.iterdir(), key=lambda f: f.name) if f.name.endswith(".json")]
    found = []
    for text in texts:
        named = {(e.kind, e.value) for e in parse(text).entities if e.kind in ("alert", "user", "host", "ip", "hash")}
        found.append((text, tuple(sorted(named, key=lambda n: (-len(n[1]), n)))))
    return tuple(found)


def _other(kind: str, value: str, number: int) -> str:
    """Another value of the same kind and form."""
    if kind == "ip":
        net, _, last = value.rpartition(".")
        return f"{net}.{(int(last) + number) % 254 + 1}"
    if kind == "hash":
        return hashlib.sha256(f"{value}{number}".encode()).hexdigest()[: len(value)]
    if value.isdigit():
        return str(int(value) + number)
    return f"{value}{number}"


def _vary(kind: int, number: int, who: int) -> dict[str, Any]:
    text, named = _texts()[kind]
    by_value = {value: _other(k, value, number if k == "alert" else who) for k, value in named}
    # All at once, so that no replacement is replaced again; whole words only.
    pattern = "|".join(re.escape(json.dumps(v)[1:-1]) for v in by_value)
    changed = re.sub(rf"(?<![\w.])(?:{pattern})(?!\w)", lambda m: by_value[m.group()], text)
    alert: dict[str, Any] = json.loads(changed)
    return alert


def distinct(number: int) -> dict[str, Any]:
    """Alert `number`, who and where in it named in no other."""
    return _vary(number % len(_texts()), number, number)


def stream(number: int) -> dict[str, Any]:
    """Alert `number` of a realistic stream: the same kinds, users and hosts again and again, each time a new alert."""
    return _vary(number % len(_texts()), number, number // len(_texts()) % PEOPLE)


def meet_everybody(aegis: Aegis) -> None:
    """Reads every fact of the stream once, so that its cache is as on a busy day; takes in no alert."""
    for number in range(len(_texts()) * PEOPLE):
        aegis.context.model.assess(parse(stream(number)))
