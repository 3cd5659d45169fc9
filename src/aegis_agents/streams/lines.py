"""Bytes that come in pieces, as lines: none is given before it is whole, and none grows beyond what it may have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from aegis_agents.streams.stream import SHOWN_BYTES


class Line(NamedTuple):
    """A line without its end."""

    text: bytes
    """The whole line, or, where it was too long, its beginning."""
    end: int
    """Offset behind it and its newline."""
    length: int
    """Of the whole line."""
    too_long: bool


class Lines:
    """Splits what is fed into lines of at most `most` bytes; `offset` is where the first byte fed stands."""

    def __init__(self, most: int, offset: int = 0) -> None:
        self._most = most
        self._rest = bytearray()
        self._cut = 0
        """Bytes of the line that were let go, of one that is too long."""
        self.at = offset
        """Offset of the next byte to be fed."""

    @property
    def pending(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._rest) or bool(self._cut)

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The lines that end in this chunk."""
        begin = 0
        while (newline := chunk.find(b"\n", begin)) >= 0:
            yield self._ended(chunk[begin:newline], self.at + newline + 1)
            begin = newline + 1
        self._keep(chunk[begin:])
        self.at += len(chunk)

    def end(self) -> Iterator[Line]:
        """The last line, where nothing more will come and it has no newline."""
        if self.pending:
            yield self._ended(b"", self.at)

    def _keep(self, piece: bytes) -> None:
        self._rest += piece
        if len(self._rest) + self._cut > self._most:
            self._cut += max(0, len(self._rest) - SHOWN_BYTES)
            del self._rest[SHOWN_BYTES:]

    def _ended(self, piece: bytes, end: int) -> Line:
        length = len(self._rest) + self._cut + len(piece)
        if self._rest or self._cut:
            self._keep(piece)
            piece = bytes(self._rest)
        line = Line(piece, end, length, length > self._most)
        self._rest.clear()
        self._cut = 0
        return line if not line.too_long else line._replace(text=line.text[:SHOWN_BYTES])
