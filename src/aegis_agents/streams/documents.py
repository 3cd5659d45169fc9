"""A file of alerts taken apart: an alert, an array of them, or one a line; each as its own text, nothing of it changed."""

from __future__ import annotations

import json
import re
from typing import Any

from aegis_agents.errors import InputError

_SPACE = re.compile(r"[ \t\r\n]*")
_WRAPPED = re.compile(r'[ \t\r\n]*\{[ \t\r\n]*"(?:Records|alerts|findings|value)"[ \t\r\n]*:[ \t\r\n]*(?=\[)')
_CLOSED = re.compile(r"[ \t\r\n]*\}[ \t\r\n]*")
# Numbers are not made, only found: one of a million digits must cost nothing.
_DECODER = json.JSONDecoder(strict=False, parse_int=str, parse_float=str, parse_constant=str)


def decoded(data: bytes) -> str:
    """The text of a file: UTF-8, or UTF-16 by its mark. What is no UTF-8 is kept byte by byte (surrogates)."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "surrogatepass" if len(data) % 2 == 0 else "replace")
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def apart(text: str) -> list[str] | None:
    """The texts of the alerts in it; None if it is not whole JSON (yet).

    What stands among alerts and is none is in the list too, so that the inbox sets it aside with the reason.
    """
    if not text.strip():
        return None
    wrapped = _WRAPPED.match(text)
    if wrapped is not None:
        items = _array(text, wrapped.end())
        if items is not None and items[0] and _CLOSED.fullmatch(text, items[1]) and all(i[0] == "{" for i in items[0]):
            return items[0]
    begin = _after_space(text, 0)
    end = _value(text, begin)
    if end is not None and _after_space(text, end) == len(text):
        found = _array(text, begin) if text[begin] == "[" else None
        return [text[begin:end]] if found is None else found[0]
    return _lines(text)


def _lines(text: str) -> list[str] | None:
    """JSON Lines, if the first line is an object's; None while the last one is not whole."""
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) < 2 or not is_object(lines[0]):
        return None
    return lines if text.endswith("\n") or is_object(lines[-1]) else None


def is_object(line: str) -> bool:
    """Whether the text is one JSON object. Raises InputError for one that is nested too deeply."""
    begin = _after_space(line, 0)
    end = _value(line, begin) if line[begin : begin + 1] == "{" else None
    return end is not None and _after_space(line, end) == len(line)


def _array(text: str, begin: int) -> tuple[list[str], int] | None:
    """The texts of an array's items, and where it ends; None if it is none."""
    items: list[str] = []
    at = _after_space(text, begin + 1)
    if text[at : at + 1] == "]":
        return items, at + 1
    while True:
        end = _value(text, at)
        if end is None:
            return None
        items.append(text[at:end])
        at = _after_space(text, end)
        if text[at : at + 1] == "]":
            return items, at + 1
        if text[at : at + 1] != ",":
            return None
        at = _after_space(text, at + 1)


def _value(text: str, begin: int) -> int | None:
    """Where the JSON value that begins there ends."""
    try:
        found: tuple[Any, int] = _DECODER.raw_decode(text, begin)
    except RecursionError:
        raise InputError("is nested too deeply to be read", fix="flatten it") from None
    except ValueError:
        return None
    return found[1]


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
