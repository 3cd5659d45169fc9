"""Many alerts from one stream or text: a bad one is reported with its line, and the rest goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from aegis_agents.errors import InputError, LimitExceeded
from aegis_agents.sources.reading import Alert, Limits, Notes, check_tree, not_an_object, parse_json, read_json


def read_lines(
    stream: Iterable[str | bytes],
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Iterator[tuple[int, Alert | InputError]]:
    """The alerts of JSON Lines as (line number from 1, alert, or the error that names the line).

    Blank lines are skipped. Reads as it goes: a stream may be endless.
    """
    for number, line in enumerate(stream, 1):
        if line.strip(b"\xef\xbb\xbf \t\r\n") if isinstance(line, bytes) else line.strip("\ufeff \t\r\n"):
            yield number, _one(line, number, limits)


def _one(line: str | bytes, number: int, limits: Limits) -> Alert | InputError:
    try:
        return read_json(line, limits=limits)
    except InputError as error:
        return error.at_line(number)


def read_documents(
    text: str | bytes,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    max_bytes: int = 500_000_000,
) -> Iterator[tuple[int, Alert | InputError]]:
    """The alerts of a whole file: JSON Lines, one object however it is laid out, or an array of objects.

    The number is the line for JSON Lines, and the position from 1 in an array. The text as
    a whole may have `max_bytes`, each alert what `limits` allow. An object with the one
    field "Records", "alerts", "findings" or "value" that holds an array of objects is read as that array.
    """
    if len(text) > max_bytes:
        raise LimitExceeded(f"is longer than {max_bytes} bytes", field="the file", fix="split it")
    whole = Limits(max_bytes=max_bytes, max_depth=limits.max_depth + 2, max_values=max_bytes)
    notes = Notes()
    try:
        document = parse_json(text, whole, notes)
    except InputError as error:
        lines = _lines(text)
        if len(lines) > 1 and _is_json_lines(lines):
            yield from read_lines(lines, limits=limits)
        else:
            yield 1, error.at_line(1) if len(lines) < 2 else error
        return
    items = _alerts(document)
    repaired = notes.result() if len(items) == 1 else tuple(f"in this file: {note}" for note in notes.result())
    for number, item in enumerate(items, 1):
        yield number, _checked(item, number, limits, repaired)


def _lines(text: str | bytes) -> Sequence[str | bytes]:
    """The lines, broken at CR and LF alone: a JSON string may hold every other character that breaks lines elsewhere."""
    return text.splitlines() if isinstance(text, bytes) else re.split(r"\r\n?|\n", text)


def _is_json_lines(lines: Sequence[str | bytes]) -> bool:
    """Whether the first line is JSON or opens and closes an object, or any is an object by itself.

    Any: a first line that was cut off, or is no JSON, must not take the good ones along. Those that are indented are
    parts of something larger.
    """
    first = next((line.strip() for line in lines if line.strip()), b"")
    closed = first[:1] in ("{", b"{") and first[-1:] in ("}", b"}")
    return closed or _parses(first) or any(_parses(line) for line in lines if line[:1] in ("{", b"{"))


def _parses(line: str | bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _alerts(document: Any) -> list[Any]:
    if isinstance(document, dict) and len(document) == 1:
        name, inside = next(iter(document.items()))
        objects = isinstance(inside, list) and inside and all(isinstance(item, dict) for item in inside)
        if objects and name in ("Records", "alerts", "findings", "value"):
            return list(inside)
    return document if isinstance(document, list) else [document]


def _checked(item: Any, number: int, limits: Limits, notes: tuple[str, ...]) -> Alert | InputError:
    try:
        if not isinstance(item, dict):
            raise not_an_object(item)
        check_tree(item, limits)
    except InputError as error:
        return error.at_line(number)
    return Alert(item, notes)
