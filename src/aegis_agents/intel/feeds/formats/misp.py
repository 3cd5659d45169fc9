"""MISP events: a feed's manifest and event files, or events as they are exported.

Attributes that are meant for detection (to_ids) become indicators, an event's prose becomes a report. pymisp says
which types and categories there are and what they default to; it gets an attribute's type, category, value and
to_ids only, since with a sample's data it would unpack archives.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from aegis_agents.errors import InputError, IntelError, LimitExceeded
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
    tlp_named,
    too_deep,
    value_of,
)  # fmt: skip
from aegis_agents.intel.feeds.formats.indicator_documents import find_indicator, indicator_document
from aegis_agents.intel.feeds.parsed import Blob, Parsed

if TYPE_CHECKING:
    from pymisp import MISPAttribute

MAX_ATTRIBUTES = 1_000_000

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ADDRESS, _NAME, _MAIL = ("ip", "net"), ("domain",), ("email",)
_TYPES: Mapping[str, tuple[tuple[str, ...] | None, ...]] = {
    "ip-src": (_ADDRESS,), "ip-dst": (_ADDRESS,), "ip-src|port": (_ADDRESS, None), "ip-dst|port": (_ADDRESS, None),
    "domain": (_NAME,), "hostname": (_NAME,), "hostname|port": (_NAME, None), "domain|ip": (_NAME, _ADDRESS),
    "url": (("url",),), "email": (_MAIL,), "email-src": (_MAIL,),
    "md5": (("md5",),), "sha1": (("sha1",),), "sha256": (("sha256",),),
    "filename|md5": (None, ("md5",)), "filename|sha1": (None, ("sha1",)), "filename|sha256": (None, ("sha256",)),
    "malware-sample": (None, ("md5",)),
}  # fmt: skip
"""Type → for each of its parts ("|"), the kinds of indicator that it may be; None for parts that are not used."""


class _Event(NamedTuple):
    """An event that is being read. `known` reads every attribute: making another takes longer than reading one."""

    key: str
    item: Mapping[str, Any]
    came: dict[str, Any]
    tlp: Tlp
    fetched_at: dt.datetime
    known: MISPAttribute


def read(blobs: Sequence[Blob], feed: Feed, *, fetched_at: dt.datetime) -> Parsed:
    """Indicators and one report for each event. Raises InputError for what is neither a manifest nor events."""
    try:
        from pymisp import MISPAttribute
    except ImportError as error:
        raise IntelError(f'{error.name} is not installed: pip install "aegis-soc-agents[feeds]"') from error
    known, came = MISPAttribute(), provenance(feed, fetched_at)
    skips = SkipLog()
    collected = Collected(skips)
    stamps: list[dt.datetime] = []
    listed: set[str] = set()
    seen: set[str] = set()
    count = 0
    for blob in blobs:
        value = read_json(blob)
        if blob.name.rpartition("/")[2] == "manifest.json" and isinstance(value, dict):
            listed.update(key.lower() for key in value if _UUID.fullmatch(key.lower()))
            continue
        for where, item in _events(value, blob.name, skips):
            event = _begin(item, where, came, fetched_at, known, skips)
            if event is None:
                continue
            if event.key in seen:
                skips.add(where, f"event {event.key} is there twice")
                continue
            seen.add(event.key)
            changed = moment(item.get("timestamp"))
            stamps += [changed] if changed is not None and changed <= fetched_at else []
            remarks: list[str] = []
            for at, attribute in _attributes(event, skips):
                count += 1
                if count > MAX_ATTRIBUTES:
                    raise LimitExceeded(f"more than {MAX_ATTRIBUTES:,} attributes", field=feed.name, fix="split it")
                remarks += _attribute(event, attribute, at, collected, skips)
            collected.put(_report(event, remarks), where)
    for key in sorted(listed - seen):
        skips.add(f"{key}.json", "the manifest names this event, but it is not there or not usable")
    version = f"of {max(stamps, default=fetched_at).isoformat(timespec='seconds')}"
    return result(feed, version, collected, skips)


def _events(value: object, name: str, skips: SkipLog) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Events in any of the shapes that MISP exports; raises InputError if it is none."""
    several = value["response"] if isinstance(value, dict) and isinstance(value.get("response"), list) else value
    for index, item in enumerate(several if isinstance(several, list) else [several]):
        where = f"{name}[{index}]" if isinstance(several, list) else name
        inner = item.get("Event", item) if isinstance(item, dict) else None
        if not isinstance(inner, dict) or "info" not in inner:
            if not isinstance(several, list):
                raise InputError("is no MISP event", field=name, fix="check the feed's url and kind")
            skips.add(where, "is no MISP event")
        elif too_deep(inner):
            skips.add(where, "is nested too deep")
        else:
            yield where, inner


def _begin(
    item: Mapping[str, Any],
    where: str,
    came: dict[str, Any],
    fetched_at: dt.datetime,
    known: MISPAttribute,
    skips: SkipLog,
) -> _Event | None:
    key = text_of(item.get("uuid"), 60).lower()
    if not _UUID.fullmatch(key):
        skips.add(where, "the event has no uuid")
        return None
    if item.get("deleted") is True:
        skips.add(where, f"event {key} is deleted")
        return None
    return _Event(key, item, came, _tlp(item, came["tlp"]), fetched_at, known)


