"""Read an alert from JSON text or Python values, expecting the worst of it.

Nothing is lost silently: what had to be changed (a key that occurs twice, NaN, an
integer of a thousand digits) is kept as visible text and noted; what can't be read
raises InputError, what is too big LimitExceeded, each naming field and fix.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from aegis_agents.errors import InputError, LimitExceeded
from aegis_agents.sources.text import shorten, visible

_MAX_DIGITS: Final = 40
"""Longer numbers are kept as text: no sensor counts so far, and int() of a long string is slow or refused."""
_MAX_NOTES: Final = 20
_BIG: Final = 10**_MAX_DIGITS


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of an alert is read. Beyond the first three: LimitExceeded; beyond the others: cut, and noted."""

    max_bytes: int = 5_000_000
    max_depth: int = 40
    max_values: int = 5_000
    """Leaves of the tree, empty containers included."""
    max_facts: int = 1_000
    """Facts kept. What others could have written is dropped first, so that padding can't push out the sensor's own."""
    max_value_chars: int = 8_000
    max_key_chars: int = 200


class Alert(dict[str, Any]):
    """An alert as read: a plain dict of JSON values, with notes on what had to be repaired."""

    def __init__(self, values: Mapping[str, Any], notes: tuple[str, ...] = ()) -> None:
        super().__init__(values)
        self.notes = notes


class Notes:
    """Collects notes; after the first twenty only counts, so that a hostile alert can't make them long."""

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._more = 0

    def add(self, note: str) -> None:
        """Keep this note, once; what it quotes is made visible and short."""
        note = shorten(visible(note), 300)
        if note in self._kept:
            return
        if len(self._kept) < _MAX_NOTES:
            self._kept.append(note)
        else:
            self._more += 1

    def result(self) -> tuple[str, ...]:
        """The notes, and how many were left out."""
        more = (f"{self._more} more notes of this kind were left out",) if self._more else ()
        return (*self._kept, *more)


def read_json(text: str | bytes, *, limits: Limits = Limits()) -> Alert:
    """One JSON object as a dict of JSON values; its `notes` say what was repaired.

    A key that occurs again is kept as "key#2"; NaN, Infinity and numbers of more than
    40 digits become text. Raises InputError for anything that is not a JSON object, and
    LimitExceeded for one that is too big or too deep.
    """
    notes = Notes()
    value = parse_json(text, limits, notes)
    if not isinstance(value, dict):
        raise not_an_object(value)
    check_tree(value, limits)
    return Alert(value, notes.result())


def not_an_object(value: object) -> InputError:
    """The error for a document that is JSON, but no object."""
    kinds = {list: "an array", str: "a string", type(None): "null", bool: "a boolean"}
    found = kinds.get(type(value), "a number")
    return InputError(f"the alert is {found}, not a JSON object", fix="give one alert as {...}")


def parse_json(text: str | bytes, limits: Limits, notes: Notes) -> Any:
    """Any JSON value, with the repairs of `read_json`; the tree is not yet checked against the limits."""
    source = decode(text, limits)
    if not source.strip():
        raise InputError("the input is empty", fix="give one alert as a JSON object")

    def pairs_to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        plain = dict(pairs)
        if len(plain) == len(pairs):
            return plain
        if len(pairs) > limits.max_values:
            raise _too_many("", limits)
        kept: dict[str, Any] = {}
        for key, value in pairs:
            name = _free_name(kept, key)
            if name != key:
                notes.add(f"key {visible(key)[:80]!r} occurs more than once; kept as {visible(name)[:80]!r}")
            kept[name] = value
        return kept

    def constant(name: str) -> str:
        notes.add(f"{name} is not a JSON number; kept as text")
        return name

    def integer(digits: str) -> int | str:
        if len(digits) <= _MAX_DIGITS:
            return int(digits)
        notes.add(f"a number of {len(digits)} digits is kept as text")
        return digits

    def real(digits: str) -> float | str:
        number = float(digits) if len(digits) <= _MAX_DIGITS else math.inf
        if math.isfinite(number):
            return number
        notes.add("a number out of range is kept as text")
        return digits

    decoder = json.JSONDecoder(
        object_pairs_hook=pairs_to_dict, parse_constant=constant, parse_int=integer, parse_float=real, strict=False
    )  # strict=False: raw control characters are made visible later instead of refused
    try:
        return decoder.decode(source)
    except RecursionError:
        raise _too_deep("", limits) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        raise InputError(f"not valid JSON: {error.msg} at {where}", fix="check the text there") from None


