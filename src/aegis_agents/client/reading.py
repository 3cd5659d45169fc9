"""What an answer means, and how much of it is read: shared by the sync and the async client (no I/O here)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from time import monotonic, time
from typing import Any, NamedTuple, Union

import httpx

from .calls import Call
from .errors import BY_CODE, BY_STATUS, AegisClientError, ServerError, Unavailable

MOST_BYTES = 64_000_000
"""Longest answer that is read; a batch may have MOST_BYTES_A_LINE more for each alert."""
MOST_BYTES_A_LINE = 256_000
LONGEST_WAIT = 30.0
"""Seconds that a retry waits at most; a server that asks for more gets its answer passed on."""
_RETRIED = frozenset({408, 429, 502, 503, 504})
_FINAL = frozenset({"connector_busy", "connector_failed", "ledger_tampered"})
"""What does not pass by being asked again: an approval that reached its connector has been given."""
_LONGEST_TEXT = 2_000


class Reply(NamedTuple):
    """An answer, read whole."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it is what was asked for."""
        return 200 <= self.status < 300


Outcome = Union[Reply, httpx.TransportError]  # noqa: UP007 - a type alias of Python 3.9


class Body:
    """Collects an answer's body, and gives up on one without end: too long, or too slow though never silent."""

    def __init__(self, response: httpx.Response, call: Call, timeout: float) -> None:
        uncompressed(response)
        self._response, self._bytes = response, bytearray()
        self._most = MOST_BYTES + call.lines * MOST_BYTES_A_LINE
        self._until = None if call.lines else monotonic() + timeout  # a batch takes its time

    def add(self, chunk: bytes) -> None:
        """The next bytes. Raises ServerError, Unavailable."""
        if len(self._bytes) + len(chunk) > self._most:
            raise ServerError(f"the answer is longer than {self._most} bytes", status=self._response.status_code)
        if self._until is not None and monotonic() > self._until:
            raise Unavailable("the answer took too long to come to its end")
        self._bytes += chunk

    def whole(self) -> Reply:
        """The answer, when it has ended."""
        response = self._response
        return Reply(response.status_code, response.reason_phrase, response.headers, bytes(self._bytes))


def uncompressed(response: httpx.Response) -> None:
    """Raises ServerError for a compressed answer: none was asked for, and it could be any length."""
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        raise ServerError(f"the answer is compressed ({coding[:40]}), which was not asked for")


def parse(reply: Reply) -> dict[str, Any]:
    """What an answer says. Raises the error that it is."""
    if not reply.ok:
        raise error_of(reply)
    return read_object(reply.body, "the answer", reply.status)


def parse_lines(reply: Reply, expected: int) -> list[dict[str, Any]]:
    """What a batch's answer says, a dict a line. Raises the error that it is, and Unavailable where lines are missing."""
    if not reply.ok:
        raise error_of(reply)
    lines = [line for line in reply.body.split(b"\n") if line.strip()]
    if len(lines) < expected:
        raise Unavailable(
            f"{len(lines)} of {expected} alerts were answered before the answer broke off",
            fix="send them again: what was decided is not decided twice",
        )
    if len(lines) > expected:
        raise ServerError(f"{len(lines)} lines answer {expected} alerts", status=reply.status)
    return [read_object(line, "a line of the answer", reply.status) for line in lines]


def read_object(raw: bytes, what: str, status: int | None = None) -> dict[str, Any]:
    """A JSON object. Raises ServerError for anything else, however deep or broken."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ServerError(f"{what} is no JSON: is this an Aegis server?", status=status) from error
    if not isinstance(value, dict):
        raise ServerError(f"{what} is no JSON object: is this an Aegis server?", status=status)
    return value


def error_of(reply: Reply) -> AegisClientError:
    """The error that an answer is (RFC 9457, problem details)."""
    otherwise = f"HTTP {reply.status} {reply.reason}"
    if 300 <= reply.status < 400:
        otherwise += ": redirects are not followed, give the server's final address as `url`"
    return problem(_problem_in(reply), reply.status, retry_after(reply), otherwise)


def problem(said: Mapping[str, Any], status: int | None, after: float | None, otherwise: str) -> AegisClientError:
    """The error that problem details describe; their text may be anybody's, so it is cut and made printable."""
    kind = BY_CODE.get(str(said.get("code")))
    kind = kind or (BY_STATUS.get(status, ServerError) if status is not None else ServerError)
    text = {k: _shown(v) for k in ("code", "field", "fix") if isinstance(v := said.get(k), str) and v}
    told = next((t for k in ("detail", "title") if isinstance(t := said.get(k), str) and t), otherwise)
    return kind(_shown(told), status=status, retry_after=after, **text)


def retry_after(reply: Reply) -> float | None:
    """Seconds that the server asks to wait (RFC 9110, 10.2.3: a number or a date)."""
    said = reply.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:20])
    try:
        until = parsedate_to_datetime(said)
        until = until if until.tzinfo else until.replace(tzinfo=timezone.utc)  # noqa: UP017 - datetime.UTC is 3.11's
        return max(0.0, until.timestamp() - time())
    except (ValueError, TypeError, OverflowError):
        return None


def wait_before(attempt: int, retries: int, outcome: Outcome) -> float | None:
    """Seconds to wait before trying again; None where that is over or no use.

    Aegis says with Retry-After which of its errors pass by themselves; what stands before it (a proxy) may not.
    """
    if attempt >= retries:
        return None
    backoff = min(LONGEST_WAIT, 0.25 * 2.0**attempt)
    if isinstance(outcome, httpx.TransportError):
        never = isinstance(outcome, (httpx.LocalProtocolError, httpx.UnsupportedProtocol))
        return None if never else backoff
    if outcome.ok:
        return None
    asked, code = retry_after(outcome), _problem_in(outcome).get("code")
    passes = outcome.status in _RETRIED or (outcome.status == 409 and code == "in_progress")
    if not passes or (isinstance(code, str) and code in _FINAL):
        return None
    if asked is None:
        return None if isinstance(code, str) else backoff
    return asked if asked <= LONGEST_WAIT else None


def unreachable(error: httpx.TransportError) -> Unavailable:
    """The error for a server that gave no answer."""
    return Unavailable(f"the server gave no answer: {_shown(str(error)) or type(error).__name__}")


def _problem_in(reply: Reply) -> dict[str, Any]:
    try:
        return read_object(reply.body, "the error")
    except ServerError:
        return {}


def _shown(text: str) -> str:
    text = text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + " ..."
    return "".join(c if c.isprintable() else " " for c in text)
