"""What a product format is: how to tell it, and where it keeps the few things every alert has."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from aegis_agents.records import EntityKind, EntityRole
from aegis_agents.sources.clock import parse_time
from aegis_agents.sources.text import shorten, visible
from aegis_agents.sources.trust import Rules

_TECHNIQUE: Final = re.compile(r"(?<![A-Za-z0-9])T[0-9]{4}(?:\.[0-9]{3})?(?![0-9])")


class Head(NamedTuple):
    """What every alert has, in whatever words. Severity, confidence and verdict are the product's claims."""

    native_id: str | None = None
    title: str | None = None
    observed_at: datetime | None = None
    severity: str | None = None
    confidence: str | None = None
    verdict: str | None = None
    techniques: tuple[str, ...] = ()


class Hint(NamedTuple):
    """An entity that only this format's author can tell: (part of the dotted lower-case path, kind, role).

    The part is matched as trust rules are (`trust.fits`). kind None means: nothing under this
    path is an entity (the sensor's own name, for example).
    """

    path: str
    kind: EntityKind | None
    role: EntityRole = "observed"


@dataclass(frozen=True, slots=True)
class Format:
    """One product format.

    `detect` answers 0 (not mine) to 100 (certainly mine); `head` finds id, title, time and
    claims; `trust` and `hints` come before the general tables. All of them get the alert
    without the envelope it may have come in (`unwrap`), whose fields may be of any type.
    """

    name: str
    detect: Callable[[Mapping[str, Any]], int]
    head: Callable[[Mapping[str, Any]], Head]
    trust: Rules = ()
    hints: Sequence[Hint] = ()


def get(tree: Any, path: str) -> Any:
    """The value at a dotted path, whether the product nests it or has dots in its keys; None if there is none.

    A number selects from a list.
    """
    if isinstance(tree, Mapping):
        if path in tree:
            return tree[path]
        at = path.find(".")
        while at >= 0:
            below = tree.get(path[:at])
            if below is not None:
                found = get(below, path[at + 1 :])
                if found is not None:
                    return found
            at = path.find(".", at + 1)
        return None
    if isinstance(tree, list):
        index, _, rest = path.partition(".")
        if index.isdigit() and len(index) < 6 and int(index) < len(tree):
            return get(tree[int(index)], rest) if rest else tree[int(index)]
    return None


def text(tree: Any, *paths: str) -> str | None:
    """The first of these that is a text or a number, as one line of at most 300 characters; None if there is none."""
    for path in paths:
        value = get(tree, path)
        if isinstance(value, str) and value.strip():
            return shorten(" ".join(visible(value).split()), 300)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
    return None


def when(tree: Any, *paths: str) -> datetime | None:
    """The first of these that is a time."""
    for path in paths:
        found = parse_time(get(tree, path))
        if found is not None:
            return found
    return None


def techniques(*values: Any) -> tuple[str, ...]:
    """The ATT&CK ids in these values (text, or lists of it), in order, each once."""
    found: dict[str, None] = {}
    waiting = list(reversed(values))
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            found.update(dict.fromkeys(_TECHNIQUE.findall(value[:2000])))
        elif isinstance(value, list):
            waiting.extend(reversed(value[:100]))
        elif isinstance(value, Mapping):
            waiting.extend(reversed(list(value.values())[:100]))
    return tuple(found)[:50]


def has(tree: Any, *paths: str) -> int:
    """How many of these paths hold something."""
    return sum(get(tree, path) is not None for path in paths)


def unwrap(alert: Mapping[str, Any]) -> Mapping[str, Any]:
    """The alert without its envelope: EventBridge's detail, Elasticsearch's _source, Splunk's result."""
    for envelope, sign in (("detail", "detail-type"), ("_source", "_index"), ("result", "search_name")):
        inside = alert.get(envelope)
        if isinstance(inside, Mapping) and sign in alert:
            return inside
    return alert
