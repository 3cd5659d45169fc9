"""Is an identifier of one field the one that another field names, or another of its kind?

Serial numbers, fingerprints, key ids, MAC addresses, tickets, digests: which one it is means
nothing by itself, whether two fields name the same one decides. Identifiers are of one kind
when they are spelled alike: as long, divided alike, with the same letters in front.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from aegis_agents.sources.keys import word_set
from aegis_agents.sources.relation import Relation, View, named

_TOKEN: Final = re.compile(r"(?<![\w.@/\\:+-])[A-Za-z0-9]+(?:[-_:][A-Za-z0-9]+)*(?![\w@/\\]|[.:+-]\w)")
_NOT_ONE: Final = re.compile(
    r"(?i)\d{4}-\d\d(?:-\d\d)?(?:T[\d:]+Z?)?|\d{1,2}:\d\d(?::\d\d)?Z?|\d{1,5}|v?\d+[a-z]{1,3}|(?:19|20)\d{6}|1[4-9]\d{8}(?:\d{3})?|[a-z]+"
    r"|(?:win|windows|server|http|tls|sha|md|utf|x)[-_]?\d+\w*|AS\d+|T\d{4}|0x0+"
)
_HEX: Final = re.compile(r"(?:0x)?[0-9a-f:-]+", re.I)
_LONGEST_VALUE, _LONGEST_LIST = 96, 400
_MOST_PLACES: Final = 4
"""A name that stands everywhere in the alert is what the alert is about."""
_EMPTY_WORDS: Final = word_set(
    "id ids name value number no code event alert type the of by to in on and or at is for ref reference details info data "
    "uid key field extra meta attribute"
)
_COMPARED: Final = word_set(
    "expected baseline registered inventory known enrolled approved vendor golden previous prior last before allowed "
    "allowlist pinned reference original published declared issued assigned owner owners record manifest signed release "
    "usual current observed seen used presented actual now new old roster sbom catalogue catalog cmdb"
)
_PAIR: Final = re.compile(
    r"(?i)->|→|=>|!=|<>|≠|==|\bvs\.?\b|\bversus\b|\s/\s|\bexpected\b|\bwas\b|\bnow\b|\bseen\b|\bagainst\b"
)


class _Name(NamedTuple):
    token: str
    kind: tuple[object, ...]


def identifier_relations(views: Sequence[View]) -> list[Relation]:
    """Identifiers that two fields share, that differ where they could be the same, and pairs within one value."""
    named_in: list[tuple[View, list[_Name]]] = []
    places: dict[str, int] = defaultdict(int)
    for view in views:
        value = view.fact.value
        if len(value) > _LONGEST_LIST or not any(c.isdigit() for c in value):
            continue
        names = _names(value)
        if names:
            named_in.append((view, names))
            for token in {n.token for n in names}:
                places[token] += 1
    return [*list(_within(named_in))[:4], *list(_between(named_in, places))[:8]]


def _names(value: str) -> list[_Name]:
    found: dict[str, _Name] = {}
    for match in _TOKEN.finditer(value):
        token = match[0].lower()
        if len(token) < 4 or not any(c.isdigit() for c in token) or _NOT_ONE.fullmatch(token):
            continue
        found.setdefault(token, _Name(token, _kind(token)))
    return list(found.values())


def _kind(token: str) -> tuple[object, ...]:
    """Hexadecimal ones by their length, others by their parts, with the letters that come first."""
    if _HEX.fullmatch(token):
        return ("hex", len(token), token.count(":"), token.count("-"))
    parts = re.split(r"[-_:]", token)
    letters = re.match(r"[a-z]+", parts[0])
    front = letters[0] if letters and (len(parts) > 1 or len(letters[0]) > 2) else ""
    return (front, tuple(map(len, parts)) if len(parts) > 1 else (len(token),))


def _within(named_in: Sequence[tuple[View, list[_Name]]]) -> Iterator[Relation]:
    """One value that sets two identifiers of a kind against each other; the same one twice counts once in `names`."""
    for view, names in named_in:
        value = view.fact.value
        if len(value) > 200 or not _PAIR.search(value):
            continue
        alike: dict[tuple[object, ...], list[str]] = defaultdict(list)
        for name in names:
            alike[name.kind].append(name.token)
        two = [tokens for tokens in alike.values() if len(tokens) == 2]
        if two:
            said = f"two identifiers set against each other differ: {two[0][0]}, {two[0][1]} {named(view, value)}"
            yield Relation("identifier_pair", said, (view.fact,))
            continue
        for name in names:
            if value.lower().count(name.token) == 2 and len(name.token) > 5:
                said = f"the same identifier stands on both sides: {name.token} {named(view, value)}"
                yield Relation("identifier_pair", said, (view.fact,))
                break


def _between(named_in: Sequence[tuple[View, list[_Name]]], places: dict[str, int]) -> Iterator[Relation]:
    """A field that is one identifier against every other field; the elements of a list are one field."""
    fields: dict[str, list[tuple[View, list[_Name]]]] = defaultdict(list)
    for view, names in named_in:
        fields[view.keys.joined].append((view, names))
    single = [
        (view, names[0]) for (view, names), *more in fields.values()
        if not more and len(names) == 1 and len(view.fact.value) <= _LONGEST_VALUE
    ]  # fmt: skip
    telling: list[Relation] = []
    repeated: list[Relation] = []
    told: set[frozenset[str]] = set()
    for view, name in single:
        for field, listed in fields.items():
            pair = frozenset((view.keys.joined, field))
            if len(pair) == 1 or pair in told or view.keys.leaf == listed[0][0].keys.leaf:
                continue
            holder = next((v for v, names in listed if any(n.token == name.token for n in names)), None)
            if holder is not None:
                told.add(pair)
                relation = _named(view, name, holder, "is")
                if view.fact.trust != holder.fact.trust or _comparable(view, holder):
                    telling.append(relation)
                elif places[name.token] <= _MOST_PLACES:
                    repeated.append(relation)
            elif _comparable(view, listed[0][0]) and (
                other := next((v for v, names in listed if any(n.kind == name.kind for n in names)), None)
            ):
                told.add(pair)
                telling.append(_named(view, name, other, "is not"))
    yield from telling[:6]
    yield from repeated[:2]


def _named(view: View, name: _Name, other: View, how: str) -> Relation:
    said = (
        f"identifier {how} the one named: {name.token} {named(view, view.fact.value)} {named(other, other.fact.value)}"
    )
    return Relation("identifier_named", said, (view.fact, other.fact))


def _comparable(view: View, other: View) -> bool:
    """Fields whose names say that they speak of one thing, or that one says what the other should be."""
    own, its = view.keys.words - _EMPTY_WORDS, other.keys.words - _EMPTY_WORDS
    stems = {w.rstrip("s") for w in own} & {w.rstrip("s") for w in its}
    return bool(stems) or bool(own and its and (own | its) & _COMPARED)
