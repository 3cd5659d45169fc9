"""Is who acted, or what was touched, the one that the organization's own records name?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from typing import Final

from aegis_agents.records import Entity
from aegis_agents.sources.keys import word_set
from aegis_agents.sources.relation import Relation, View, named

_MOST_ENTITIES: Final = 10
_READ: Final = 500
"""Characters of a value in which patterns are looked for."""
_REFERENCE = re.compile(
    r"(?<![A-Za-z0-9])(?!(?:CVE|SHA|UTF|AES|TLS|ISO|RFC|HTTP|IPV|RSA|MD|KB|AS|CN|ID|VER|PORT|TCP|UDP|PID|EC|CP|WIN)[-_]?\d)"
    r"([A-Za-z]{2,8}[-_]?\d[\dA-Za-z]*(?:-[\dA-Za-z]+){0,4})(?![A-Za-z0-9])"
)
_ASSET = re.compile(r"(?i)\b(?:asset|host|server|target|for|on)[:=]?\s+([A-Za-z][\w-]*[\d-][\w-]*)(?![\w:/.])")
_GLOB = re.compile(r"(?<![\w*-])([A-Za-z0-9][\w.-]{2,60}\*)(?![\w*])")
_ASSIGNED = re.compile(r"assign|implement|engineer|performed|executed|checkedout")
_TASK: Final = word_set(
    "ticket change chg work order permit maintenance approval approved window schedule calendar checkout job template "
    "record request task incident exercise"
)


def name_relations(views: Sequence[View], entities: Sequence[Entity]) -> list[Relation]:
    """Users and hosts in the organization's records, and references that both sides name."""
    by_id = {view.fact.id: view for view in views}
    records = [view for view in views if view.fact.trust == "organization" and len(view.fact.value) <= 1000]
    people = _taking_part(entities, by_id, "user")
    hosts = _taking_part(entities, by_id, "host")
    return [
        *_people(records, people)[:6],
        *_hosts(views, records, hosts)[:6],
        *islice(_references(views, records), 4),
    ]


def _taking_part(entities: Sequence[Entity], by_id: dict[str, View], kind: str) -> list[tuple[str, View]]:
    found: list[tuple[str, View]] = []
    for entity in entities:
        if entity.kind == kind and entity.role in ("subject", "actor"):
            own = (by_id[f] for f in entity.facts if f in by_id and by_id[f].fact.trust != "organization")
            if (view := next(own, None)) is not None:
                found.append((entity.value, view))
    return found[:_MOST_ENTITIES]


def _names(text: str, name: str) -> bool:
    """Whether the text holds this name as a word of its own."""
    at = text.find(name)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(name) : at + len(name) + 1]
        if not (before.isalnum() or before in ("-", "_")) and not (after.isalnum() or after in ("-", "_")):
            return True
        at = text.find(name, at + 1)
    return False


def _people(records: Sequence[View], people: Sequence[tuple[str, View]]) -> list[Relation]:
    relations: list[Relation] = []
    for record in records:
        text = record.fact.value.lower()
        for person, view in people:
            short = person.lower().rpartition("\\")[2]
            spellings = {short, short.partition("@")[0]}
            if any(len(spelling) > 3 and _names(text, spelling) for spelling in spellings):
                said = f"acting user named in organization's record: {person} {named(record, record.fact.value)}"
                relations.append(Relation("user_in_record", said, (view.fact, record.fact)))
                break
        else:
            if people and _ASSIGNED.search(record.keys.leaf) and re.fullmatch(r"[\w.@\\-]{3,64}", record.fact.value):
                person, view = people[0]
                said = f"record names another user than the acting one: not {person} {named(record, record.fact.value)}"
                relations.append(Relation("user_in_record", said, (view.fact, record.fact)))
    return relations


def _hosts(views: Sequence[View], records: Sequence[View], hosts: Sequence[tuple[str, View]]) -> list[Relation]:
    relations: list[Relation] = []
    for record in records:
        text = record.fact.value.lower()
        match = next(((host, view) for host, view in hosts if _host_named(text, host.lower())), None)
        if match is not None:
            said = f"host of the alert named in organization's record: {match[0]} {named(record, record.fact.value)}"
            relations.append(Relation("host_in_record", said, (match[1].fact, record.fact)))
        elif (record.keys.words | record.keys.above) & _TASK:
            other = _ASSET.search(record.fact.value)
            if other and not _REFERENCE.fullmatch(other.group(1)):
                facts = (hosts[0][1].fact, record.fact) if hosts else (record.fact,)
                about = f"not {hosts[0][0]}" if hosts else "which the alert does not name"
                said = f"record names another asset: {other.group(1)}, {about} {named(record, record.fact.value)}"
                relations.append(Relation("host_in_record", said, facts))
    for view in views if hosts else ():
        patterns = _GLOB.findall(view.fact.value[:_READ]) if "*" in view.fact.value else []
        for host, own in hosts if patterns else ():
            matched = next((p for p in patterns if fnmatchcase(host.lower(), p.lower())), None)
            if matched is None and len(view.fact.value) > _READ:
                continue  # a pattern that was not read may cover it
            how = "not covered" if matched is None else "covered"
            said = f"host {how} by named pattern: {host} {named(view, matched or ', '.join(patterns))}"
            relations.append(Relation("host_in_pattern", said, (own.fact, view.fact)))
    return relations


def _host_named(text: str, host: str) -> bool:
    return len(host) > 3 and (_names(text, host) or (host.count(".") > 1 and _names(text, host.partition(".")[0])))


def _known_by(reference: str, known: Mapping[str, View]) -> View | None:
    """The record of a reference, or of one that it goes on from: "chg-12-a" from "chg-12"."""
    while reference not in known and "-" in reference:
        reference = reference.rpartition("-")[0]
    return known.get(reference)


def _references(views: Sequence[View], records: Sequence[View]) -> Iterator[Relation]:
    """Tickets, changes and campaigns that a record names and a field that anybody can write names too."""
    known: dict[str, View] = {}
    for record in records:
        for reference in _REFERENCE.findall(record.fact.value):
            if sum(char.isdigit() for char in reference) > 2:
                known.setdefault(reference.lower(), record)
    if not known:
        return
    for view in views:
        if view.fact.trust != "external" or len(view.fact.value) > 2000:
            continue
        for reference in _REFERENCE.findall(view.fact.value):
            if (source := _known_by(reference.lower(), known)) is not None:
                said = f"reference of a record repeated where anybody can write: {reference}"
                said += f" {named(view, view.fact.value)} {named(source, source.fact.value)}"
                yield Relation("reference_repeated", said, (view.fact, source.fact))
