"""What feeds say of the addresses, names and hashes that an alert holds, and how far that moves the verdict."""

from __future__ import annotations

import datetime as dt

from aegis_agents.context import Context
from aegis_agents.intel.indicators import Indicator, read_indicator
from aegis_agents.intel.trust import QuorumPolicy, join, matches
from aegis_agents.records import Assessment, Incident, Passage
from aegis_agents.records.incident import EntityKind, EntityRole

_ROLES: tuple[EntityRole, ...] = ("actor", "peer", "subject", "observed")
"""In the order in which they are looked up: what prose names comes last, so that decoys push out nothing."""
LOOKED_UP: frozenset[EntityKind] = frozenset({"ip", "domain", "url", "hash", "email"})
MAX_INDICATORS = 64
"""Entities of one alert that are looked up: a list of thousands is a report and no alert."""
MAX_PASSAGES = 8
"""Passages that an alert takes in; all of them count for the verdict."""


def indicators_of(incident: Incident) -> list[Indicator]:
    """The alert's own entities as indicators, each once, by role: who acted, what was met, what it is about, what is named."""
    asked = sorted((e for e in incident.entities if e.kind in LOOKED_UP), key=lambda e: _ROLES.index(e.role))
    return list(dict.fromkeys(i for e in asked if (i := read_indicator(e.value)) is not None))


def consult(
    context: Context, incident: Incident, assessment: Assessment, now: dt.datetime
) -> tuple[Assessment, list[Passage], tuple[str, ...]]:
    """The assessment with what feeds established, the passages that list what the alert holds, and notes.

    A quorum moves it, towards attack alone and within `indicator_strength` (see `intel.trust.quorum`).
    """
    if context.intel is None or not (asked := indicators_of(incident)):
        return assessment, [], ()
    left = len(asked) - MAX_INDICATORS
    unasked = (f"{left} indicators of this alert were not looked up: {MAX_INDICATORS} are",) if left > 0 else ()
    times = context.feed_times()._asdict()
    hits = [m.passage for m in matches(asked[:MAX_INDICATORS], context.intel.lookup, now, **times)]
    hits = list({(p.source, p.id): p for p in hits}.values())
    if not hits:
        return assessment, [], unasked
    moved, notes = join(assessment, hits, now=now, policy=QuorumPolicy(most=context.indicator_strength), **times)
    return moved, sorted(hits, key=lambda p: (-p.trust, p.id))[:MAX_PASSAGES], (*notes, *unasked)
