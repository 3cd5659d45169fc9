"""Look for injection signs in one text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from aegis_agents.gate.injection.disguises import undisguised
from aegis_agents.gate.injection.orders import gives_order
from aegis_agents.gate.injection.patterns import STRONG_PATTERNS, WEAK_PATTERNS
from aegis_agents.gate.injection.views import LIMIT, views

_HIDDEN: Final = frozenset({"tag characters", "variation selectors"})
_LETTERS = re.compile(r"[^\W\d_]{3,}")
_CACHEABLE: Final = 4096
_PIECE: Final = 400
_PROSE = re.compile(r"[^\\/{}<>|$%=\d]*\s[^\\/{}<>|$%=\d]*")
_SHORTEST: Final = 12
"""No instruction fits in less, where letters are Latin; other scripts say more in fewer."""


class Sign(NamedTuple):
    """What a text seems to want, and how it was read ("plain", "base64", "tag characters", ...)."""

    intent: str
    via: str


def _find(text: str) -> tuple[Sign, ...]:
    found: list[Sign] = []
    for view in views(text):
        if view.via in _HIDDEN and len(_LETTERS.findall(view.text)) >= 2:
            found.append(Sign("hidden text", view.via))
        lowered = view.text.lower()
        found.extend(Sign(intent, view.via) for intent in _intents(lowered))
        for how, undone in undisguised(lowered):
            found.extend(Sign(intent, how) for intent in _intents(undone))
    return tuple(dict.fromkeys(found))


def _intents(lowered: str) -> list[str]:
    """What a lower-case text wants: by one strong pattern, or by weak ones of two different intents."""
    strong = [pattern.intent for pattern in STRONG_PATTERNS if pattern.regex.search(lowered)]
    if strong:
        return strong
    if gives_order(lowered):
        return ["commanding a verdict"]
    weak = [pattern.intent for pattern in WEAK_PATTERNS if pattern.regex.search(lowered)]
    return weak if len(weak) >= 2 else []


_find_cached = lru_cache(maxsize=8192)(_find)


def find_split(texts: Iterable[str]) -> tuple[Sign, ...]:
    """Signs in fields read one after the other, for an order that was cut in pieces.

    Only prose is joined, since names and paths of different fields make no sentence, and only strong
    patterns count: weak ones meet by chance where fields of different things stand together.
    """
    prose = [text for text in texts if len(text) <= _PIECE and _PROSE.fullmatch(text)]
    if len(prose) < 2:
        return ()
    joined = " ".join(prose)[:LIMIT].lower()
    found = (pattern.intent for pattern in STRONG_PATTERNS if pattern.regex.search(joined))
    return tuple(Sign(intent, "several fields") for intent in found)


def find_signs(text: str) -> tuple[Sign, ...]:
    """Signs of an injection in a field's text, without duplicates; none is the normal case.

    At most views.LIMIT characters are read. Results for short texts are kept, since
    most facts of an incident are the same as in the one before.
    """
    if len(text) < _SHORTEST and (text.isascii() or len(text) < _SHORTEST // 2):
        return ()
    return _find_cached(text) if len(text) <= _CACHEABLE else _find(text)
