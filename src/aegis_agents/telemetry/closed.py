"""Closed sets of names: what may be a label of a metric, or an attribute of a span, where others have a hand in it.

Products, rules and models have names that a customer, an alert or a feed can choose. A series for each would fill
the memory of whatever stores them, and carry what an attacker wrote into dashboards. So a label is one of a known
set, or one of the first few well-formed names that came, or "other".
"""

from __future__ import annotations

import builtins
import hashlib
import re
import threading
from collections.abc import Callable, Collection

from aegis_agents import errors

OTHER = "other"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/+-]{0,99}")
_ID = re.compile(r"(?:inc|act)-[0-9a-f]{8,64}(?:-shadow-[0-9a-f]{8})?")


class Capped:
    """The first `most` names that are well-formed; every further one is "other"."""

    def __init__(self, most: int) -> None:
        self._most, self._known = most, set[str]()
        self._lock = threading.Lock()

    def __call__(self, name: str) -> str:
        """The name as a label."""
        if name in self._known:
            return name
        if not _NAME.fullmatch(name):
            return OTHER
        with self._lock:
            if len(self._known) < self._most:
                self._known.add(name)
        return name if name in self._known else OTHER


class Known:
    """Names of a set that is asked for once, when the first comes."""

    def __init__(self, names: Callable[[], Collection[str]]) -> None:
        self._ask = names
        self._names: frozenset[str] | None = None

    def __call__(self, name: str) -> str:
        """The name as a label."""
        if self._names is None:
            self._names = frozenset(self._ask())
        return name if name in self._names else OTHER


def error_name(error: BaseException) -> str:
    """The class of an error if it is one of ours or Python's, never what it says."""
    for kind in type(error).__mro__:
        name = kind.__name__
        if getattr(errors, name, None) is kind or getattr(builtins, name, None) is kind:
            return OTHER if kind in (Exception, BaseException) else name
    return OTHER


def plain_id(identifier: str) -> str:
    """An id that Aegis derived, as it is; one that somebody chose as its hash, since it may be a name."""
    if _ID.fullmatch(identifier):
        return identifier
    return "id-" + hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:20]
