"""What stood before an event that can't be taken back, so that a look afterwards can tell it from one long past.

"The password was changed" says nothing without "since when". The answer belongs to whoever asked: the write path
acts and looks in one thread, so each thread remembers its own, and two incidents that are after one account at once
don't take each other's event for theirs. After a restart, in another thread, or once it is old, such an event is not
known, which the write path says.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Generic, NamedTuple, TypeVar

from aegis_agents.errors import ConnectorError, TransientConnectorError
from aegis_agents.records import ActionName, Target

T = TypeVar("T")
_MOST = 1000
KEPT_S: Final = 900.0
"""Seconds that it is known: longer than all tries of one action take, shorter than it takes to mean another."""


class _Asked(NamedTuple, Generic[T]):
    key: str
    before: T
    at: float


class _Own(threading.local, Generic[T]):
    def __init__(self) -> None:
        self.asked: OrderedDict[tuple[ActionName, Target], _Asked[T]] = OrderedDict()


class Recall(Generic[T]):
    """(action, target) → the key that this thread asked with, and what stood before; the oldest are forgotten."""

    def __init__(self) -> None:
        self._own: _Own[T] = _Own()

    def note(self, action: ActionName, target: Target, key: str, before: T) -> None:
        """Remember what stands now, just before asking."""
        asked = self._own.asked
        asked[action, target] = _Asked(key, before, time.monotonic())
        asked.move_to_end((action, target))
        while len(asked) > _MOST:
            asked.popitem(last=False)

    @contextmanager
    def unless_refused(self, action: ActionName, target: Target) -> Iterator[None]:
        """Forget it if what is asked for within is refused: whatever changes then is somebody else's doing."""
        try:
            yield
        except TransientConnectorError:
            raise  # it may have happened all the same
        except ConnectorError:
            self._own.asked.pop((action, target), None)
            raise

    def key(self, action: ActionName, target: Target) -> str | None:
        """The key that this thread asked with last; None if it did not ask, or too long ago."""
        found = self._found(action, target)
        return None if found is None else found.key

    def before(self, action: ActionName, target: Target) -> T:
        """What stood before. Raises KeyError."""
        found = self._found(action, target)
        if found is None:
            raise KeyError(action)
        return found.before

    def _found(self, action: ActionName, target: Target) -> _Asked[T] | None:
        found = self._own.asked.get((action, target))
        return None if found is None or time.monotonic() - found.at > KEPT_S else found
