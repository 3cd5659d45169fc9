"""Indicators and warning-list entries as documents. There may be millions, so they are built without validation.

`Document.model_construct` takes 12 µs where `Document` takes 30; every field is checked here, or was written by us.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Any

from aegis_agents.intel.documents import Document, Tlp, plain
from aegis_agents.intel.indicators import Indicator, read_indicator

_SPACES = re.compile(" {2,}")

MAX_SAID = 600
"""Characters of what a feed says about an indicator. It is shown, never searched."""


def find_indicator(value: str) -> Indicator | None:
    """`read_indicator`, but nothing that holds control or formatting characters: ids are not shown cleaned."""
    # One space is as good as a thousand: looking for defanged dots takes the square of their number.
    return read_indicator(_SPACES.sub(" ", value)) if value.isprintable() else None


def indicator_document(
    found: Indicator, came: Mapping[str, Any], *,
    said: Iterable[str] = (), tags: Iterable[str] = (), confidence: int | None = None,
    first_seen: dt.datetime | None = None, observed_at: dt.datetime | None = None,
    valid_until: dt.datetime | None = None, aliases: Iterable[str] = (), tlp: Tlp | None = None,
) -> Document:  # fmt: skip
    """One value that a feed lists. `came` is its provenance, `said` the feed's own words on it."""
    parts = [f"{found.kind} {found.value}, listed by {came['feed']}."]
    if confidence is not None:
        parts.append(f"Confidence {confidence} of 100.")
    if first_seen is not None:
        parts.append(f"First seen {first_seen.date().isoformat()}.")
    if observed_at is not None:
        parts.append(f"Last seen {observed_at.date().isoformat()}.")
    if tagged := ", ".join(t for t in tags if t):
        parts.append(f"Tags: {plain(tagged[:MAX_SAID])}.")
    if words := " ".join(s for s in said if s):
        parts.append(plain(words[:MAX_SAID]))
    document = Document.model_construct(
        corpus="indicator", id=f"{came['feed']}/{found.key}", title=f"{found.kind} {found.value}",
        text=" ".join(parts), aliases=(found.key, *dict.fromkeys(aliases)), observed_at=observed_at,
        valid_until=valid_until, **came,
    )  # fmt: skip
    return document if tlp is None or tlp == document.tlp else document.model_copy(update={"tlp": tlp})


def percent(value: object) -> int | None:
    """A confidence from 0 to 100, None if it is none."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) <= 6:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= 100 else None
