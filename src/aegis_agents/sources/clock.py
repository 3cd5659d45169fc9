"""Times as products write them, to aware datetimes in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

_ISO: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?"
    r"\s*([Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)?(?:\[[\w/+-]{1,40}\])?"
)
"""RFC 3339 and ISO 8601 as products write it; a zone's name in brackets behind its offset is Java's."""
_FIRST, _LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def from_match(match: re.Match[str]) -> datetime | None:
    """The time of an ISO 8601 match of this module's pattern; without a zone it is taken as UTC."""
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    micro = int((fraction or "0").ljust(6, "0")[:6])
    try:
        clock = (int(hour or 0), int(minute or 0), int(second or 0), micro)
        result = datetime(int(year), int(month), int(day), *clock, UTC)
        if zone and zone[0] in "+-":
            sign = -1 if zone[0] == "-" else 1
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:].lstrip(":") or 0)) * sign
            result = result.replace(tzinfo=timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return result if _FIRST <= result <= _LAST else None


def parse_time(value: object) -> datetime | None:
    """ISO 8601 text or a Unix time in seconds, milli-, micro- or nanoseconds; None if it is neither.

    None too where something stands behind it that is no zone known here: "10:00 PM" or "10:00 EST" read without it
    would be another hour.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _from_number(float(value))
    if not isinstance(value, str) or len(value) > 64:
        return None
    text = value.strip()
    match = _ISO.fullmatch(text)
    if match:
        return from_match(match)
    if re.fullmatch(r"\d{10,19}(?:\.\d{1,9})?", text):
        return _from_number(float(text))
    return None


def _from_number(number: float) -> datetime | None:
    for unit in (1e0, 1e3, 1e6, 1e9):
        seconds = number / unit
        if _FIRST.timestamp() <= seconds <= _LAST.timestamp():
            return datetime.fromtimestamp(seconds, UTC)
    return None
