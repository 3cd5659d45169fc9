"""Names of fields, taken apart so that tables can match them whatever the product's spelling.

`processCommandLine`, `process.command_line` and `ProcessCommandLine` all have the words
process, command, line.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_SHA = re.compile(r"(?i)sha-?(1|224|256|384|512)(?![0-9])")
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+[0-9]*|[A-Z]+[0-9]*|[0-9]+")
_CACHEABLE = 256


class Keys(NamedTuple):
    """The keys from the top of the alert to a value.

    `leaf` is the last key in lower case without punctuation, `parent` the one above it;
    `words` are the words of the last key, `above` those of all keys before it.
    """

    leaf: str
    parent: str
    words: frozenset[str]
    above: frozenset[str]
    joined: str
    """All keys in lower case without punctuation, joined by dots, with a dot before and after."""


def word_set(text: str) -> frozenset[str]:
    """The words of a text, for tables that are long lists of them."""
    return frozenset(text.split())


def words_of(key: str) -> list[str]:
    """The words of one key, in lower case."""
    return [word.lower() for word in _WORD.findall(_SHA.sub(r" sha\1 ", key).replace("IPs", "Ips"))]


@lru_cache(maxsize=4096)
def _split(names: tuple[str, ...]) -> Keys:
    parts = [part for name in names for part in name.split(".") if part]
    spelled = [words_of(part) for part in parts]
    flat = ["".join(words) for words in spelled]
    above = frozenset(word for words in spelled[:-1] for word in words)
    return Keys(
        leaf=flat[-1] if flat else "",
        parent=flat[-2] if len(flat) > 1 else "",
        words=frozenset(spelled[-1]) if spelled else frozenset(),
        above=above,
        joined="." + ".".join(flat) + ".",
    )


def split_keys(names: tuple[str, ...]) -> Keys:
    """Take the keys apart; dots inside a key separate too. Cached, except for names too long to be real."""
    if sum(map(len, names)) > _CACHEABLE:
        return _split.__wrapped__(names)
    return _split(names)
