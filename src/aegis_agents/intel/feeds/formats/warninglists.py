"""MISP warning lists: what is no indicator even where a feed says so (resolvers, content networks, big sites).

Read are lists of networks, of host names, and of whole values. Lists of parts of values and of regular expressions
are not: each would be tried against every value, and an expression can be written so that trying it takes for ever.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

from aegis_agents.errors import LimitExceeded
from aegis_agents.intel.documents import Document, plain
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.formats.common import (
    Collected,
    SkipLog,
    provenance,
    read_json,
    result,
    text_of,
    texts_of,
    value_of,
)  # fmt: skip
from aegis_agents.intel.feeds.formats.indicator_documents import find_indicator
from aegis_agents.intel.feeds.parsed import Blob, Parsed
from aegis_agents.intel.indicators import Indicator

WARNINGLIST_LICENCE = "CC0-1.0"
MAX_ENTRIES = 2_000_000

_BROADEST = {4: 4, 6: 3}
"""Shortest prefix by IP version: 240.0.0.0/4 is reserved as a whole; what is shorter would excuse nearly everything."""

_LEFT_OUT = {
    "substring": "matches parts of values, which would be tried against every value",
    "regex": "holds regular expressions, which can be written so that they take for ever",
}


def read(blobs: Sequence[Blob], feed: Feed, *, fetched_at: dt.datetime) -> Parsed:
    """One document for each entry of the lists that can be looked up exactly."""
    skips = SkipLog()
    collected = Collected(skips)
    came = provenance(feed, fetched_at, WARNINGLIST_LICENCE)
    versions = [0]
    count = 0
    for blob in blobs:
        value = read_json(blob)
        name = text_of(value.get("name"), 200) if isinstance(value, dict) else ""
        if not isinstance(value, dict) or not name or not isinstance(value.get("list"), list):
            skips.add(blob.name, "is no warning list: it lacks a name or a list")
            continue
        version, kind = value.get("version"), text_of(value.get("type"), 20)
        if isinstance(version, int) and 0 < version < 10**12:
            versions.append(version)
        if kind not in ("cidr", "hostname", "string"):
            skips.add(blob.name, f"{name}: type {kind!r} {_LEFT_OUT.get(kind, 'is not known')}")
            continue
        about = _about(value, name)
        count += len(value["list"])
        if count > MAX_ENTRIES:
            raise LimitExceeded(f"more than {MAX_ENTRIES:,} entries", field=feed.name, fix="leave lists out")
        for index, item in enumerate(value["list"]):
            where = f"{blob.name}: list[{index}]"
            found = _entry(value_of(item, 2100), kind)
            if isinstance(found, str):
                skips.add(where, f"{text_of(item, 60)!r} {found}")
            else:
                collected.put(_document(found, kind, about, came), where)
    return result(feed, str(max(versions)), collected, skips)


def _about(value: Mapping[str, Any], name: str) -> tuple[str, str, str]:
    """Title, slug and text of a list, which its entries share."""
    title = plain(name)
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "list"
    applies = ", ".join(texts_of(value.get("matching_attributes"), 30))
    return title, slug, plain(f"On the warning list {name}. {text_of(value.get('description'), 400)} Types: {applies}.")


def _entry(text: str, kind: str) -> Indicator | str:
    """The value in its one form, or why it is not usable."""
    if kind == "hostname":
        text = text.removeprefix("*.").removeprefix(".")
    found = find_indicator(text)
    if found is None:
        return "is no value that can be looked up"
    if kind == "cidr" and found.kind not in ("ip", "net"):
        return "is no network"
    if kind == "hostname" and found.kind not in ("domain", "ip"):
        return "is no host name"
    if found.kind in ("ip", "net"):
        network = ipaddress.ip_network(found.value)
        if network.prefixlen < _BROADEST[network.version]:
            return "would excuse nearly every address"
        return Indicator("net", str(network))
    return found


def _document(found: Indicator, kind: str, about: tuple[str, str, str], came: Mapping[str, Any]) -> Document:
    title, slug, text = about
    # Of a list of host names, an entry also stands for everything below it; of a list of values, for itself.
    if found.kind == "net" or (kind == "hostname" and found.kind == "domain"):
        alias = f"warn:{found.key}"
    else:
        alias = f"warn:exact:{found.key}"
    # Built without validation like indicators: the big lists have a million entries.
    return Document.model_construct(
        corpus="warning", id=f"{came['feed']}/{slug}/{found.key}", title=title, text=f"{found.key}: {text}",
        aliases=(alias,), **came,
    )  # fmt: skip
