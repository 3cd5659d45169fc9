"""Server-sent events (WHATWG HTML, 9.2) out of the bytes of an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .errors import ServerError, Unavailable
from .reading import problem

MOST_EVENT_BYTES = 16_000_000
_LINE_COSTS = 64  # what Python takes for a line however short
# Only these end a line: str.splitlines would also break at characters that may stand within JSON.
_LINE_END = re.compile(rb"\r\n|\n|\r")


class EventReader:
    """Reads (event, data) out of chunks of bytes, the data as JSON. `last` is the event without which a stream is cut off."""

    def __init__(self, last: str) -> None:
        self._last, self._complete = last, False
        self._rest: list[bytes] = []
        self._name, self._data = "message", list[bytes]()
        self._held = self._kept = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[str, Any]]:
        """The events that these bytes complete. Raises the error that an `error` event is, and ServerError."""
        self._held += len(chunk)
        if self._held > MOST_EVENT_BYTES:
            raise ServerError(f"an event of the answer is longer than {MOST_EVENT_BYTES} bytes")
        self._rest.append(chunk)
        if b"\n" not in chunk and b"\r" not in chunk:
            return
        text = b"".join(self._rest)
        half = 1 if text.endswith(b"\r") else 0  # may be the first half of "\r\n"
        *lines, rest = _LINE_END.split(text[: len(text) - half])
        self._rest = [rest + b"\r" * half]
        for line in lines:
            event = self._line(line)
            if event is not None:
                yield event
        self._held = self._kept + len(self._rest[0])

    def end(self) -> None:
        """The stream is over. Raises Unavailable if it ended before its last event."""
        if not self._complete:
            raise Unavailable("the answer broke off before its end")

    def _line(self, line: bytes) -> tuple[str, Any] | None:
        if line:
            field, _, value = line.partition(b":")
            value = value[1:] if value.startswith(b" ") else value
            if field.lstrip(b"\xef\xbb\xbf") == b"event":
                self._name = value.decode("utf-8", "replace")
            elif field == b"data":
                self._data.append(value)
                self._kept += len(value) + _LINE_COSTS
            return None
        name, data = self._name, self._data
        self._name, self._data, self._kept = "message", [], 0
        return self._event(name, data) if data else None

    def _event(self, name: str, data: list[bytes]) -> tuple[str, Any]:
        try:
            value = json.loads(b"\n".join(data).decode())
        except (ValueError, RecursionError) as error:
            raise ServerError("an event of the answer is no JSON") from error
        if name == "error":
            said: dict[str, Any] = value if isinstance(value, dict) else {}
            status = said.get("status")
            raise problem(said, status if isinstance(status, int) else None, None, "the server failed in the middle")
        self._complete = self._complete or name == self._last
        return name, value
