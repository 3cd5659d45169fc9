"""ATT&CK ids across releases: what a newer id is called in v18.1, and the base of a sub-technique.

The store holds v18.1; newer rules cite ids of later releases. Ids that v18.1 itself revoked are not
listed here: the package names their successors, and the store carries those as aliases.
"""

from __future__ import annotations

import re
from types import MappingProxyType

TECHNIQUE_ID = re.compile(r"T\d{4}(?:\.\d{3})?")

# Computed once: a technique of the release of May 2026 that v18.1 lacks is paired with the v18.1
# technique that bears the same name (its parent's name in front set aside), or whose first 297
# characters of description agree to at least 0.93 (difflib ratio). Pairs below that are left out.
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


def base_technique(technique: str) -> str:
    """The base technique in v18.1's terms: "t1059.001" → "T1059", "T1685.001" → "T1562".

    A newer sub-technique without a pair of its own goes by its parent's. An id
    that is in no table is only cut; whether it exists is for `Intel.is_technique`.
    """
    wanted = technique.strip().upper()
    base = wanted.partition(".")[0]
    return NEWER_TO_V18.get(wanted, NEWER_TO_V18.get(base, base)).partition(".")[0]
