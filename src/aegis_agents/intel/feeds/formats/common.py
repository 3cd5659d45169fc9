"""What the readers share: JSON and YAML within limits, text, times, TLP markings, and the list of what was left out.

Everything here takes values of any type, since a feed may hold anything where its format says "text".
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

from aegis_agents.errors import InputError, LimitExceeded
from aegis_agents.intel.documents import MAX_TEXT, TLP_ORDER, Document, Tlp, plain
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.parsed import Blob, Parsed, Skipped, stamp
from aegis_agents.intel.feeds.unpack import decode_text

MAX_SKIPPED = 1000
"""Entries of the list of what was left out; behind them stands how many more there were."""

MAX_DEPTH = 64
"""Levels of nesting of one object; no format here needs ten."""

_NOT_STATED = str(Feed.model_fields["licence"].default)
_EARLIEST = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)
_LATEST = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)
_TAG = re.compile(r"tlp\s*([:_ -])\s*(.+)", re.I | re.S)
_TLP_WORDS: dict[str, Tlp | None] = {
    "white": "clear", "clear": "clear", "green": "green", "amber": "amber", "amber+strict": "amber+strict",
    "amber-strict": "amber+strict", "amber_strict": "amber+strict", "amber strict": "amber+strict", "red": "red",
}  # fmt: skip


class SkipLog:
    """Collects what was left out, bounded."""

    def __init__(self) -> None:
        self._listed: list[Skipped] = []
        self.count = 0

    def add(self, where: str, why: str) -> None:
        """One entry that is not used: where it stands, and why."""
        self.count += 1
        if len(self._listed) < MAX_SKIPPED:
            self._listed.append(Skipped(plain(sound(where[:200])), plain(sound(why[:300]))))

    def listed(self) -> list[Skipped]:
        """The first of them, and how many more there were."""
        more = self.count - len(self._listed)
        return [*self._listed, Skipped("and more", f"{more} further entries were left out")] if more else self._listed


class Collected:
    """Documents by corpus and id. Of two with one id the later observed stays, or else the first."""

    def __init__(self, skips: SkipLog) -> None:
        self._kept: dict[tuple[str, str], Document] = {}
        self._skips = skips

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, document: Document, where: str) -> None:
        """Keep it, unless one of its id is there already that is as new."""
        key = (document.corpus, document.id)
        before = self._kept.setdefault(key, document)
        if before is document:
            return
        if before.observed_at is not None and document.observed_at is not None:
            document = document if document.observed_at > before.observed_at else before
        else:
            document = before if document.observed_at is None else document
        self._kept[key] = document
        self._skips.add(where, f"{document.id} is listed more than once: the later observed of them is kept")

    def documents(self) -> list[Document]:
        """What was kept, in the order of first appearance."""
        return list(self._kept.values())


def provenance(feed: Feed, fetched_at: dt.datetime, licence: str | None = None) -> dict[str, Any]:
    """`stamp`, with the licence that the format's publisher states where the configuration states none."""
    came: dict[str, Any] = stamp(feed, fetched_at)
    return came | {"licence": licence} if licence is not None and feed.licence == _NOT_STATED else came


def result(
    feed: Feed, version: str, collected: Collected, skips: SkipLog, *,
    complete: bool = True, removed: tuple[str, ...] = (),
) -> Parsed:  # fmt: skip
    """The Parsed of a reader. Raises InputError if a complete feed had entries and none is usable.

    Else a feed whose format changed would empty the store.
    """
    if complete and skips.count and not collected and not removed:
        first = skips.listed()[0]
        raise InputError(
            f"holds nothing usable as {feed.kind}; {first.where}: {first.why}", field=feed.name,
            fix=f"check that the feed is of kind {feed.kind}",
        )  # fmt: skip
    return Parsed(sound(plain(version[:200])), collected.documents(), skips.listed(), complete, removed)


def csv_rows(rows: Iterator[list[str]], where: Callable[[], str], skips: SkipLog) -> Iterator[list[str]]:
    """The rows of a CSV reader; one that is no CSV is skipped. `where` says where the reader stands."""
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            skips.add(where(), f"is no CSV: {error}")
            continue
        yield row


def read_json(blob: Blob) -> object:
    """The JSON value of a file. Raises InputError if it is none, LimitExceeded if it nests too deep to be read."""
    fix = "fetch it again, or check the feed's url and kind"
    try:
        return json.loads(decode_text(blob), parse_constant=_no_constant)
    except RecursionError as error:
        raise LimitExceeded("is nested too deep", field=blob.name, fix=fix) from error
    except ValueError as error:
        raise InputError(f"is not JSON: {error}", field=blob.name, fix=fix) from error


