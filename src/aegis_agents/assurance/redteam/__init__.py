"""The red team: attacks on Aegis under the user's own settings, in a place that is thrown away.

Read in this order: attempt (what is answered), ground (where it happens), cases and planting (with what),
one module a kind of attack (fields, targets, approvals, limits, trail, knowledge, loads, leaving), run, text.
"""

from aegis_agents.assurance.redteam.attempt import Attempt, Report, Suite
from aegis_agents.assurance.redteam.run import SUITES, attack

__all__ = ["SUITES", "Attempt", "Report", "Suite", "attack"]
