"""What the families of relations share."""

from __future__ import annotations

from typing import NamedTuple

from aegis_agents.records import Fact
from aegis_agents.sources.keys import Keys
from aegis_agents.sources.text import shorten


class View(NamedTuple):
    """A fact, and its keys taken apart."""

    fact: Fact
    keys: Keys


class Relation(NamedTuple):
    """A relation that holds: its name, its text in plain English, and the facts that it rests on."""

    name: str
    text: str
    facts: tuple[Fact, ...]


def named(view: View, part: str) -> str:
    """How a relation names where a part of a value stood: the last two keys of the path, and the part."""
    return f"({'.'.join(view.fact.path.rsplit('.', 2)[-2:])[-80:]}: {shorten(part, 80)})"
