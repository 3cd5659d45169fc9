"""What was refused, counted, and told once a target and hour."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aegis_agents.ledger import Store

REFUSED: Final = "egress.refused"
"""The ledger entry: {"target", "count", "asked"}; `count` is how often since the last entry of that target."""

_MOST = 1000
"""Targets kept apart: whoever can choose names could fill memory and ledger with them."""
OTHERS = "others"


@dataclass
class _Seen:
    asked: str
    count: int = 0
    written_at: float | None = None


class Refusals:
    """Thread-safe. Nothing is written where something is refused, which may be in the middle of anything: `write` does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()  # the collector may run anything here, and that may be refused
        self._seen: dict[str, _Seen] = {}
        self.total = 0

    def add(self, target: str, asked: str) -> None:
        """Count one. `target` may hold anything: what can't be printed is shown as its code."""
        name = target[:300].encode("ascii", "backslashreplace").decode()
        name = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in name)
        with self._lock:
            self.total += 1
            if name not in self._seen and len(self._seen) >= _MOST:
                self._forget()
                name = OTHERS if len(self._seen) >= _MOST else name
            self._seen.setdefault(name, _Seen(asked)).count += 1

    def _forget(self) -> None:
        """Make room: of what was told more than an hour ago, and not refused since, nothing is left to say."""
        now = self._clock()
        self._seen = {
            name: seen for name, seen in self._seen.items()
            if seen.count or seen.written_at is None or now - seen.written_at < 3600
        }  # fmt: skip

    def due(self) -> list[tuple[str, _Seen]]:
        """Those that were refused since they were last told, and were not told within the hour."""
        now = self._clock()
        with self._lock:
            return [
                (name, seen) for name, seen in self._seen.items()
                if seen.count and (seen.written_at is None or now - seen.written_at >= 3600)
            ]  # fmt: skip

    def write(self, store: Store) -> int:
        """Write what is due to the ledger; answers how many entries. Raises StoreError, and tells it the next time."""
        written = 0
        for name, seen in self.due():
            count = seen.count
            with store.transaction():
                store.append(REFUSED, None, {"target": name, "count": count, "asked": seen.asked})
            with self._lock:
                seen.count -= count
                seen.written_at = self._clock()
            written += 1
        return written
