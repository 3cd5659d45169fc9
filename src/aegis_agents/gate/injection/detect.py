"""Look for injection signs in one text."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from aegis_agents.gate.injection.patterns import STRONG_PATTERNS, WEAK_PATTERNS
from aegis_agents.gate.injection.views import views

_HIDDEN: Final = frozenset({"tag characters", "variation selectors"})
_LETTERS = re.compile(r"[^\W\d_]{3,}")
_CACHEABLE: Final = 4096
_SHORTEST: Final = 12
"""No instruction fits in less."""


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
        strong = [pattern.intent for pattern in STRONG_PATTERNS if pattern.regex.search(lowered)]
        if not strong:
            weak = [pattern.intent for pattern in WEAK_PATTERNS if pattern.regex.search(lowered)]
            strong = weak if len(weak) >= 2 else []
        found.extend(Sign(intent, view.via) for intent in strong)
    return tuple(dict.fromkeys(found))


_find_cached = lru_cache(maxsize=8192)(_find)


def find_signs(text: str) -> tuple[Sign, ...]:
    """Signs of an injection in a field's text, without duplicates; none is the normal case.

    At most views.LIMIT characters are read. Results for short texts are kept, since
    most facts of an incident are the same as in the one before.
    """
    if len(text) < _SHORTEST:
        return ()
    return _find_cached(text) if len(text) <= _CACHEABLE else _find(text)
