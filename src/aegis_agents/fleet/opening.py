"""Opens what a worker works with, from settings: the same in a process of its own, beside a server and on Ray."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from aegis_agents.aegis import Aegis
from aegis_agents.agents.caution import FELL_BACK
from aegis_agents.errors import AegisError
from aegis_agents.fleet.leading import Everybody, open_leading
from aegis_agents.fleet.ticks import Tick, Ticks, standing_ticks
from aegis_agents.fleet.worker import Worker
from aegis_agents.hardening.egress import Egress, enforced, in_force
from aegis_agents.hardening.ticks import ticks as hardening_ticks
from aegis_agents.monitor.honeytokens import plant
from aegis_agents.monitor.ticks import ticks as monitor_ticks
from aegis_agents.monitor.watch import Monitor
from aegis_agents.settings import Settings, load_settings
from aegis_agents.watching import observed, provide_monitor

_log = logging.getLogger("aegis_agents.fleet")
WATCH_EVERY_S = 5.0
"""Seconds between two looks beside a server whether a tick is due."""

Opener = Callable[[], Aegis]
"""Opens an Aegis in another process: a function of a module, or a partial of one, without secrets in it."""


def open_aegis(file: str | Path | None = None) -> Aegis:
    """An Aegis for a worker: settings of a file and of this process's own environment, its encoder's threads the
    worker's. Raises SettingsError.
    """
    return Aegis(settings=for_worker(load_settings(file)))


def for_worker(settings: Settings) -> Settings:
    """The settings of one worker beside others: its encoder uses as many threads as `worker.threads` says."""
    return settings.model_copy(update={"threads": settings.worker.threads})


@contextmanager
def opened(opener: Opener, number: int = 0, *, when_stuck: Callable[[], None] = lambda: None) -> Iterator[Worker]:
    """A worker with everything it needs, the model loaded, closed in the end; `number` counts those of one machine.

    Its process then connects to no other places than settings allow, and its figures and log are where they say.
    Raises whatever opening raises: SettingsError, StoreError, ModelError ...
    """
    with opener() as aegis, enforced(aegis.settings) as egress, observed(aegis, number):
        start_logs()
        _ = aegis.context, aegis.graph  # now, and not with the first alert: what is wrong shows before any is taken
        monitor = Monitor(aegis) if aegis.settings.worker.watch else None
        try:
            yield make_worker(aegis, monitor, egress, when_stuck)
        finally:
            if monitor is not None:
                monitor.keep()


def start_logs() -> None:
    """Say on standard error what workers do, if nobody has set up logging in this process and settings don't either."""
    logger = logging.getLogger("aegis_agents")
    if not logger.handlers and not logging.getLogger().handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(process)d %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def make_worker(
    aegis: Aegis, monitor: Monitor | None, egress: Egress | None, when_stuck: Callable[[], None] = lambda: None
) -> Worker:
    """A worker that also does what other rooms want done now and then.

    One worker for all watches the model; each looks whether the files that it loaded are still the same, and tells of
    connections that were refused. Fake secrets are looked for in whatever leaves, whoever watches.
    """
    settings = aegis.settings
    if settings.monitor.honeytokens:
        plant(aegis.store, settings.home, falls=settings.monitor.fall_back)
    ticks, own_ticks = _watched(aegis, monitor, egress)
    return Worker(aegis, aegis.inbox, ticks=ticks, own_ticks=own_ticks, when_stuck=when_stuck)


def _watched(aegis: Aegis, monitor: Monitor | None, egress: Egress | None) -> tuple[list[Tick], list[Tick]]:
    """What one process watches for all, and what each watches for itself."""
    if monitor is not None and aegis.telemetry.on:
        provide_monitor(aegis.telemetry, lambda: monitor.status().gauges())
    own = hardening_ticks(aegis.settings, aegis.store, egress, fall_back_kind=FELL_BACK)
    return [Tick(*one) for one in monitor_ticks(monitor)] if monitor is not None else [], [Tick(*one) for one in own]


@contextmanager
def worker_beside(aegis: Aegis) -> Iterator[None]:
    """A worker in a thread beside whatever runs within, where `worker.beside_server` asks for one.

    Without one, model and files are watched all the same: what runs within decides and acts.
    """
    stop = threading.Event()
    monitor = Monitor(aegis) if aegis.settings.worker.watch else None
    if aegis.settings.worker.beside_server:
        run = partial(_run_beside, make_worker(aegis, monitor, in_force()), stop)
    else:
        run = partial(_watch_beside, aegis, _watched(aegis, monitor, in_force()), stop)
    thread = threading.Thread(target=run, name="aegis-beside")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        if monitor is not None:
            monitor.keep()


def _watch_beside(aegis: Aegis, watched: tuple[list[Tick], list[Tick]], stop: threading.Event) -> None:
    # Who leads does what stands for all, as a worker would.
    led = Ticks((*standing_ticks(aegis, aegis.inbox), *watched[0]), open_leading(aegis.settings))
    own = Ticks(watched[1], Everybody())
    try:
        while not stop.wait(WATCH_EVERY_S):
            own.run_due()
            led.run_due()
    except AegisError:
        _log.exception("what watches beside the server has stopped: somebody has to look into it")
    finally:
        led.close()


def _run_beside(worker: Worker, stop: threading.Event) -> None:
    try:
        worker.run(stop)
    except AegisError:
        _log.exception("the worker beside the server has stopped: alerts wait in the inbox")
