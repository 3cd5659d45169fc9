"""How far a passage is believed: screening at ingest, quarantine, quorum, age, warning lists.

Read in this order: policy (settings and what is asked of the store; known answers it
from an open Intel and is imported by itself, since it needs the facade), screen (the order of the checks) and
the checks (injection, plausible, outliers, contradiction), quarantine; then what a look-up does with an
indicator: warnings, age, matches, quorum.
"""

from aegis_agents.intel.trust.age import AgePolicy, is_current
from aegis_agents.intel.trust.matches import Match, matches
from aegis_agents.intel.trust.policy import KnownPassages, Quarantined, Screened, ScreenPolicy
from aegis_agents.intel.trust.quarantine import Held, Quarantine
from aegis_agents.intel.trust.quorum import Quorum, QuorumPolicy, join, weigh
from aegis_agents.intel.trust.screen import screen
from aegis_agents.intel.trust.warnings import warned

__all__ = [
    "AgePolicy", "Held", "KnownPassages", "Match", "Quarantine", "Quarantined", "Quorum", "QuorumPolicy",
    "ScreenPolicy", "Screened", "is_current", "join", "matches", "screen", "warned", "weigh",
]  # fmt: skip
