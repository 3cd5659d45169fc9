"""What stood before an event that can't be taken back, so that a look afterwards can tell it from one long past.

"The password was changed" says nothing without "since when". The answer lives in this process
only: after a restart such an event is not known, which the write path says.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from aegis_agents.records import ActionName, Target

T = TypeVar("T")
_MOST = 1000


class Recall(Generic[T]):
    """(action, target) → the key that we asked with, and what stood before; the oldest are forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: OrderedDict[tuple[ActionName, Target], tuple[str, T]] = OrderedDict()

    def note(self, action: ActionName, target: Target, key: str, before: T) -> None:
        """Remember what stands now, just before asking."""
        with self._lock:
            self._asked[action, target] = (key, before)
            self._asked.move_to_end((action, target))
            while len(self._asked) > _MOST:
                self._asked.popitem(last=False)

    def key(self, action: ActionName, target: Target) -> str | None:
        """The key that we asked with last; None if this process did not ask."""
        found = self._asked.get((action, target))
        return None if found is None else found[0]

    def before(self, action: ActionName, target: Target) -> T:
        """What stood before. Raises KeyError."""
        return self._asked[action, target][1]
