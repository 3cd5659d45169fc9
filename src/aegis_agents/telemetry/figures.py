"""Figures: what was counted and timed, passed on to whoever reads it."""

from __future__ import annotations

import logging
from typing import Protocol

from aegis_agents.telemetry.instruments import Instrument

_log = logging.getLogger("aegis.telemetry")


class Sink(Protocol):
    """Where figures go: Prometheus' registry, or OpenTelemetry's meter."""

    def record(self, instrument: Instrument, value: float, labels: tuple[str, ...]) -> None:
        """Add to a counter, or observe in a histogram; labels in the instrument's order."""
        ...


class Figures:
    """Passes each figure to every sink; none is there until somebody asked for one."""

    def __init__(self) -> None:
        self._sinks: tuple[Sink, ...] = ()
        self._said = False

    def __bool__(self) -> bool:
        return bool(self._sinks)

    def add(self, sink: Sink) -> None:
        """From now on figures go there too."""
        self._sinks = (*self._sinks, sink)

    def record(self, instrument: Instrument, value: float, *labels: str) -> None:
        """Count or observe; the labels are from closed sets (see `closed`)."""
        for sink in self._sinks:
            try:
                sink.record(instrument, value, labels)
            except Exception as error:  # noqa: BLE001 - whatever a sink breaks of: no decision may fail for a figure
                if not self._said:
                    self._said = True
                    _log.warning("figures can't be kept (%s); work goes on", type(error).__name__)
