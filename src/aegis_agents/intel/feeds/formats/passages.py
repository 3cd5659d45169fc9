"""Cutting a text into passages of some 900 characters, at headings, paragraphs, or else sentences and words.

900 characters are about what the encoder reads of a passage (256 tokens).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

LENGTH = 900
"""Characters of a passage at most."""

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.{1,300}?)[ \t]*#*[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_FRONT = re.compile(r"\A---[ \t]*\n(?:.*\n){0,200}?(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_HTML = re.compile(r"<(?:[a-zA-Z/!?])")
_LINK = re.compile(r"!?\[([^\[\]]{0,300})\]\([^()\s]{0,2000}(?:\s+\"[^\"]{0,300}\")?\)")
_TAG = re.compile(r"<(!--|[/!?]?[a-zA-Z][a-zA-Z0-9]{0,30}|[/!?])")
_MAX_TAG = 2000
"""Characters of a tag; a longer one is text."""

_UNREAD = frozenset({"script", "style", "template", "noscript", "head"})
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


class Passage(NamedTuple):
    """A piece of a document; the title is the path of headings that it stands under."""

    title: str
    text: str


def markdown(text: str, name: str) -> Iterator[Passage]:
    """The passages of a Markdown text. Front matter is left out, HTML becomes its text, links their words.

    `name` begins every title.
    """
    text = _FRONT.sub("", text.replace("\r\n", "\n"), count=1)
    trail: list[tuple[int, str]] = []
    paragraphs: list[str] = []
    lines: list[str] = []
    fence = ""

    def title() -> str:
        return " > ".join([name, *(heading for _, heading in trail)])

    for line in text.split("\n"):
        marks = _FENCE.match(line)
        if marks and (not fence or (marks[1].startswith(fence) and not line.strip().strip(fence[0]))):
            fence = "" if fence else marks[1]
            continue
        heading = None if fence else _HEADING.fullmatch(line)
        if heading is None and (line.strip() or fence):
            lines.append(line if fence else _plain_line(line))
            continue
        paragraphs.append("\n".join(lines))
        lines = []
        if heading is not None:
            yield from (Passage(title(), piece) for piece in cut(_without_html(paragraphs)))
            paragraphs = []
            level = len(heading[1])
            trail = [*(t for t in trail if t[0] < level), (level, _strip_html(_plain_line(heading[2])))]
    paragraphs.append("\n".join(lines))
    yield from (Passage(title(), piece) for piece in cut(_without_html(paragraphs)))


def cut(paragraphs: Iterable[str], length: int = LENGTH) -> Iterator[str]:
    """Paragraphs joined to pieces of at most `length` characters; a longer paragraph is cut at sentences or words."""
    held = ""
    for paragraph in paragraphs:
        for part in _short(" ".join(paragraph.split()), length):
            if held and len(held) + 1 + len(part) > length:
                yield held
                held = ""
            held = f"{held} {part}" if held else part
    if held:
        yield held


def _short(text: str, length: int) -> Iterator[str]:
    if len(text) <= length:
        if text:
            yield text
        return
    for sentence in _SENTENCE.split(text):
        start = 0
        while len(sentence) - start > length:
            # Behind the last space inside, or, if there is none, in the middle of a word.
            end = sentence.rfind(" ", start + 1, start + length + 1)
            end = end if end > start else start + length
            yield sentence[start:end].strip()
            start = end
        if rest := sentence[start:].strip():
            yield rest


def _plain_line(line: str) -> str:
    return _LINK.sub(r"\1", line)


def _without_html(paragraphs: Iterable[str]) -> Iterator[str]:
    """Paragraphs without tags. Scripts may span several, so all are read as one."""
    several = list(paragraphs)
    if not any(_HTML.search(p) for p in several):
        yield from several
    else:
        yield from _strip_html("\n\n".join(several)).split("\n\n")


def _strip_html(text: str) -> str:
    """Text without tags, comments, scripts; what is begun and never closed is text.

    By hand: html.parser looks for the end of every tag anew, which took 38 s for 60 KB of "<a " (Python 3.11).
    Every search here is bounded or is not repeated once it has failed.
    """
    if not _HTML.search(text):
        return text
    lower = text.lower() if len(text.lower()) == len(text) else text
    words: list[str] = []
    unclosed: set[str] = set()
    at = 0
    while (start := text.find("<", at)) >= 0:
        words.append(text[at:start])
        found = _TAG.match(text, start)
        end = _end(lower, start, found, unclosed) if found else -1
        words.append("<" if end < 0 else " ")
        at = start + 1 if end < 0 else end
    return html.unescape("".join([*words, text[at:]]))


def _end(lower: str, start: int, found: re.Match[str], unclosed: set[str]) -> int:
    """Where a comment, a script or a tag that begins at `start` is over, -1 if it is not closed."""
    name = found[1].lower()
    closer = "-->" if name == "!--" else f"</{name}" if name in _UNREAD else ""
    if closer:
        end = -1 if closer in unclosed else lower.find(closer, start + len(name))
        if end < 0:
            unclosed.add(closer)
        elif name == "!--":
            return end + len(closer)
        start = max(start, end)
    return lower.find(">", start, start + _MAX_TAG) + 1 or -1
