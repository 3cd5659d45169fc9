"""What one source may cost: questions and seconds of the language model, and investigations that act alone.

A source is what an incident's `source` says: the product's format, never a text of the alert. Whoever can make a product
raise alerts can make them many; here that costs its own share and no more. Counts are of this process, over the last
hour in minutes: with several workers each counts for itself.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from aegis_agents.settings_hardening import HardeningSettings

_MOST: Final = 1000
"""Sources counted apart; beyond that the one that was quiet longest is forgotten."""
_MINUTES: Final = 60


class Hour:
    """A sum over the last hour, in minutes: what was added is forgotten after 60 to 61 of them."""

    def __init__(self) -> None:
        self._minutes: dict[int, float] = {}

    def add(self, minute: int, amount: float) -> None:
        """Add to a minute."""
        self._minutes[minute] = self._minutes.get(minute, 0.0) + amount

    def sum(self, minute: int) -> float:
        """The sum of the 60 minutes before this one, and of this."""
        self._minutes = {m: n for m, n in self._minutes.items() if m >= minute - _MINUTES}
        return sum(self._minutes.values())


@dataclass
class _Source:
    calls: Hour = field(default_factory=Hour)
    seconds: Hour = field(default_factory=Hour)
    alone: Hour = field(default_factory=Hour)


class SourceLimits:
    """Thread-safe. A limit of 0 allows nothing."""

    def __init__(self, settings: HardeningSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock, self._lock = settings, clock, threading.Lock()
        self._sources: OrderedDict[str, _Source] = OrderedDict()

    @contextmanager
    def asking(self, source: str) -> Iterator[str]:
        """Around a question to the language model: why it must not be asked, "" where it may. Its seconds are counted.

        Questions under way count as asked, so that many threads together don't pass the limit.
        """
        with self._lock:
            one, minute = self._of(source), self._minute()
            why = self._spent(one, minute)
            if not why:
                one.calls.add(minute, 1)
        started = self._clock()
        try:
            yield why
        finally:
            if not why:
                with self._lock:
                    one.seconds.add(self._minute(), self._clock() - started)

    def may_act_alone(self, source: str) -> str:
        """Count an investigation: why nothing of it may be done alone, "" where it may."""
        limit = self._settings.alone_per_hour
        with self._lock:
            one, minute = self._of(source), self._minute()
            if one.alone.sum(minute) >= limit:
                return f"more than {limit} incidents of {source} within an hour (hardening.alone_per_hour)"
            one.alone.add(minute, 1)
            return ""

    def _spent(self, one: _Source, minute: int) -> str:
        settings = self._settings
        if one.calls.sum(minute) >= settings.llm_calls_per_hour:
            return (
                f"this source asked {settings.llm_calls_per_hour} times within an hour (hardening.llm_calls_per_hour)"
            )
        if one.seconds.sum(minute) >= settings.llm_seconds_per_hour:
            return (
                f"this source used {settings.llm_seconds_per_hour:g} s within an hour (hardening.llm_seconds_per_hour)"
            )
        return ""

    def _of(self, source: str) -> _Source:
        one = self._sources.setdefault(source[:100], _Source())
        self._sources.move_to_end(source[:100])
        if len(self._sources) > _MOST:
            self._sources.popitem(last=False)
        return one

    def _minute(self) -> int:
        return int(self._clock() // 60)
