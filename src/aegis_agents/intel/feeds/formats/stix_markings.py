"""TLP in STIX objects: which marking an object carries. It only ever restricts further than the feed's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aegis_agents.intel.documents import Tlp
from aegis_agents.intel.feeds.formats.common import strictest, text_of, tlp_named

_FIXED: Mapping[str, Tlp] = {
    # TLP 1.0: STIX 2.1, section 7.2.1.4
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": "clear",
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": "green",
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": "amber",
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "red",
    # TLP 2.0: the OASIS extension for STIX 2.1
    "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": "clear",
    "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "green",
    "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": "amber",
    "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": "amber+strict",
    "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": "red",
}
"""Marking definitions whose ids the standards fix, so that feeds may leave the objects themselves out."""


class Markings:
    """The marking definitions of a feed.

    `whole`: the feed holds every object that it refers to. Then a marking that is not there means red, since nobody
    can say what it forbids. In an envelope of a TAXII collection it may have come with an earlier page; since the
    ids of TLP are fixed it is then some other kind of marking (a statement), and the feed's own TLP holds.
    """

    def __init__(self, definitions: Iterable[Mapping[str, Any]], *, whole: bool) -> None:
        self._whole = whole
        self._known: dict[str, Tlp | None] = {}
        for definition in definitions:
            key = text_of(definition.get("id"), 120)
            said = _said(definition)
            fixed = _FIXED.get(key)
            self._known[key] = strictest(fixed, *([said] if said else [])) if fixed else said

    def tlp(self, item: Mapping[str, Any], floor: Tlp) -> Tlp:
        """The strictest of `floor` and every marking of the object and of its parts. Markings of markings don't count.

        Parts (granular markings) count for the whole, since a document is shown as a whole.
        """
        refs = item.get("object_marking_refs")
        wanted = list(refs) if isinstance(refs, list) else [] if refs is None else [refs]
        granular = item.get("granular_markings")
        for part in granular if isinstance(granular, list) else []:
            if isinstance(part, dict) and part.get("marking_ref") is not None:
                wanted.append(part["marking_ref"])
        return strictest(floor, *(self._one(ref, floor) for ref in wanted))

    def _one(self, ref: object, floor: Tlp) -> Tlp:
        if isinstance(ref, str):
            if ref in self._known:
                return self._known[ref] or floor
            if ref in _FIXED:
                return _FIXED[ref]
        return "red" if self._whole else floor


def _said(definition: Mapping[str, Any]) -> Tlp | None:
    """The TLP that a definition states in any of the ways that STIX 2.0, 2.1 and the extension have."""
    found: list[Tlp] = []
    stated: list[object] = []
    if text_of(definition.get("definition_type"), 40).lower().startswith("tlp"):
        inner = definition.get("definition")
        stated.append(inner.get("tlp") if isinstance(inner, dict) else "?")
    extensions = definition.get("extensions")
    for extension in extensions.values() if isinstance(extensions, dict) else ():
        if isinstance(extension, dict) and "tlp_2_0" in extension:
            stated.append(extension["tlp_2_0"])
    for value in stated:
        # "?" is no level: red, as for anything that is said to be a TLP and is none.
        found.append(tlp_named(f"tlp:{text_of(value, 30) or '?'}") or "red")
    if (named := tlp_named(text_of(definition.get("name"), 60))) is not None:
        found.append(named)
    return strictest(found[0], *found[1:]) if found else None