def read_values(values: Mapping[Any, Any], *, limits: Limits = Limits()) -> Alert:
    """The same for Python values: dates, bytes, sets, enums and the like become text.

    Raises InputError for a structure that contains itself or a value of unknown type.
    """
    notes = Notes()
    plain = _plain(values, "", limits, notes, (), [limits.max_values])
    check_tree(plain, limits)
    return Alert(plain, notes.result())


def check_tree(tree: Any, limits: Limits) -> None:
    """LimitExceeded where the tree is too deep or has too many leaves; level by level, so it can't overflow."""
    leaves = depth = 0
    level = [("", tree)]
    while level:
        below: list[tuple[str, Any]] = []
        for top, node in level:
            if isinstance(node, dict) and node:
                below.extend((top or key, child) for key, child in node.items())
            elif isinstance(node, list) and node:
                below.extend((top, child) for child in node)
            else:
                leaves += 1
        if leaves + len(below) > limits.max_values:  # every node below has at least one leaf
            largest = max(level, key=lambda item: len(item[1]) if isinstance(item[1], dict | list) else 0)
            raise _too_many(largest[0], limits)
        if depth > limits.max_depth:
            raise _too_deep(level[0][0], limits)
        depth += 1
        level = below


def _field(path: str) -> str:
    """A path as errors name it; the top is "the alert"."""
    return shorten(visible(path), 120) or "the alert"


def _too_deep(field: str, limits: Limits) -> LimitExceeded:
    fix = "flatten it, or raise Limits.max_depth"
    return LimitExceeded(f"nested more than {limits.max_depth} levels deep", field=_field(field), fix=fix)


def _too_many(field: str, limits: Limits) -> LimitExceeded:
    fix = "send fewer fields, or raise Limits.max_values"
    message = f"brings the alert over {limits.max_values} values"
    return LimitExceeded(message, field=_field(field), fix=fix)


def decode(text: str | bytes, limits: Limits = Limits()) -> str:
    """The text of an alert without its byte order mark. Raises LimitExceeded, InputError for another encoding."""
    if len(text) > limits.max_bytes:
        fix = "send one alert at a time, or raise Limits.max_bytes"
        raise LimitExceeded(f"is longer than {limits.max_bytes} bytes", field="the alert", fix=fix)
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    encoding = "utf-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return text.decode(encoding)
    except UnicodeDecodeError as error:
        offset = error.start + (3 if encoding == "utf-8-sig" and text.startswith(b"\xef\xbb\xbf") else 0)
        raise InputError(
            f"not valid {encoding.removesuffix('-sig').upper()} at byte {offset}", fix="send the alert as UTF-8"
        ) from None


def _free_name(taken: dict[str, Any], key: str) -> str:
    """The key, or key#2, key#3, … if it is taken. Doubling steps keep a hostile repetition cheap."""
    if key not in taken:
        return key
    low, high = 1, 2  # key#low is taken (key itself counts as 1), key#high is not
    while f"{key}#{high}" in taken:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if f"{key}#{middle}" in taken else (low, middle)
    return f"{key}#{high}"


def _plain(value: Any, path: str, limits: Limits, notes: Notes, above: tuple[int, ...], budget: list[int]) -> Any:
    """A value as JSON has them. `above` are the ids of the containers around it, `budget` the leaves still allowed."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Mapping | list | tuple | Set):
        if id(value) in above:
            raise InputError("contains itself", field=_field(path), fix="give a plain tree of values")
        if len(above) > limits.max_depth:
            raise _too_deep(path, limits)
        inside = (*above, id(value))
        budget[0] -= not value
        if isinstance(value, Mapping):
            result: dict[str, Any] = {}
            for key, item in value.items():
                name = _free_name(result, str(_scalar(key, path, notes)))
                result[name] = _plain(item, f"{path}.{name}" if path else name, limits, notes, inside, budget)
            return result
        items = sorted(value, key=repr) if isinstance(value, Set) else value
        return [_plain(item, f"{path}[{i}]", limits, notes, inside, budget) for i, item in enumerate(items)]
    budget[0] -= 1
    if budget[0] < 0:
        raise _too_many(path, limits)
    return _scalar(value, path, notes)


def _scalar(value: Any, path: str, notes: Notes) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)  # a subclass becomes plain text
    if isinstance(value, Integral):
        number = int(value)
        if -_BIG < number < _BIG:
            return number
        notes.add(f"{path[:80]}: a very large number is kept as hexadecimal text")
        return hex(number)
    if isinstance(value, Real) and not isinstance(value, Decimal):
        real = float(value)
        if math.isfinite(real):
            return real
        notes.add(f"{path[:80]}: {real} is not a JSON number; kept as text")
        return str(real)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, Decimal | UUID | PurePath | timedelta):
        return str(value)
    raise InputError(f"has a value of type {type(value).__name__}", field=_field(path), fix="give JSON values")
