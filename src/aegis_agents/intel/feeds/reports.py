"""What a sync came to, and how a feed stands."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from aegis_agents.intel.documents import Tlp
from aegis_agents.intel.feeds.config import FeedKind, TrustLevel
from aegis_agents.records.base import Record


class SyncReport(Record):
    """What became of one feed. Counts are of documents; `error` says why it failed and what to do.

    `quarantined` wait for a person. `skipped` were not usable, `notes` gives the first reasons. `stale_seconds` is
    how old what is in use is, None if the feed never succeeded.
    """

    feed: str
    status: Literal["new", "unchanged", "failed", "removed"]
    added: int = 0
    updated: int = 0
    removed: int = 0
    quarantined: int = 0
    skipped: int = 0
    notes: tuple[str, ...] = ()
    snapshot: str = ""
    error: str = ""
    stale_seconds: float | None = None


class FeedStatus(Record):
    """How a configured feed stands. `overdue`: what is in use is older than twice the time between two syncs."""

    feed: str
    kind: FeedKind
    owner: str
    trust: TrustLevel
    tlp: Tlp
    documents: int
    quarantined: int
    version: str
    last_tried: AwareDatetime | None
    last_good: AwareDatetime | None
    stale_seconds: float | None
    overdue: bool
    error: str
    snapshot: str
