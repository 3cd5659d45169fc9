"""Gauges: numbers that somebody answers when they are asked for, so that no room needs to know another."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

Value = float | Mapping[tuple[str, ...], float] | None
"""A number; or one for each row of label values; or None while there is none."""

_NAME = re.compile(r"aegis_[a-z0-9_]{1,80}")
_LABEL = re.compile(r"[a-z_]{1,40}")
MOST_ROWS = 100
"""Rows of label values of one gauge: more are left out, so that no name that others choose can fill a database."""
_MOST_CHARS = 80
_log = logging.getLogger("aegis.telemetry")


class Gauge(NamedTuple):
    """A gauge as it was provided."""

    name: str
    about: str
    ask: Callable[[], Value]
    labels: tuple[str, ...]


class Gauges:
    """What is provided, in the order it was. Safe to share between threads."""

    def __init__(self) -> None:
        self._given: dict[str, Gauge] = {}
        self._heard: list[Callable[[Gauge], None]] = []
        self._failing: set[str] = set()
        self._lock = threading.Lock()

    def provide(self, name: str, about: str, ask: Callable[[], Value], labels: tuple[str, ...] = ()) -> None:
        """Let `ask` answer the gauge `name` ("aegis_..."), whenever Prometheus or a message to the collector wants it.

        It answers a number, or with `labels` a mapping from their values to numbers. Provided again, the newer one
        answers. One that raises or answers None is left out that time. Raises ValueError for a name that is none.
        """
        if not _NAME.fullmatch(name) or not all(_LABEL.fullmatch(label) for label in labels):
            raise ValueError(f"{name!r} with labels {labels!r} is no name of a gauge")
        gauge = Gauge(name, about, ask, labels)
        with self._lock:
            known = self._given.get(name)
            self._given[name] = gauge
            heard = [] if known is not None else list(self._heard)
        for hear in heard:
            hear(gauge)

    def hear(self, hear: Callable[[Gauge], None]) -> None:
        """Call `hear` for each gauge that is there, and for each that comes."""
        with self._lock:
            self._heard.append(hear)
            given = list(self._given.values())
        for gauge in given:
            hear(gauge)

    def all(self) -> list[Gauge]:
        """Every gauge."""
        with self._lock:
            return list(self._given.values())

    def rows(self, name: str) -> list[tuple[tuple[str, ...], float]]:
        """What a gauge says now: (label values, number); none where it can't say."""
        gauge = self._given[name]
        try:
            said = gauge.ask()
            if said is None:
                return []
            if not isinstance(said, Mapping):
                return [((), float(said))]
            rows = [(tuple(_short(v) for v in values), float(n)) for values, n in list(said.items())[:MOST_ROWS]]
            found = [row for row in rows if len(row[0]) == len(gauge.labels)]
        except Exception as error:  # noqa: BLE001 - a gauge of any room: the others must still be read; said once
            if name not in self._failing:
                self._failing.add(name)
                _log.warning("the gauge %s can't be read (%s); it is left out", name, type(error).__name__)
            return []
        self._failing.discard(name)
        return found


def _short(value: object) -> str:
    """A label's value: at most so long, and nothing in it that can't be seen."""
    text = str(value)[:_MOST_CHARS]
    return "".join(c if c.isprintable() else "?" for c in text)
