"""Relations between the facts of one alert, as facts of their own.

A model that reads facts one by one can't see that an address lies inside the range named
in another field, or that a window ended a month before. Such relations are computed here,
deterministically, and handed on as derived facts. They are features, not verdicts: an
attacker who knows a window can act inside it, which is why a derived fact is trusted no
more than the least trusted of the facts that it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Final

from aegis_agents.records import Entity, Fact
from aegis_agents.sources.keys import Keys
from aegis_agents.sources.relation import Relation, View
from aegis_agents.sources.relation_certificates import certificate_relations
from aegis_agents.sources.relation_counts import count_relations
from aegis_agents.sources.relation_domains import domain_relations
from aegis_agents.sources.relation_identifiers import identifier_relations
from aegis_agents.sources.relation_names import name_relations
from aegis_agents.sources.relation_ranges import range_relations
from aegis_agents.sources.relation_roles import role_relations
from aegis_agents.sources.relation_times import time_relations
from aegis_agents.sources.trust import least

MOST: Final = 24
"""Derived facts of one alert. Each family of relations takes turns, so that none crowds the others out."""

_COMPARED: Final = 400
"""Facts that take part; of a longer alert the first ones."""


def derive(
    facts: Sequence[Fact], keys: Sequence[Keys], entities: Sequence[Entity], observed_at: datetime | None
) -> tuple[Fact, ...]:
    """The derived facts of an alert, ids "d1", "d2", …; `keys` are those of the facts, in the same order."""
    views = [View(fact, split) for fact, split in zip(facts[:_COMPARED], keys[:_COMPARED], strict=True)]
    # In the order of their paths, so that the order of an alert's fields changes nothing.
    views.sort(key=lambda view: view.fact.path)
    # An entity's first mention is the plainest one.
    place_of = {fact.id: (len(fact.value), fact.path) for fact in facts}
    entities = sorted(
        (
            e.model_copy(update={"facts": tuple(sorted(e.facts, key=lambda f: place_of.get(f, (0, ""))))})
            for e in entities
        ),
        key=lambda e: (e.kind, e.value),
    )
    families = (
        range_relations(views, entities),
        time_relations(views, observed_at) if observed_at is not None else [],
        name_relations(views, entities),
        domain_relations(views, entities),
        identifier_relations(views),
        count_relations(views),
        role_relations(views, entities),
        certificate_relations(views),
    )
    turns = [relation for turn in zip_longest(*families) for relation in turn if relation is not None]
    kept: dict[str, Relation] = {}
    for relation in turns:
        kept.setdefault(relation.text, relation)
    chosen = list(kept.values())[:MOST]
    return tuple(
        Fact(
            id=f"d{number}", path=f"derived.{relation.name}", value=relation.text,
            trust=least([fact.trust for fact in relation.facts]), derived=True,
            inputs=tuple(dict.fromkeys(fact.id for fact in relation.facts)),
        )
        for number, relation in enumerate(chosen, 1)
    )  # fmt: skip
