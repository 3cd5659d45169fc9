"""A TCP stream of syslog as messages: RFC 6587, octet counting ("5 <1>ab") and newlines, told apart message by message."""

from __future__ import annotations

import re
from typing import NamedTuple

from aegis_agents.streams.stream import SHOWN_BYTES

_COUNT = re.compile(rb"([1-9][0-9]{0,8}) (?=<)")
_MAYBE_COUNT = re.compile(rb"[1-9][0-9]{0,8} ?")


class Frame(NamedTuple):
    """One message; with `length` over what it may have, its beginning alone."""

    data: bytes
    length: int


class Framer:
    """Fed with what comes, it gives messages; none has more than `most` bytes. What it holds is bounded by that."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rest = bytearray()
        self._want = 0
        """Bytes that a counted message still has, which is too long: they are let go."""
        self._cut = 0
        """Bytes let go of a message that ends with a newline, and is too long."""
        self._beginning = b""
        """Its beginning."""
        self._searched = 0
        """So much of what waits has no newline: it is not searched again."""

    @property
    def pending(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._rest or self._cut or self._want)

    def feed(self, chunk: bytes) -> list[Frame]:
        """The messages that end in this chunk."""
        frames: list[Frame] = []
        if self._want:
            gone = min(self._want, len(chunk))
            self._want -= gone
            chunk = chunk[gone:]
        self._rest += chunk
        at = 0
        while at < len(self._rest):
            step = self._next(at, frames)
            if step == 0:
                break
            at += step
        del self._rest[:at]
        self._searched = max(0, self._searched - at)
        return frames

    def end(self) -> list[Frame]:
        """What has come of a last message that nobody ended."""
        frames = []
        if self._rest or self._cut:
            data = self._beginning if self._cut else bytes(self._rest)
            frames.append(_frame(data, len(self._rest) + self._cut, self._most))
        self._rest.clear()
        self._cut = self._want = self._searched = 0
        return frames

    def _next(self, at: int, frames: list[Frame]) -> int:
        """Take one message; answers how many bytes were used, 0 if more must come first."""
        rest = self._rest
        if not self._cut:
            counted = _COUNT.match(rest, at, at + 12)
            if counted:
                return self._counted(at, counted.end() - at, int(counted[1]), frames)
            if len(rest) - at < 11 and _MAYBE_COUNT.fullmatch(rest, at):
                return 0
        newline = rest.find(b"\n", max(at, self._searched))
        if newline >= 0:
            length = newline - at + self._cut
            data = (
                self._beginning
                if self._cut
                else bytes(rest[at : newline if length <= self._most else min(newline, at + SHOWN_BYTES)])
            )
            self._cut = 0
            if length:
                frames.append(_frame(data, length, self._most))
            return newline - at + 1
        waiting = len(rest) - at
        if self._cut or waiting > self._most:
            if not self._cut:
                self._beginning = bytes(rest[at : at + SHOWN_BYTES])
            self._cut += waiting
            return waiting
        self._searched = len(rest)
        return 0

    def _counted(self, at: int, head: int, length: int, frames: list[Frame]) -> int:
        there = len(self._rest) - at - head
        begin = at + head
        if there >= length:
            frames.append(_frame(bytes(self._rest[begin : begin + length]), length, self._most))
            return head + length
        if length <= self._most:
            return 0
        if there < min(SHOWN_BYTES, length):
            return 0
        frames.append(_frame(bytes(self._rest[begin : begin + SHOWN_BYTES]), length, self._most))
        self._want = length - there
        return head + there


def _frame(data: bytes, length: int, most: int) -> Frame:
    return Frame(data if length <= most else data[:SHOWN_BYTES], length)
