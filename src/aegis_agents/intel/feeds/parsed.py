"""What a feed's format makes of its bytes: documents, and what it had to leave out, with the reason."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from aegis_agents.intel.documents import Document
from aegis_agents.intel.feeds.config import TRUST, Feed


class Blob(NamedTuple):
    """A file as it was fetched: its name (last part of the URL or path, or a path inside a folder) and content."""

    name: str
    content: bytes


class Skipped(NamedTuple):
    """An entry that is not usable: where it stands and why. The rest of the feed is."""

    where: str
    why: str


class Parsed(NamedTuple):
    """What a feed says now. `version` is its own word for the release, or the day it was fetched.

    `complete`: what the feed said before and does not say now is gone. Otherwise only `removed` (document ids) is.
    """

    version: str
    documents: list[Document]
    skipped: list[Skipped]
    complete: bool = True
    removed: tuple[str, ...] = ()


def stamp(feed: Feed, fetched_at: dt.datetime) -> dict[str, object]:
    """The fields of a Document that the feed's configuration decides, never its content."""
    return {
        "feed": feed.name, "owner": feed.publisher, "tenant": feed.tenant, "tlp": feed.tlp, "licence": feed.licence,
        "trust": TRUST[feed.trust], "fetched_at": fetched_at,
    }  # fmt: skip
