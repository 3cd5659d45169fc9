"""What feeds say of the addresses, names and hashes that an alert holds, and how far that moves the verdict."""

from __future__ import annotations

import datetime as dt

from aegis_agents.context import Context
from aegis_agents.intel.indicators import Indicator, read_indicator
from aegis_agents.intel.trust import QuorumPolicy, join, matches
from aegis_agents.records import Assessment, Incident, Passage
from aegis_agents.records.incident import EntityKind

LOOKED_UP: frozenset[EntityKind] = frozenset({"ip", "domain", "url", "hash", "email"})
MAX_INDICATORS = 64
"""Entities of one alert that are looked up: a list of thousands is a report and no alert."""
MAX_PASSAGES = 8
"""Passages that an alert takes in; all of them count for the verdict."""


def indicators_of(incident: Incident) -> list[Indicator]:
    """The alert's own entities as indicators, each once, at most 64."""
    found = (read_indicator(e.value) for e in incident.entities if e.kind in LOOKED_UP)
    return list(dict.fromkeys(i for i in found if i is not None))[:MAX_INDICATORS]


def consult(
    context: Context, incident: Incident, assessment: Assessment, now: dt.datetime
) -> tuple[Assessment, list[Passage], tuple[str, ...]]:
    """The assessment with what feeds established, the passages that list what the alert holds, and notes.

    A quorum moves it, towards attack alone and within `indicator_strength` (see `intel.trust.quorum`).
    """
    if context.intel is None or not (asked := indicators_of(incident)):
        return assessment, [], ()
    times = context.feed_times()._asdict()
    hits = [m.passage for m in matches(asked, context.intel.lookup, now, **times)]
    hits = list({(p.source, p.id): p for p in hits}.values())
    if not hits:
        return assessment, [], ()
    moved, notes = join(assessment, hits, now=now, policy=QuorumPolicy(most=context.indicator_strength), **times)
    return moved, sorted(hits, key=lambda p: (-p.trust, p.id))[:MAX_PASSAGES], notes
