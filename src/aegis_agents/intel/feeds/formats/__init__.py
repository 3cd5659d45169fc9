"""The formats: what each kind of feed looks like, and how it becomes documents.

Read `common` first, then `lists` (the plainest), `stix`, `misp`; the rest is like them. Every reader takes files that
are unpacked and bounded, and raises InputError only; what a feed says never decides who may see it or how far it is
trusted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Protocol

from aegis_agents.intel.feeds.config import Feed, FeedKind
from aegis_agents.intel.feeds.formats import (
    attack_stix,
    epss,
    kev,
    lists,
    misp,
    own_documents,
    react,
    sigma,
    stix,
    warninglists,
)
from aegis_agents.intel.feeds.parsed import Blob, Parsed


class Reader(Protocol):
    """Reads the files of one feed."""

    def __call__(self, blobs: Sequence[Blob], feed: Feed, *, fetched_at: dt.datetime) -> Parsed:
        """What they say. Raises InputError if they are not of the feed's kind."""
        ...


READERS: Mapping[FeedKind, Reader] = {
    "attack": attack_stix.read,
    "kev": kev.read,
    "epss": epss.read,
    "stix": stix.read,
    "taxii": stix.read,
    "misp": misp.read,
    "warninglist": warninglists.read,
    "sigma": sigma.read,
    "react": react.read,
    "indicators": lists.read,
    "documents": own_documents.read,
}
"""Kind of feed → its reader."""


def read(blobs: Sequence[Blob], feed: Feed, *, fetched_at: dt.datetime) -> Parsed:
    """What a feed's files say, by its kind.

    Raises InputError (naming file and fix) for what is not of that kind, LimitExceeded for what is too big or deep,
    IntelError if the library that reads it is not installed.
    """
    return READERS[feed.kind](blobs, feed, fetched_at=fetched_at)
