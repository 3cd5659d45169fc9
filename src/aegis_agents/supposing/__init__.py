"""Suppositions about decided cases: what if a fact had been another, and how would it be decided now. Nothing is done.

Read changing (the incident with other facts), what_if, replaying.
"""

from aegis_agents.supposing.replaying import Replayed, replay
from aegis_agents.supposing.what_if import WhatIf, what_if

__all__ = ["Replayed", "WhatIf", "replay", "what_if"]
