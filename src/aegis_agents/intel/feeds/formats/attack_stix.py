"""ATT&CK as its publisher gives it: a STIX 2.1 bundle, or one technique a line.

The objects are checked by hand, not with stix2: an Enterprise bundle holds some 25,000 objects, of which stix2
parses about 4,000 a second, and of which 2,000 are used.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aegis_agents.errors import InputError
from aegis_agents.intel import attack
from aegis_agents.intel.attack import AttackObjects, Item
from aegis_agents.intel.crosswalk import TECHNIQUE_ID, Described, paired
from aegis_agents.intel.documents import ATTACK_LICENCE
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.formats.common import (
    SkipLog,
    json_items,
    moment,
    provenance,
    text_of,
    texts_of,
    too_deep,
)  # fmt: skip
from aegis_agents.intel.feeds.parsed import Blob, Parsed

_CITATION = re.compile(r"\s?\(Citation: [^()]{1,200}(?:\([^()]{0,200}\)[^()]{0,200}){0,3}\)")
_STIX_ID = re.compile(r"[a-z0-9-]{1,64}--[0-9a-f-]{36}")
_KINDS = {
    "attack-pattern": ("techniques", TECHNIQUE_ID),
    "course-of-action": ("mitigations", re.compile(r"M\d{4}")),
    "intrusion-set": ("groups", re.compile(r"G\d{4}")),
    "malware": ("software", re.compile(r"S\d{4}")),
    "tool": ("software", re.compile(r"S\d{4}")),
}
_MATRIX = "mitre-attack"


def read(blobs: Sequence[Blob], feed: Feed, *, fetched_at: dt.datetime) -> Parsed:
    """Live techniques, mitigations, groups and software, under ATT&CK's own ids.

    Ids of other releases become aliases (`successors`). Raises InputError if there is no live technique.
    """
    skips = SkipLog()
    entries = [entry for blob in blobs for entry in _entries(blob, skips)]
    before = attack.packaged()
    objects = _objects(entries, before.tactics, skips)
    if not attack.live(objects.techniques):
        raise InputError(
            "holds no live ATT&CK technique", field=feed.name,
            fix="give the Enterprise bundle of ATT&CK (enterprise-attack.json)",
        )  # fmt: skip
    documents = attack.documents_of(objects, successors(objects, before), provenance(feed, fetched_at, ATTACK_LICENCE))
    return Parsed(_version([e for _, e in entries], fetched_at), documents, skips.listed())


def successors(objects: AttackObjects, before: AttackObjects | None = None) -> dict[str, str]:
    """Id of another release → the live technique of this one.

    What the release says (revoked-by) counts first. For ids of v18.1 that it neither has nor says so of, the
    technique with the same name or description (`crosswalk.paired`). Ids that v18.1 itself had revoked follow.
    `before` is v18.1, for those who have it at hand.
    """
    replaced = attack.replaced_in(objects)
    before = before or attack.packaged()
    new = _described(objects)
    old = {t: d for t, d in _described(before).items() if t not in replaced}
    found = paired(old, new) | replaced
    for retired, at in attack.replaced_in(before).items():
        follower = found.get(at, at)
        if retired not in new and follower in new:
            found.setdefault(retired, follower)
    return found


def _described(objects: AttackObjects) -> dict[str, Described]:
    living = attack.live(objects.techniques)
    return {t["external_id"]: Described(t["name"], t.get("description") or "") for t in living}


def _entries(blob: Blob, skips: SkipLog) -> list[tuple[str, Mapping[str, Any]]]:
    found: list[tuple[str, Mapping[str, Any]]] = []
    for where, value in json_items(blob, skips):
        inside = value.get("objects") if isinstance(value, dict) and "objects" in value else None
        several = [(f"{where}.objects[{n}]", v) for n, v in enumerate(inside)] if isinstance(inside, list) else []
        for at, entry in several if inside is not None else [(where, value)]:
            if not isinstance(entry, dict):
                skips.add(at, "is not an object")
            elif too_deep(entry):
                skips.add(at, "is nested too deep")
            else:
                found.append((at, entry))
    return found


def _objects(
    entries: Iterable[tuple[str, Mapping[str, Any]]], names: Mapping[str, str], skips: SkipLog
) -> AttackObjects:
    parts: dict[str, dict[str, Item]] = {"techniques": {}, "mitigations": {}, "groups": {}, "software": {}}
    tactics = dict(names)
    revoked_by: list[Item] = []
    for where, entry in entries:
        kind = entry.get("type")
        if kind == "x-mitre-tactic":
            short, name = text_of(entry.get("x_mitre_shortname"), 100), text_of(entry.get("name"), 100)
            if short and name:
                tactics[short] = name
        elif kind == "relationship" and entry.get("relationship_type") == "revoked-by":
            ends = {end: entry.get(end) for end in ("source_ref", "target_ref")}
            if all(isinstance(e, str) for e in ends.values()):
                revoked_by.append(ends)
        elif kind is None and "stix_id" in entry:
            _keep(parts["techniques"], _from_line(entry), TECHNIQUE_ID, where, skips)
        elif isinstance(kind, str) and kind in _KINDS:
            part, pattern = _KINDS[kind]
            _keep(parts[part], _from_stix(entry), pattern, where, skips)
    for technique in parts["techniques"].values():
        for short in technique["tactics"]:
            tactics.setdefault(short, short.replace("-", " ").title().replace(" And ", " and "))
    return AttackObjects(
        techniques=list(parts["techniques"].values()), mitigations=list(parts["mitigations"].values()),
        groups=list(parts["groups"].values()), software=list(parts["software"].values()),
        tactics=tactics, revoked_by=revoked_by,
    )  # fmt: skip


def _keep(part: dict[str, Item], item: Item, pattern: re.Pattern[str], where: str, skips: SkipLog) -> None:
    """Keep an object; of two live ones with one id, the first."""
    retired = item["revoked"] or item["deprecated"]
    if not pattern.fullmatch(item["external_id"]):
        # Of other matrices (Mobile, ICS) and of others than MITRE there are thousands in some bundles.
        if not retired:
            skips.add(where, f"has no id of ATT&CK Enterprise that fits {pattern.pattern}")
    elif not item["name"] or not _STIX_ID.fullmatch(item["stix_id"]):
        skips.add(where, "lacks a name or a STIX id")
    elif part.setdefault(item["stix_id"] if retired else item["external_id"], item) is not item:
        skips.add(where, f"{item['external_id']} is listed twice")


def _from_stix(entry: Mapping[str, Any]) -> Item:
    references = entry.get("external_references")
    ids = [
        text_of(r.get("external_id"), 40)
        for r in (references if isinstance(references, list) else [])
        if isinstance(r, dict) and r.get("source_name") == _MATRIX
    ]
    phases = entry.get("kill_chain_phases")
    tactics = [
        text_of(p.get("phase_name"), 60)
        for p in (phases if isinstance(phases, list) else [])
        if isinstance(p, dict) and p.get("kill_chain_name") == _MATRIX
    ]
    return {
        "stix_id": text_of(entry.get("id"), 120),
        "external_id": next((i for i in ids if i), ""),
        "name": text_of(entry.get("name"), 300),
        "description": _described_as(entry),
        "tactics": [t for t in tactics if t],
        "aliases": texts_of(entry.get("aliases") or entry.get("x_mitre_aliases")),
        "revoked": bool(entry.get("revoked")),
        "deprecated": bool(entry.get("x_mitre_deprecated")),
    }


def _from_line(entry: Mapping[str, Any]) -> Item:
    return {
        "stix_id": text_of(entry.get("stix_id"), 120),
        "external_id": text_of(entry.get("id"), 40),
        "name": text_of(entry.get("name"), 300),
        "description": _described_as(entry),
        "tactics": texts_of(entry.get("tactics")),
        "revoked": bool(entry.get("revoked")),
        "deprecated": bool(entry.get("deprecated")),
    }


def _described_as(entry: Mapping[str, Any]) -> str:
    return _CITATION.sub("", text_of(entry.get("description")))


def _version(entries: Iterable[Mapping[str, Any]], fetched_at: dt.datetime) -> str:
    """The release as the bundle's collection states it, else the day of the newest change."""
    newest = None
    for entry in entries:
        if entry.get("type") == "x-mitre-collection" and (stated := text_of(entry.get("x_mitre_version"), 20)):
            return stated
        changed = moment(entry.get("modified"))
        if changed is not None and changed <= fetched_at and (newest is None or changed > newest):
            newest = changed
    return f"of {(newest or fetched_at).date().isoformat()}"
