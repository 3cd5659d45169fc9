"""STIX 2.0 and 2.1, as bundles or as envelopes of a TAXII collection: indicators, and reports of what they mean.

Read `stix_patterns` and `stix_markings` first. Indicators are checked by hand, since stix2 takes 0.9 ms for each and
feeds have tens of thousands; what becomes a report is validated by stix2. References are looked up once and never
followed, so that it does not matter whether they run in circles.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aegis_agents.errors import InputError, LimitExceeded
from aegis_agents.intel.documents import Document, Tlp
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.formats.common import (
    Collected,
    SkipLog,
    moment,
    observed,
    provenance,
    read_json,
    result,
    strictest,
    text_of,
    texts_of,
    too_deep,
)  # fmt: skip
from aegis_agents.intel.feeds.formats.indicator_documents import indicator_document, percent
from aegis_agents.intel.feeds.formats.stix_markings import Markings
from aegis_agents.intel.feeds.formats.stix_patterns import PatternReader, Unusable
from aegis_agents.intel.feeds.formats.stix_reports import REPORTS, report_document
from aegis_agents.intel.feeds.parsed import Blob, Parsed

MAX_OBJECTS = 1_000_000
_STIX_ID = re.compile(r"([a-z][a-z0-9-]{2,40})--[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_AHEAD = dt.timedelta(days=1)
"""How far ahead the publisher's clock may be: what is left out as yet to come is read again only when the feed says
something new."""
_LONG_AGO = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)

Item = Mapping[str, Any]


class _Reading(NamedTuple):
    """What the parts of one read share."""

    came: dict[str, Any]
    fetched_at: dt.datetime
    markings: Markings
    related: Mapping[str, list[tuple[Tlp, str]]]
    patterns: PatternReader
    skips: SkipLog
    collected: Collected


def read(blobs: Sequence[Blob], feed: Feed, *, fetched_at: dt.datetime) -> Parsed:
    """Indicators with their validity, and reports under their STIX ids; revoked ones in `removed`.

    Complete for bundles, not for envelopes ({"objects": [...]} without a type), which hold what is new.
    Raises InputError for what is neither.
    """
    skips = SkipLog()
    items, whole = _items(blobs, feed, skips)
    markings = Markings((i for i in items.values() if i["type"] == "marking-definition"), whole=whole)
    reading = _Reading(
        came=provenance(feed, fetched_at), fetched_at=fetched_at, markings=markings, patterns=PatternReader(),
        related=_related(items, markings, feed.tlp), skips=skips, collected=Collected(skips),
    )  # fmt: skip
    removed: dict[str, None] = {}
    for key, item in items.items():
        if item["type"] == "indicator":
            removed.update(dict.fromkeys(_indicator(key, item, reading)))
        elif item["type"] in REPORTS:
            if _revoked(item):
                removed[f"{feed.name}/{key}"] = None
            else:
                _report(key, item, reading)
    kept = {d.id for d in reading.collected.documents()}
    changes = [t for i in items.values() if (t := _changed(i)) <= fetched_at and t > _LONG_AGO]
    version = f"of {max(changes, default=fetched_at).isoformat(timespec='seconds')}"
    gone = tuple(r for r in removed if r not in kept)
    return result(feed, version, reading.collected, skips, complete=whole, removed=gone)


def _items(blobs: Sequence[Blob], feed: Feed, skips: SkipLog) -> tuple[dict[str, Item], bool]:
    """The newest version of each object by id, and whether they are everything that the feed says."""
    items: dict[str, Item] = {}
    whole = feed.kind != "taxii"
    for blob in blobs:
        value = read_json(blob)
        if isinstance(value, dict) and value.get("type") not in (None, "bundle"):
            value = {"type": "bundle", "objects": [value]}  # a single object
        if isinstance(value, list):
            value = {"type": "bundle", "objects": value}
        objects = value.get("objects", []) if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(objects, list) or not ({"type", "objects"} & set(value)):
            if value == {} and feed.kind == "taxii":
                continue  # an envelope without news
            raise InputError(
                "is neither a STIX bundle nor a TAXII envelope", field=blob.name, fix="check the feed's url and kind"
            )
        whole = whole and value.get("type") == "bundle"
        if len(items) + len(objects) > MAX_OBJECTS:
            raise LimitExceeded(f"more than {MAX_OBJECTS:,} objects", field=feed.name, fix="split the feed")
        for index, item in enumerate(objects):
            _keep_newest(items, item, f"{blob.name}: objects[{index}]", skips)
    return items, whole


def _keep_newest(items: dict[str, Item], item: object, where: str, skips: SkipLog) -> None:
    if not isinstance(item, dict):
        skips.add(where, "is not an object")
        return
    key = item.get("id")
    match = _STIX_ID.fullmatch(key) if isinstance(key, str) else None
    if match is None or match[1] != item.get("type"):
        skips.add(where, "its id is missing, or not of its type")
    elif too_deep(item):
        skips.add(where, f"{key}: is nested too deep")
    else:
        before = items.setdefault(match[0], item)
        if before is not item and before != item:
            older: Item = item
            if _changed(item) > _changed(before):
                items[match[0]], older = item, before
            if _changed(older) == _changed(items[match[0]]):
                skips.add(where, f"{key}: another object has the same id and time of change")


def _changed(item: Item) -> dt.datetime:
    return moment(item.get("modified")) or moment(item.get("created")) or _LONG_AGO


def _revoked(item: Item) -> bool:
    """Whether it is taken back; anything but a plain no counts as yes."""
    return item.get("revoked") not in (None, False)


def _related(items: Mapping[str, Item], markings: Markings, floor: Tlp) -> dict[str, list[tuple[Tlp, str]]]:
    """What each object is related to, as words ("indicates Example Stealer"), and who may read them.

    One step, at most ten for each. The words tell the target's name, so its marking counts as the relationship's does.
    """
    related: dict[str, list[tuple[Tlp, str]]] = {}
    for item in items.values():
        if item["type"] != "relationship" or _revoked(item):
            continue
        source, target = item.get("source_ref"), item.get("target_ref")
        known = items.get(target) if isinstance(target, str) else None
        if not isinstance(source, str) or known is None or not (name := text_of(known.get("name"), 120)):
            continue
        words = related.setdefault(source, [])
        if len(words) < 10:
            tlp = strictest(markings.tlp(item, floor), markings.tlp(known, floor))
            words.append((tlp, f"{text_of(item.get('relationship_type'), 40).replace('-', ' ')} {name}"))
    return related


def _readable(key: str, tlp: Tlp, reading: _Reading) -> list[str]:
    """What an object is related to, as far as whoever may read a document of this TLP may know it."""
    return [words for marked, words in reading.related.get(key, ()) if strictest(marked, tlp) == tlp]


def _indicator(key: str, item: Item, reading: _Reading) -> list[str]:
    """Collect the documents of a live indicator; answers the document ids that a revoked one takes back."""
    skips = reading.skips
    if item.get("pattern_type", "stix") != "stix":
        skips.add(key, f"its pattern is {text_of(item['pattern_type'], 20) or 'of unknown type'}, not STIX")
        return []
    try:
        found = reading.patterns.values(item["pattern"] if isinstance(item.get("pattern"), str) else "")
    except Unusable as error:
        skips.add(key, str(error))
        return []
    if _revoked(item):
        return [f"{reading.came['feed']}/{f.key}" for f in found]
    start, until = moment(item.get("valid_from") or item.get("created")), moment(item.get("valid_until"))
    if start is None:
        skips.add(key, "valid_from is missing or no time")
    elif item.get("valid_until") is not None and (until is None or until <= start):
        skips.add(key, "valid_until is no time behind valid_from")
    elif start > reading.fetched_at + _AHEAD:
        skips.add(key, f"is valid from {start.date().isoformat()} only")
    else:
        tlp = reading.markings.tlp(item, reading.came["tlp"])
        said = _said(item, _readable(key, tlp, reading))
        for each in found:
            document = indicator_document(
                each, reading.came, said=said, tlp=tlp, confidence=percent(item.get("confidence")),
                tags=[*texts_of(item.get("indicator_types"), 10), *texts_of(item.get("labels"), 10)],
                observed_at=min(start, reading.fetched_at), valid_until=until, aliases=(key,),
            )  # fmt: skip
            reading.collected.put(document, key)
    return []


def _said(item: Item, related: Sequence[str]) -> list[str]:
    phases = item.get("kill_chain_phases")
    steps = (
        [text_of(p.get("phase_name"), 60) for p in phases if isinstance(p, dict)] if isinstance(phases, list) else []
    )
    words = [text_of(item.get("name"), 200), text_of(item.get("description"), 400)]
    words += [f"Kill chain: {', '.join(steps[:10])}."] if any(steps) else []
    return words + [f"It {relation}." for relation in related[:3]]


def _report(key: str, item: Item, reading: _Reading) -> None:
    tlp = reading.markings.tlp(item, reading.came["tlp"])
    seen = observed(item.get("modified") or item.get("created"), reading.fetched_at)
    made: Document | str = report_document(
        key, item, reading.came | {"tlp": tlp}, related=_readable(key, tlp, reading), observed_at=seen
    )
    if isinstance(made, str):
        reading.skips.add(key, made)
    else:
        reading.collected.put(made, key)
