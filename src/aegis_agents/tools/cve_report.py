"""What is known of one vulnerability: whether it is exploited (KEV), and how likely it will be (EPSS)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from aegis_agents.records import Passage

if TYPE_CHECKING:
    from aegis_agents.intel import Intel


def cve_passages(intel: Intel, cve: str) -> list[Passage]:
    """CISA's entry first if there is one, then EPSS scores of every feed that has one."""
    exploited = intel.cve(cve)
    return ([exploited] if exploited else []) + intel.lookup([cve.strip().upper()], ("epss",))


def cve_note(cve: str, sources: Collection[str]) -> str:
    """What must not be read into an absence; "" where both catalogues answered."""
    notes = []
    if "kev" not in sources:
        notes.append(
            f"{cve.upper()} is not in this copy of the KEV catalogue; that does not mean that it is not exploited"
        )
    if "epss" not in sources:
        notes.append("no EPSS score of it is synced")
    return "; ".join(notes)
