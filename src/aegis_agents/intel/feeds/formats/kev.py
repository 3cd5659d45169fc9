"""CISA's KEV catalogue from a feed: what `intel/kev.py` reads, but a bad entry costs itself only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from aegis_agents.errors import InputError
from aegis_agents.intel.documents import KEV_LICENCE
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.formats.common import Collected, SkipLog, provenance, read_json, result, sound
from aegis_agents.intel.feeds.parsed import Blob, Parsed
from aegis_agents.intel.kev import kev_catalogue, kev_document


def read(blobs: Sequence[Blob], feed: Feed, *, fetched_at: dt.datetime) -> Parsed:
    """One document for each exploited vulnerability, under its CVE id. Raises InputError for what is no catalogue."""
    skips = SkipLog()
    collected = Collected(skips)
    came = provenance(feed, fetched_at, KEV_LICENCE)
    versions = []
    for blob in blobs:
        catalogue = kev_catalogue(read_json(blob), blob.name)
        versions.append(sound(catalogue["catalogVersion"]))
        for index, item in enumerate(catalogue["vulnerabilities"]):
            where = f"{blob.name}: vulnerabilities[{index}]"
            try:
                document = kev_document(item, where)
            except (InputError, ValueError) as error:  # pydantic's refusal of lone surrogates is a ValueError
                skips.add(where, str(error))
            else:
                collected.put(document.model_copy(update=came), where)
    return result(feed, max(versions, default=fetched_at.date().isoformat()), collected, skips)