def json_items(blob: Blob, skips: SkipLog) -> Iterator[tuple[str, object]]:
    """Each element of a JSON array, each line of JSON Lines, or the one value; with where it stands.

    Raises InputError if the file is none of them; single lines that are not JSON are skipped.
    """
    # Not splitlines: U+2028 may stand inside a JSON text.
    lines = [(n, line) for n, line in enumerate(decode_text(blob).split("\n"), 1) if line.strip()]
    if len(lines) > 1 and lines[0][1].lstrip()[0] in '{["':
        try:
            json.loads(lines[0][1])
        except (ValueError, RecursionError):
            pass  # the first line is not a value of its own: one value over many lines
        else:
            yield from _each_line(blob, lines, skips)
            return
    whole = read_json(blob)
    if isinstance(whole, list):
        yield from ((f"{blob.name}[{index}]", item) for index, item in enumerate(whole))
    else:
        yield blob.name, whole


def _each_line(blob: Blob, lines: list[tuple[int, str]], skips: SkipLog) -> Iterator[tuple[str, object]]:
    for number, line in lines:
        where = f"{blob.name}:{number}"
        try:
            item = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            skips.add(where, f"is not JSON: {error}")
        else:
            yield where, item


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def too_deep(value: object, limit: int = MAX_DEPTH) -> bool:
    """Whether lists and dicts are nested deeper than `limit`; without recursion."""
    level = [value]
    for _ in range(limit + 1):
        level = [
            child
            for part in level if isinstance(part, dict | list)
            for child in (part.values() if isinstance(part, dict) else part)
        ]  # fmt: skip
        if not level:
            return False
    return True


def sound(text: str) -> str:
    """Text without lone surrogates, which JSON can hold and UTF-8 can't."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def visible(text: str) -> str:
    """Sound text without formatting characters.

    Documents have a space in place of those; inside a word it would hide the word from the screen.
    """
    text = sound(text)
    return text if text.isprintable() else "".join(c for c in text if unicodedata.category(c) != "Cf")


def text_of(value: object, limit: int = MAX_TEXT) -> str:
    """A value's prose if it is text, else ""; cut to `limit` characters."""
    return visible(value[:limit]).strip() if isinstance(value, str) else ""


def value_of(value: object, limit: int) -> str:
    """What may be an indicator, as it stands, if it is text, else ""."""
    return sound(value[:limit]).strip() if isinstance(value, str) else ""


def texts_of(value: object, limit: int = 50) -> list[str]:
    """The texts of a list (or of a single text), at most `limit` of 500 characters each."""
    several = value if isinstance(value, list) else [value]
    return [text for item in several[:limit] if (text := text_of(item, 500))]


def moment(value: object) -> dt.datetime | None:
    """A time in ISO 8601, as a date, or in seconds since 1970; in UTC. None if it is none or absurd.

    Without a time zone it is taken as UTC.
    """
    if isinstance(value, str):
        value = value.strip()[:40]
        if re.fullmatch(r"\d{9,11}(\.\d+)?", value):
            value = float(value)
    try:
        if isinstance(value, str):
            read = dt.datetime.fromisoformat(value)
            read = read.replace(tzinfo=dt.UTC) if read.tzinfo is None else read.astimezone(dt.UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            read = dt.datetime.fromtimestamp(value, dt.UTC)
        elif isinstance(value, dt.datetime):
            read = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
        elif isinstance(value, dt.date):
            read = dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return read if _EARLIEST <= read <= _LATEST else None


def observed(value: object, fetched_at: dt.datetime) -> dt.datetime | None:
    """When something was last seen. Not after it was fetched: a date to come would make it count for ever."""
    read = moment(value)
    return None if read is None else min(read, fetched_at)


def strictest(first: Tlp, *others: Tlp) -> Tlp:
    """The most restricted of several."""
    return max((first, *others), key=TLP_ORDER.index)


def tlp_named(text: str) -> Tlp | None:
    """The marking that a tag or name states ("tlp:amber", "TLP:WHITE"), None if it is about something else.

    A TLP that does not exist restricts to red: whoever wrote it meant to restrict something.
    """
    found = _TAG.fullmatch(text.strip()[:60])
    if found is None:
        return None
    return _TLP_WORDS.get(found[2].strip().lower(), "red" if found[1] == ":" else None)


def attempt(make: Callable[[], Document], where: str, skips: SkipLog) -> Document | None:
    """The document, or None and an entry in the list if its fields don't fit."""
    try:
        return make()
    except ValueError as error:  # pydantic's ValidationError is one
        skips.add(where, f"does not fit a document: {error}")
        return None
