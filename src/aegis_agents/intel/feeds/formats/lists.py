"""Indicator lists as people publish them: plain lines, hosts files, CSV with a header, JSON; defanged or not."""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aegis_agents.errors import InputError, LimitExceeded
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.formats.common import (
    Collected,
    SkipLog,
    csv_rows,
    json_items,
    moment,
    observed,
    provenance,
    result,
    texts_of,
    value_of,
)  # fmt: skip
from aegis_agents.intel.feeds.formats.indicator_documents import find_indicator, indicator_document, percent
from aegis_agents.intel.feeds.parsed import Blob, Parsed
from aegis_agents.intel.feeds.unpack import decode_text
from aegis_agents.intel.indicators import Indicator

MAX_ENTRIES = 1_000_000
"""Entries of one feed; beyond it the memory for its documents matters (some 1.2 GB a million)."""

_COLUMNS: Mapping[str, frozenset[str]] = {
    "value": frozenset(
        [
            "indicator",
            "indicators",
            "ioc",
            "ioc_value",
            "value",
            "observable",
            "ip",
            "ips",
            "ip_address",
            "ipaddress",
            "ipv4",
            "ipv6",
            "src_ip",
            "dst_ip",
            "dest_ip",
            "address",
            "cidr",
            "network",
            "netblock",
            "prefix",
            "domain",
            "domains",
            "domain_name",
            "host",
            "hostname",
            "fqdn",
            "url",
            "urls",
            "uri",
            "email",
            "hash",
            "sha256",
            "sha256_hash",
            "sha1",
            "sha1_hash",
            "md5",
            "md5_hash",
        ]
    ),
    "confidence": frozenset(["confidence", "confidence_level"]),
    "first_seen": frozenset(
        ["first_seen", "firstseen", "first_seen_utc", "dateadded", "date_added", "date_first_seen"]
    ),
    "last_seen": frozenset(
        ["last_seen", "lastseen", "last_seen_utc", "last_online", "date_last_seen", "date", "listingdate"]
    ),
    "valid_until": frozenset(["valid_until", "expires", "expiration", "expiration_date"]),
    "tags": frozenset(["tags", "tag", "labels", "malware", "malware_printable", "threat", "threat_type", "category"]),
    "said": frozenset(["description", "comment", "comments", "note", "notes", "reason"]),
}
_WHAT = {name: what for what, names in _COLUMNS.items() for name in names}
_JSON = re.compile(r"\s*(?:\{|\[\s*[\"{\[\]])")
_INLINE = re.compile(r"\s[#;]")
_FIRST = re.compile(r"[\s,;|\t]")
_WITH_PORT = re.compile(r"([^\s/:]+):\d{1,5}")
_NOWHERE = frozenset({"0.0.0.0", "127.0.0.1", "::", "::1"})  # noqa: S104 - hosts files send names there
_OWN_NAMES = frozenset({"localhost", "localhost.localdomain", "local", "broadcasthost", "0.0.0.0"})  # noqa: S104


class Entry(NamedTuple):
    """One value, where it stands, and what stands beside it under known names."""

    where: str
    value: str
    beside: Mapping[str, Any] = {}


def read(blobs: Sequence[Blob], feed: Feed, *, fetched_at: dt.datetime) -> Parsed:
    """Every value that is an indicator. Raises InputError if a file is empty or none of its entries is one."""
    skips = SkipLog()
    collected = Collected(skips)
    came = provenance(feed, fetched_at)
    count = 0
    for blob in blobs:
        for where, value, beside in _entries(blob, skips):
            count += 1
            if count > MAX_ENTRIES:
                raise LimitExceeded(f"more than {MAX_ENTRIES:,} entries", field=feed.name, fix="split the feed")
            found = _find(value)
            if found is None:
                skips.add(where, f"{value[:60]!r} is no indicator")
                continue
            until = beside.get("valid_until")
            if until and moment(until) is None:
                skips.add(where, f"{found.key}: can't read until when it is valid")
                continue
            collected.put(
                indicator_document(
                    found, came, said=texts_of(beside.get("said"), 3), tags=texts_of(beside.get("tags"), 20),
                    confidence=percent(beside.get("confidence")),
                    first_seen=observed(beside.get("first_seen"), fetched_at), valid_until=moment(until),
                    observed_at=observed(beside.get("last_seen") or beside.get("first_seen"), fetched_at),
                ),
                where,
            )  # fmt: skip
    return result(feed, f"of {fetched_at.date().isoformat()}", collected, skips)


