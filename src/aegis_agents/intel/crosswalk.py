"""ATT&CK ids across releases: what an id of one is called in another, and the base of a sub-technique.

The package ships v18.1; newer rules cite ids of later releases, and a synced store holds a later release while
the model still answers with ids of v18.1. Ids that a release itself revoked are not listed here: it names their
successors, and the store carries those as aliases.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

TECHNIQUE_ID = re.compile(r"T\d{4}(?:\.\d{3})?", re.ASCII)

SAME_TEXT = 0.93
"""How far two descriptions agree (difflib's ratio) that belong to one technique."""

COMPARED = 297
"""Characters of a description that are compared: the package cuts behind them."""

# Computed once with `paired` below: a technique of the release of May 2026 that v18.1 lacks is paired
# with the v18.1 technique that bears the same name (its parent's name in front set aside), or whose first
# 297 characters of description agree to at least 0.93 (difflib ratio). Pairs below that are left out.
NEWER_TO_V18 = MappingProxyType({
    "T1684.001": "T1656",
    "T1684.002": "T1672",
    "T1685": "T1562.001",
    "T1685.002": "T1562.008",
    "T1685.004": "T1562.012",
    "T1685.005": "T1070.001",
    "T1685.006": "T1070.002",
    "T1686": "T1562.004",
    "T1688": "T1562.009",
    "T1689": "T1562.010",
    "T1690": "T1562.003",
})  # fmt: skip
"""Id in a later release → id in v18.1."""

V18_TO_NEWER = MappingProxyType({old: new for new, old in NEWER_TO_V18.items()})
"""Id in v18.1 → id in a later release, where they differ."""


class Described(NamedTuple):
    """What a technique is recognised by."""

    name: str
    description: str


def base_technique(technique: str) -> str:
    """The base technique in v18.1's terms: "t1059.001" → "T1059", "T1685.001" → "T1562".

    A newer sub-technique without a pair of its own goes by its parent's. An id
    that is in no table is only cut; whether it exists is for `Intel.is_technique`.
    """
    wanted = technique.strip().upper()
    base = wanted.partition(".")[0]
    return NEWER_TO_V18.get(wanted, NEWER_TO_V18.get(base, base)).partition(".")[0]


def resolve(technique: str, names: Mapping[str, str]) -> str | None:
    """The id that a store knows a technique by, None if it knows none.

    `names` is every id and alias of the store, in upper case → id (`View.technique_names`). What is in
    there counts first; the table of v18.1 and later, read both ways, only for what is not.
    """
    wanted = technique.strip().upper()
    for known_as in (wanted, NEWER_TO_V18.get(wanted), V18_TO_NEWER.get(wanted)):
        if known_as is not None and known_as in names:
            return names[known_as]
    return None


def paired(old: Mapping[str, Described], new: Mapping[str, Described]) -> dict[str, str]:
    """Old id → new id of techniques that one release has and the other lacks, by name or else by description.

    Names are compared without the parent's in front. A name that two techniques bear pairs nothing. Descriptions
    agree to at least `SAME_TEXT` in their first `COMPARED` characters.
    """
    lost = {i: d for i, d in old.items() if i not in new}
    come = {i: d for i, d in new.items() if i not in old}
    by_name: dict[str, list[str]] = {}
    for technique, described in come.items():
        by_name.setdefault(_own_name(described.name), []).append(technique)
    pairs: dict[str, str] = {}
    for technique, described in lost.items():
        same = by_name.get(_own_name(described.name), [])
        found = same[0] if len(same) == 1 else _same_text(described, come)
        if found is not None:
            pairs[technique] = found
    return pairs


def _own_name(name: str) -> str:
    return name.rpartition(": ")[2].strip().casefold()


def _same_text(described: Described, come: Mapping[str, Described]) -> str | None:
    from difflib import SequenceMatcher

    best, score = None, SAME_TEXT
    if not described.description:
        return None
    matcher = SequenceMatcher(b=described.description[:COMPARED], autojunk=False)
    for technique, other in come.items():
        matcher.set_seq1(other.description[:COMPARED])
        # The two quick ratios are upper bounds: most candidates are out before the slow one.
        if min(matcher.real_quick_ratio(), matcher.quick_ratio()) >= score and matcher.ratio() >= score:
            best, score = technique, matcher.ratio()
    return best
