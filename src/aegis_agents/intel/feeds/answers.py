"""What a server answered: which statuses mean what, whether a second part fits the first, and a body within limits."""

from __future__ import annotations

import datetime as dt
import email.utils
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aegis_agents.errors import InputError, IntelError, LimitExceeded
from aegis_agents.intel.feeds.parts import Arrived, Part
from aegis_agents.intel.feeds.unpack import Inflater

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which trying again may help."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GZIP = ("gzip", "x-gzip")
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class Answer(NamedTuple):
    """Status, header (names in lower case) and decoded body; the body is empty unless the status is 200."""

    status: int
    headers: Mapping[str, str]
    content: bytes = b""


class Refused(IntelError):
    """The server said no, and asking again will not help. `status` is its answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Transient(IntelError):
    """It failed and may work later. `status` is 0 if the connection failed; `after` what Retry-After asks, seconds."""

    def __init__(self, message: str, *, status: int = 0, after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.after = status, after


class Anew(Transient):
    """What had arrived is of no use any more: fetch it from the beginning, at once."""


def judge(name: str, where: str, status: int, headers: Mapping[str, str]) -> None:
    """Nothing for a status that has something to read. Raises Transient or Refused for all others."""
    if status in TRANSIENT:
        after = retry_after(headers.get("retry-after", ""), dt.datetime.now(dt.UTC))
        raise Transient(f"feed {name}: url: {where} answered {status}", status=status, after=after)
    if status in (200, 206, 304) or status in REDIRECTS:
        return
    fix = {401: "check username and password, or token", 403: "check username and password, or token"}
    raise Refused(f"feed {name}: url: {where} answered {status} ({fix.get(status, 'check the url')})", status)


def retry_after(value: str, now: dt.datetime) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3); None if it says nothing sensible."""
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) < 10:
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=dt.UTC)
    return max(0.0, (when - now).total_seconds())


def fits(headers: Mapping[str, str], arrived: Arrived) -> bool:
    """Whether a 206 goes on exactly where `arrived` ends, of the same version of the file, to its end."""
    found = _RANGE.fullmatch(headers.get("content-range", "").strip())
    if found is None or headers.get("etag", "") != arrived.etag:
        return False
    first, last, total = (int(number) for number in found.groups())
    same = headers.get("content-encoding", "").strip().lower() == arrived.encoding
    return same and first == len(arrived.content) and last == total - 1


def read_body(
    name: str, headers: Mapping[str, str], chunks: Iterable[bytes], *, max_bytes: int, part: Part | None,
    arrived: Arrived | None = None,
) -> bytes:  # fmt: skip
    """A body, inflated if it came as gzip; what comes over the wire and what it inflates to are both bounded.

    `arrived` is the beginning that an earlier attempt left. Raises LimitExceeded as soon as it is too big, IntelError
    if its end could not be told from a broken connection.
    """
    encoding = headers.get("content-encoding", "").strip().lower()
    length = _length(headers.get("content-length", ""))
    if encoding not in ("", "identity", *_GZIP):
        raise IntelError(f"feed {name}: url: the content coding {encoding[:40]!r} was not asked for (check the server)")
    chunked = "chunked" in headers.get("transfer-encoding", "").lower()
    if length is None and not chunked and encoding not in _GZIP:
        message = "the server does not say how long its answer is, so that half of it would pass for the whole"
        raise IntelError(f"feed {name}: url: {message} (let it send Content-Length)")
    begun = arrived.content if arrived is not None else b""
    if length is not None and length + len(begun) > max_bytes:
        raise _too_big(name, max_bytes)
    if part is not None:
        part.begin(headers.get("etag", ""), encoding, begun)
    inflater = Inflater(f"feed {name}", max_bytes=max_bytes) if encoding in _GZIP else None
    taken, out = len(begun), [inflater.feed(begun) if inflater else begun] if begun else []
    for chunk in chunks:  # what is raised here (the deadline) leaves the part, to go on from
        taken += len(chunk)
        try:
            if taken > max_bytes:
                raise _too_big(name, max_bytes)
            if part is not None:
                part.append(chunk)
            out.append(inflater.feed(chunk) if inflater else chunk)
        except InputError:  # too big or damaged: going on from here would only find the same
            if part is not None:
                part.discard()
            raise
    if inflater:
        inflater.finish()
    return b"".join(out)


def _length(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None


def _too_big(name: str, max_bytes: int) -> LimitExceeded:
    return LimitExceeded(
        f"bigger than the {max_bytes:,} bytes that were still allowed", field=f"feed {name}: url",
        fix="raise max_bytes of the feed",
    )  # fmt: skip
