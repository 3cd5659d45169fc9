"""Scenario families: what may happen in an alert, and which facts decide what it was.

A family is a list of slots; a slot is one field of the alert with values for each
stance (see `Stance`). They were written by several people, without sight of one
another's wording, and are split between training and development as whole families.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import model_validator

from aegis_agents.records.base import Record
from aegis_agents.records.incident import Trust
from aegis_agents.training.parts import Part, part_of

Stance = Literal["suspicious", "attack", "authorised", "wrong", "neutral"]
"""suspicious: seen in an attack and in authorised use alike; attack: speaks for an attack;
authorised: it happened and was allowed; wrong: it did not happen as claimed; neutral: says nothing."""

Value = str | int | float | bool
_TRUST: dict[str, Trust] = {"attacker": "external", "product": "product", "org": "organization"}


class Slot(Record):
    """One field of an alert, its names in different products, and its values by stance."""

    field: tuple[str, ...]
    by: Literal["attacker", "product", "org"]
    decides: bool = False
    suspicious: tuple[Value, ...] = ()
    attack: tuple[Value, ...] = ()
    authorised: tuple[Value, ...] = ()
    wrong: tuple[Value, ...] = ()
    neutral: tuple[Value, ...] = ()

    @property
    def trust(self) -> Trust:
        """Who could have written this field."""
        return _TRUST[self.by]

    def values(self, stance: Stance) -> tuple[Value, ...]:
        """The values that this slot takes for a stance; empty if none."""
        found: tuple[Value, ...] = getattr(self, stance)
        return found


class Family(Record):
    """A kind of scenario with its attack, authorised, wrong-detection and conflicting variants."""

    id: str
    domain: str
    techniques: tuple[str, ...]
    severity: Literal["medium", "high", "critical"]
    products: tuple[str, ...]
    target: str
    titles: tuple[str, ...]
    slots: tuple[Slot, ...]

    @model_validator(mode="after")
    def _can_decide(self) -> Family:
        for stance in ("attack", "authorised", "wrong"):
            if sum(bool(slot.values(stance)) for slot in self.slots) < 2:
                raise ValueError(f"family {self.id}: needs two slots with {stance!r} values")
        return self

    @property
    def held_out(self) -> bool:
        """Whether this family never trains."""
        return self.part != "train"

    @property
    def part(self) -> Part:
        """Where all of its alerts go."""
        return part_of(self.id)


@cache
def load_families() -> tuple[Family, ...]:
    """All families, sorted by id. Raises ValueError on one that is malformed or named twice."""
    found: dict[str, Family] = {}
    folder = resources.files("aegis_agents.training") / "families"
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".yaml"):
            for raw in yaml.safe_load(file.read_text("utf-8")):
                family = Family.model_validate(raw)
                if family.id in found:
                    raise ValueError(f"family {family.id} is defined twice")
                found[family.id] = family
    return tuple(found[key] for key in sorted(found))
