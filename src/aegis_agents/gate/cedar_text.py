"""Cedar text taken apart into single policies, so that an error can name its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_PIECE = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|;|[^";/]+|.', re.DOTALL)


class Statement(NamedTuple):
    """One policy and the 1-based line on which it starts."""

    line: int
    text: str


def statements(text: str) -> Iterator[Statement]:
    """The policies of a text. Semicolons in strings and comments end nothing; what is left over counts as one."""
    parts: list[str] = []
    line, start = 1, 0
    for match in _PIECE.finditer(text):
        piece = match.group()
        if piece.startswith("//"):
            continue
        if not start and piece.strip():
            start = line + piece[: len(piece) - len(piece.lstrip())].count("\n")
        parts.append(piece)
        line += piece.count("\n")
        if piece == ";":
            yield Statement(start, "".join(parts).strip())
            parts, start = [], 0
    if start:
        yield Statement(start, "".join(parts).strip())
