"""What a worker or a server runs in turns: a look at what is new, and canaries when they are due."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from aegis_agents.monitor.watch import Monitor


class MonitorTick(NamedTuple):
    """A function to be called every so many seconds; errors are the caller's to count and to log."""

    name: str
    every_s: float
    function: Callable[[], None]


def ticks(monitor: Monitor) -> tuple[MonitorTick, ...]:
    """The monitor's ticks. Many processes may run them beside each other on one store."""

    def feed() -> None:
        if monitor.canaries_due():
            monitor.feed_canaries()

    def look() -> None:
        monitor.look()

    every = monitor.settings.every_s
    return (MonitorTick("monitor.canaries", every, feed), MonitorTick("monitor.look", every, look))
