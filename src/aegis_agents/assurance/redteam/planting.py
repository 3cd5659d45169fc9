"""Where in an alert an attacker could write: asked of the sources themselves, with a marker."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from aegis_agents.sources import parse

_MARKER = "qzxmarkerqzx"
Place = tuple[str | int, ...]


def texts_of(node: Any, at: Place = ()) -> Iterator[Place]:
    """Where the texts of an alert stand."""
    if isinstance(node, str):
        yield at
    elif isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from texts_of(value, (*at, key))


def with_text(alert: dict[str, Any], places: Sequence[Place], text: str) -> dict[str, Any]:
    """A copy of the alert with the text behind the values at these places."""
    changed: Any = copy.deepcopy(alert)
    for at in places:
        node = changed
        for key in at[:-1]:
            node = node[key]
        node[at[-1]] = f"{node[at[-1]]} {text}"
    return changed  # type: ignore[no-any-return]


def writable(alert: dict[str, Any]) -> list[Place]:
    """Values that anybody could have written: a product's own field never shows the marker as such."""
    found = []
    for at in texts_of(alert):
        facts = [f for f in parse(with_text(alert, [at], _MARKER)).facts if _MARKER in f.value and not f.derived]
        if facts and all(f.trust == "external" for f in facts):
            found.append(at)
    return found


def readable(place: Place) -> str:
    """A place as people write it: network_accesses[0].remote_address."""
    said = ""
    for key in place:
        said += f"[{key}]" if isinstance(key, int) else f".{key}" if said else key
    return said
