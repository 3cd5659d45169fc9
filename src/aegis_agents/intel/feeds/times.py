"""What the age of an indicator without a date is measured by: when its feed was last read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from aegis_agents.intel.feeds.state import FeedState

WHOLE = "whole"
"""The count under which a state says that the feed names all that it lists each time (1), or only what is new (0)."""


def listed_at(states: Iterable[FeedState]) -> dict[str, dt.datetime]:
    """When each feed was last read that names all it lists each time (see `trust.age.is_current`)."""
    return {s.name: s.last_good for s in states if s.last_good is not None and s.counts.get(WHOLE)}
