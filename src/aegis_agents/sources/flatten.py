"""An alert's tree as a list of leaves, each with the path where it stood."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from aegis_agents.sources.keys import Keys, split_keys
from aegis_agents.sources.reading import Limits, Notes
from aegis_agents.sources.text import EMPTY, shorten, visible


class Leaf(NamedTuple):
    """One value: its path ("evidence[1].processCommandLine"), its text, its keys taken apart.

    `plain` is True for JSON numbers and booleans, which can't carry a message.
    """

    path: str
    value: str
    keys: Keys
    plain: bool


_PAIRS: Final = (
    ("key", "value"), ("Key", "Value"), ("name", "value"), ("Name", "Value"), ("@Name", "#text"), ("Name", "#text"),
    ("algorithm", "value"), ("Name", "content"), ("tagKey", "tagValue"), ("label", "value"), ("type", "value"),
)  # fmt: skip
"""Lists of such pairs are dictionaries in disguise: {"key": "env", "value": "prod"} reads tags[env] = prod."""

_TRANSPARENT: Final = frozenset({"#attributes", "@attributes", "$"})
"""Keys that only say how XML became JSON; left out of paths."""


def flatten(alert: Mapping[str, Any], *, limits: Limits, notes: Notes) -> list[Leaf]:
    """The leaves in the order of the alert.

    null says nothing and is left out; an empty text, list or object is kept as "(empty)",
    since a device without a name or a message without threats can be what decides. Values and
    keys that are too long are cut in the middle, and noted.
    """
    leaves: list[Leaf] = []
    taken: dict[str, int] = {}
    for path, names, value in _walk(alert, "", (), limits.max_key_chars):
        shown, plain = _as_text(value)
        if len(path) > limits.max_key_chars * 3:
            path = shorten(path, limits.max_key_chars)
            notes.add(f"{path[:80]}…: the path was cut")
        times = taken[path] = taken.get(path, 0) + 1
        if times > 1:  # {"a": {"b": 1}, "a.b": 2}
            path = f"{path}#{times}"
        text = visible(shown)
        if text is not shown and "⟦U+" in text:
            notes.add(f"{path[:120]}: hidden characters were made visible")
        if len(text) > limits.max_value_chars:
            notes.add(f"{path[:120]}: {len(text) - limits.max_value_chars} of {len(text)} characters were cut")
            text = shorten(text, limits.max_value_chars)
        leaves.append(Leaf(path, text, split_keys(names), plain))
    return leaves


def _as_text(value: Any) -> tuple[str, bool]:
    if isinstance(value, str):
        return (value, False) if value and not value.isspace() else (EMPTY, False)
    if isinstance(value, dict | list):
        return EMPTY, False
    return json.dumps(value), True


def _walk(node: Any, path: str, names: tuple[str, ...], longest: int) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    # Recursive: the depth of the tree was checked before.
    if isinstance(node, dict) and node:
        for key, value in node.items():
            if (key in _TRANSPARENT and isinstance(value, dict)) or (key == "#text" and names):
                yield from _walk(value, path, names, longest)
            else:
                name = _shown_key(key, longest)
                yield from _walk(value, f"{path}.{name}" if path else name, (*names, name), longest)
    elif isinstance(node, list) and node:
        for index, item in enumerate(node):
            pair = _pair(item)
            if pair is None:
                yield from _walk(item, f"{path}[{index}]", names, longest)
            else:
                name = _shown_key(pair[0], longest)
                yield from _walk(pair[1], f"{path}[{name}]", (*names, name), longest)
    elif node is not None:
        yield path, names, node


def _shown_key(key: str, longest: int) -> str:
    return shorten(visible(key).replace("\n", " "), longest) or EMPTY


def _pair(item: Any) -> tuple[str, Any] | None:
    if not isinstance(item, dict) or len(item) != 2:
        return None
    for name, value in _PAIRS:
        if name in item and value in item and isinstance(item[name], str) and item[name]:
            return item[name], item[value]
    # XML attributes: {"#attributes": {"Name": "Image"}, "#text": "C:\\..."}
    attributes = item.get("#attributes")
    if isinstance(attributes, dict) and set(attributes) == {"Name"} and "#text" in item:
        return str(attributes["Name"]), item["#text"]
    return None