def _attributes(event: _Event, skips: SkipLog) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The event's attributes and those of its objects."""
    groups: list[tuple[str, object]] = [(event.key, event.item.get("Attribute"))]
    objects = event.item.get("Object")
    for index, item in enumerate(objects if isinstance(objects, list) else []):
        if isinstance(item, dict) and not item.get("deleted"):
            groups.append((f"{event.key}: Object[{index}]", item.get("Attribute")))
    for where, group in groups:
        for index, attribute in enumerate(group if isinstance(group, list) else []):
            if isinstance(attribute, dict):
                yield f"{where}: Attribute[{index}]", attribute
            else:
                skips.add(f"{where}: Attribute[{index}]", "is not an object")


def _attribute(
    event: _Event, item: Mapping[str, Any], where: str, collected: Collected, skips: SkipLog
) -> list[str]:  # fmt: skip
    """Collect an attribute's indicators; answers its comment, if whoever may read the event may read it too."""
    tlp = _tlp(item, event.tlp)
    comment = text_of(item.get("comment"), 500)
    why = _not_meant(item, event.known)
    if why is not None:
        skips.add(where, why)
    parts = _TYPES.get(text_of(item.get("type"), 60)) if why is None else None
    if parts is not None:
        values = value_of(item.get("value"), 4096).rsplit("|", len(parts) - 1)
        seen = observed(item.get("last_seen"), event.fetched_at) or observed(item.get("timestamp"), event.fetched_at)
        for value, kinds in zip(values, parts, strict=False):
            found = find_indicator(value) if kinds is not None else None
            if kinds is None:
                continue
            if found is None or found.kind not in kinds:
                skips.add(where, f"{value[:60]!r} is no {' or '.join(kinds)}")
                continue
            document = indicator_document(
                found, event.came, said=(text_of(event.item.get("info"), 200), comment),
                tags=_tags(item) + _tags(event.item), tlp=tlp, aliases=(event.key,),
                first_seen=observed(item.get("first_seen"), event.fetched_at),
                observed_at=seen or observed(event.item.get("date"), event.fetched_at),
            )  # fmt: skip
            collected.put(document, where)
    return [comment] if comment and tlp == event.tlp and not item.get("deleted") else []


def _not_meant(item: Mapping[str, Any], known: MISPAttribute) -> str | None:
    """Why an attribute is not for detection, None if it is."""
    from pymisp import PyMISPError

    if item.get("deleted") in (True, 1, "1"):
        return "is deleted"
    scores = item.get("decay_score")
    decayed = [s.get("decayed") for s in scores if isinstance(s, dict)] if isinstance(scores, list) else []
    if decayed and all(d is True for d in decayed):
        return "has decayed"
    if text_of(item.get("type"), 60) not in _TYPES:
        return f"type {text_of(item.get('type'), 60)!r} is not looked up"
    if text_of(str(item.get("to_ids")), 10).lower() not in ("true", "false", "1", "0", "none"):
        return "to_ids is neither true nor false"  # pymisp takes any text for true
    fields = {name: item[name] for name in ("type", "category", "value", "to_ids") if name in item}
    try:
        known.from_dict(**fields)
    # What pymisp raises for values of a wrong type is not documented.
    except (PyMISPError, ValueError, TypeError, KeyError, AttributeError) as error:
        return f"is no MISP attribute: {error}"
    return None if known.to_ids else "is not meant for detection (to_ids)"


def _tags(item: Mapping[str, Any]) -> list[str]:
    tags = item.get("Tag")
    names = [text_of(t.get("name"), 120) for t in tags[:100] if isinstance(t, dict)] if isinstance(tags, list) else []
    return [n for n in names if n]


def _tlp(item: Mapping[str, Any], floor: Tlp) -> Tlp:
    return strictest(floor, *(named for tag in _tags(item) if (named := tlp_named(tag)) is not None))


def _report(event: _Event, remarks: Sequence[str]) -> Document:
    item = event.item
    info = text_of(item.get("info"), 500) or "Event without a title"
    parts = [f"MISP event: {info}."]
    if tags := [t for t in _tags(item) if tlp_named(t) is None]:
        parts.append(f"Tags: {', '.join(tags[:40])}.")
    reports = item.get("EventReport")
    for report in reports if isinstance(reports, list) else []:
        if isinstance(report, dict) and not report.get("deleted"):
            parts.append(f"{text_of(report.get('name'), 200)}: {text_of(report.get('content'))}")
    parts += list(dict.fromkeys(remarks))[:100]
    seen = observed(item.get("date"), event.fetched_at) or observed(item.get("timestamp"), event.fetched_at)
    return Document(
        corpus="report", id=f"{event.came['feed']}/{event.key}", title=info, text=" ".join(parts),
        aliases=(event.key,), observed_at=seen, **(event.came | {"tlp": event.tlp}),
    )  # fmt: skip
