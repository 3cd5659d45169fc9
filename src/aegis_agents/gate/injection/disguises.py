"""Spellings that a person still reads, or that a model undoes: spaced, dotted, reversed, rotated, in digits, struck out.

Undoing them for every field would cost as much as all else, and would find words where none are. So a spelling is
looked at only where one of a few telling words appears once it is undone, and did not before.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final

_TELLING: Final = (
    "ignore", "disregard", "instruction", "verdict", "benign", "classif", "assistant", "system prompt", "false positive",
    "harmless", "forget", "directive", "triage", "approved", "allow list",
)  # fmt: skip
_SPACED = re.compile(r"(?:[^\W_]([ ._*-])(?: {0,2}\1)?){5,}[^\W_]")
_GAP = re.compile(r"([ ._*-])(?: {0,2}\1)?")
_MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u1dc0-\u1dff\u20d0-\u20ff]")
_LEET: Final = str.maketrans("01345789@$", "oieastbgas")
_DIGIT_IN_WORD = re.compile(r"[a-z][01345789@$]|[01345789@$][a-z]")
_MORSE: Final = {
    ".-": "a", "-...": "b", "-.-.": "c", "-..": "d", ".": "e", "..-.": "f", "--.": "g", "....": "h", "..": "i", ".---": "j",
    "-.-": "k", ".-..": "l", "--": "m", "-.": "n", "---": "o", ".--.": "p", "--.-": "q", ".-.": "r", "...": "s", "-": "t",
    "..-": "u", "...-": "v", ".--": "w", "-..-": "x", "-.--": "y", "--..": "z",
}  # fmt: skip
_DASHES = re.compile(r"(?:[.-]{1,5}(?: {1,3}/ {1,3}| {1,3})){11,}[.-]{1,5}")


def _tells(text: str) -> bool:
    return any(word in text for word in _TELLING)


def _closed(match: re.Match[str]) -> str:
    """Letters with one mark between them as words; where the mark stands twice, a word ends."""
    return _GAP.sub(lambda gap: " " if len(gap[0]) > 1 else "", match[0])


def _morse(text: str) -> str:
    def read(match: re.Match[str]) -> str:
        words = re.split(r"\s{1,3}/\s{1,3}", match[0])
        return " ".join("".join(_MORSE.get(sign, "") for sign in word.split()) for word in words)

    return _DASHES.sub(read, text)


_UNDONE: Final[tuple[tuple[str, Callable[[str], str]], ...]] = (
    ("letters apart", lambda text: _SPACED.sub(_closed, text)),
    ("reversed", lambda text: text[::-1]),
    ("rotated letters", lambda text: codecs.encode(text, "rot13")),
    ("Morse", _morse),
)


def undisguised(lowered: str) -> Iterator[tuple[str, str]]:
    """(how, text) for each spelling under which a telling word appears in a lower-case text."""
    if not _MARKS.search(lowered) and not lowered.isascii():
        lowered = unicodedata.normalize("NFD", lowered)
    if _MARKS.search(lowered):
        plain = _MARKS.sub("", lowered)
        if _tells(plain):
            yield "letters with marks", plain
    told = _tells(lowered)
    for how, undo in _UNDONE:
        text = undo(lowered)
        if text != lowered and _tells(text) and not (told and how != "letters apart"):
            yield how, text
    if _DIGIT_IN_WORD.search(lowered) and not told:
        text = lowered.translate(_LEET)
        if _tells(text):
            yield "digits for letters", text
