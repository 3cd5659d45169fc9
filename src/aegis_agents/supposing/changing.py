"""An incident with some facts changed or dropped: what follows from them is worked out anew, all else stays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Final

from aegis_agents.errors import InputError
from aegis_agents.records import Entity, Fact, Incident
from aegis_agents.records.base import Record
from aegis_agents.sources.clock import parse_time
from aegis_agents.sources.entities import extract
from aegis_agents.sources.flatten import Leaf
from aegis_agents.sources.keys import Keys, split_keys
from aegis_agents.sources.reading import Limits
from aegis_agents.sources.registry import FORMATS
from aegis_agents.sources.relations import derive
from aegis_agents.sources.text import EMPTY, shorten, visible

_BETWEEN: Final = re.compile(r"#\d+$|\[\d+\]|[.\[\]]")
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false")


class Change(Record):
    """One fact that a question changes: what it said, and what it is asked as (None: left out)."""

    id: str
    path: str
    before: str
    after: str | None


def change_incident(incident: Incident, changes: Mapping[str, str | None]) -> tuple[Incident, tuple[Change, ...]]:
    """The incident as if these facts had said something else, and what was changed.

    Keys are paths or ids of facts; a value takes the place of what the fact says, None leaves the fact out. Derived
    facts and entities that rest on a changed fact are computed anew; who could have written a field stays. Raises
    InputError for what names no fact, or several, or a derived one, and where nothing would be left.
    """
    if not changes:
        raise InputError("names no fact", field="changes", fix="as in {'cmdline': None} or {'f12': 'whoami'}")
    wanted: dict[str, Change] = {}
    for key, value in changes.items():
        fact = _fact(incident, key)
        if value is not None and not isinstance(value, str):
            raise InputError(f"is a {type(value).__name__}", field=key, fix="give text, or None to leave it out")
        after = None if value is None else shorten(visible(value), Limits().max_value_chars) or EMPTY
        if fact.id in wanted:
            raise InputError("is changed twice", field=key, fix=f"it is {fact.path} as well as {fact.id}")
        wanted[fact.id] = Change(id=fact.id, path=fact.path, before=fact.value, after=after)
    facts = [_changed(f, wanted.get(f.id)) for f in incident.facts if not f.derived]
    kept = [f for f in facts if f is not None]
    if not kept:
        raise InputError("leave nothing to judge", field="changes", fix="keep a fact")
    keys = [keys_of(fact.path) for fact in kept]
    entities = _entities(incident, wanted, kept)
    observed = _observed(incident, wanted, kept)
    derived = derive(kept, keys, entities, observed)
    update = {"facts": (*kept, *derived), "entities": entities, "observed_at": observed}
    return incident.model_copy(update=update), tuple(wanted.values())


def keys_of(path: str) -> Keys:
    """The keys of a path as an incident writes it: indexes left out, names in brackets kept."""
    return split_keys(tuple(part for part in _BETWEEN.split(path) if part))


def _fact(incident: Incident, key: str) -> Fact:
    found = [f for f in incident.facts if f.id == key] or [f for f in incident.facts if f.path == key]
    if len(found) > 1:
        raise InputError("names several facts", field=key, fix=f"use an id: {', '.join(f.id for f in found[:8])}")
    if not found:
        near = get_close_matches(str(key), [f.path for f in incident.facts if not f.derived], n=3, cutoff=0.4)
        raise InputError("no fact has this path or id", field=str(key)[:200], fix=f"near it: {', '.join(near) or 'none'}")  # fmt: skip
    if found[0].derived:
        raise InputError("is computed from other facts", field=key, fix=f"change {', '.join(found[0].inputs)}")
    return found[0]


def _changed(fact: Fact, change: Change | None) -> Fact | None:
    if change is None:
        return fact
    return None if change.after is None else fact.model_copy(update={"value": change.after})


def _entities(incident: Incident, wanted: Mapping[str, Change], facts: Sequence[Fact]) -> tuple[Entity, ...]:
    """Those that other facts name too, and those that the changed ones name now."""
    kept: dict[tuple[str, str], Entity] = {}
    for entity in incident.entities:
        named = tuple(f for f in entity.facts if f not in wanted or wanted[f].after == wanted[f].before)
        if named or not entity.facts or entity.kind == "alert":  # the alert is what it is about, whatever it says
            kept[entity.kind, entity.value] = entity.model_copy(update={"facts": named})
    known = FORMATS.get(incident.source)
    changed = [fact for fact in facts if fact.id in wanted]
    leaves = [Leaf(f.path, f.value, keys_of(f.path), bool(_NUMBER.fullmatch(f.value))) for f in changed]
    for entity in extract(leaves, [f.id for f in changed], incident.native_id, known.hints if known else ()).kept:
        if entity.kind == "alert":
            continue
        before = kept.get((entity.kind, entity.value))
        if before is not None:
            entity = before.model_copy(update={"facts": (*before.facts, *entity.facts)})
        kept[entity.kind, entity.value] = entity
    return tuple(kept.values())


def _observed(incident: Incident, wanted: Mapping[str, Change], facts: Sequence[Fact]) -> datetime | None:
    """When it happened: where the fact that says so was changed, what it says now."""
    at = incident.observed_at
    for change in wanted.values():
        if at is not None and parse_time(change.before) == at and all(parse_time(f.value) != at for f in facts):
            return parse_time(change.after)
    return at
