"""Exact excerpts of passages: whole sentences as they stand there, markup and footnotes left out."""

from __future__ import annotations

import re

from aegis_agents.records import Passage

_LINK = re.compile(r"\[([^\]\[]{1,200})\]\((?:https?://|/)[^)\s]{1,500}\)")
_FOOTNOTE = re.compile(r"\(Citation: [^)]{1,300}\)")
_END = re.compile(r"(?<=[.!?])(?:\s+)(?=[A-Z\"“(\[0-9])")
_READ = 6_000
"""Characters of a passage that are read: its beginning says what it is."""
_SPACE = re.compile(r"\s+")
_ABBREVIATED = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|No|Inc|approx)|\b[A-Z])\.$")


def plain(text: str) -> str:
    """The text on one line, links reduced to their words, footnotes and what can't be printed left out."""
    text = _FOOTNOTE.sub("", _LINK.sub(r"\1", text))
    return _SPACE.sub(" ", "".join(c if c.isprintable() else " " for c in text)).strip()


def sentences(passage: Passage, most: int = 12) -> list[str]:
    """The whole sentences of a passage; one that was cut off by its publisher ("...") is left out, unless it is all."""
    cut = len(passage.text) > _READ
    text = plain(passage.text[:_READ])
    lead = f"{plain(passage.title)}. "
    text = text.removeprefix(lead) or text
    parts: list[str] = []
    for part in _END.split(text):
        if parts and _ABBREVIATED.search(parts[-1][-12:]):
            parts[-1] = f"{parts[-1]} {part}"
        else:
            parts.append(part)
    parts = parts[:-1] if cut and len(parts) > 1 else parts
    whole = [p for p in parts if p and not p.endswith(("...", "…"))]
    return (whole or parts)[:most]