def _find(value: str) -> Indicator | None:
    value = value.strip().strip("\"'`")
    found = find_indicator(value)
    if found is None and (with_port := _WITH_PORT.fullmatch(value)):
        return find_indicator(with_port[1])  # "203.0.113.7:443": the address is what is looked up
    return found


def _entries(blob: Blob, skips: SkipLog) -> Iterator[Entry]:
    text = decode_text(blob)
    if not text.strip():
        raise InputError("is empty", field=blob.name, fix="an empty list has at least a comment in it")
    if blob.name.lower().endswith((".json", ".jsonl", ".ndjson")) or _JSON.match(text):
        yield from _from_json(blob, skips)
        return
    lines = text.splitlines()
    start, delimiter, columns = _header(lines)
    if "value" in columns.values():
        yield from _from_csv(lines, start, delimiter, columns, blob.name, skips)
    else:
        yield from _from_lines(lines, blob.name)


def _from_json(blob: Blob, skips: SkipLog) -> Iterator[Entry]:
    for where, value in json_items(blob, skips):
        several: Iterable[tuple[str, object]] = [(where, value)]
        if isinstance(value, dict) and not any(_column(k) == "value" for k in value):
            # {"data": [...]}, or {"id": [...], "id": [...]}: the lists one level down
            lists = [(k, v) for k, v in value.items() if isinstance(v, list)]
            if not lists:
                skips.add(where, "has no field that is known to hold an indicator")
            several = [(f"{where}.{k[:40]}[{n}]", item) for k, v in lists for n, item in enumerate(v)]
        for at, item in several:
            if isinstance(item, str):
                yield Entry(at, item)
            elif isinstance(item, dict):
                beside = {what: v for k, v in item.items() if (what := _column(k)) not in (None, "value")}
                found = [text for k, v in item.items() if _column(k) == "value" and (text := value_of(v, 4096))]
                if not found:
                    skips.add(at, "has no field that is known to hold an indicator")
                yield from (Entry(at, text, beside) for text in found)
            else:
                skips.add(at, "is neither text nor an object")


def _from_csv(
    lines: list[str], start: int, delimiter: str, columns: Mapping[int, str], name: str, skips: SkipLog
) -> Iterator[Entry]:
    data = [
        (n, line) for n, line in enumerate(lines[start:], start + 1) if line.strip() and line.lstrip()[0] not in "#"
    ]
    rows = csv.reader((line for _, line in data), delimiter=delimiter, skipinitialspace=True)
    for row in csv_rows(rows, lambda: f"{name}:{data[rows.line_num - 1][0]}", skips):
        where = f"{name}:{data[rows.line_num - 1][0]}"
        cells = {what: row[n] for n, what in columns.items() if what != "value" and n < len(row) and row[n].strip()}
        values = [row[n] for n, what in columns.items() if what == "value" and n < len(row) and row[n].strip()]
        if not values:
            skips.add(where, "has nothing in the columns of values")
        yield from (Entry(where, value, cells) for value in values)


def _header(lines: Sequence[str]) -> tuple[int, str, dict[int, str]]:
    """Where the data begin, the delimiter, and what each known column is; no columns if there is no header.

    Some publishers comment their header out.
    """
    best: tuple[int, str, dict[int, str]] = (0, ",", {})
    for number, line in enumerate(lines[:200]):
        commented = line.lstrip().startswith(("#", ";"))
        names = line.lstrip().lstrip("#; ")
        for delimiter in ",;\t":
            fields = [f.strip().strip('"').strip() for f in names.split(delimiter)]
            columns = {n: what for n, field in enumerate(fields) if (what := _column(field)) is not None}
            # Alone, a word such as "domain" is a header only where it is no comment.
            if "value" in columns.values() and (len(fields) > 1 or not commented):
                best = (number + 1, delimiter, columns)
                break
        if line.strip() and not commented:
            break  # the first line of data
    return best


def _column(name: str) -> str | None:
    return _WHAT.get(name.strip().lower().replace(" ", "_").replace("-", "_")) if len(name) <= 40 else None


def _from_lines(lines: Sequence[str], name: str) -> Iterator[Entry]:
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        where = f"{name}:{number}"
        text = _INLINE.split(text, maxsplit=1)[0].strip()
        parts = text.split()
        if len(parts) > 1 and parts[0] in _NOWHERE:
            yield from (Entry(where, host) for host in parts[1:] if host.lower() not in _OWN_NAMES)
        else:
            # "evil [.] example" is one value, "evil.example,malware" a value and a remark.
            alone = not _FIRST.search(text) or _find(text) is not None
            yield Entry(where, text if alone else _FIRST.split(text, maxsplit=1)[0])
