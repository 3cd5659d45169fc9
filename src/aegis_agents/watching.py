"""Telemetry of an Aegis: who listens, and the gauges that say how it stands. The bridge between the rooms and telemetry."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, SecretStr

from aegis_agents.telemetry.watch import Telemetry

if TYPE_CHECKING:
    from aegis_agents.context import Context
    from aegis_agents.ledger import Store
    from aegis_agents.settings import Settings
    from aegis_agents.telemetry.prometheus import MetricsServer


class Watched(Protocol):
    """What gauges are read from: an Aegis."""

    settings: Settings

    @property
    def store(self) -> Store: ...
    @property
    def context(self) -> Context: ...
    @property
    def telemetry(self) -> Telemetry: ...


def open_telemetry(settings: Settings) -> Telemetry:
    """Who listens to an Aegis with these settings. Raises SettingsError."""

    def sources() -> Collection[str]:
        from aegis_agents.sources.registry import FORMATS

        return tuple(FORMATS)

    def redact(text: str) -> str:
        from aegis_agents.gate import redact

        return redact(text)

    return Telemetry(settings.telemetry, mode=settings.mode, sources=sources, redact=redact)


def route_logs(settings: Settings) -> None:
    """Write this process' log as `telemetry.logs` says, for services; "off" leaves logging as it is. Raises SettingsError.

    No secret of the settings and nothing that looks like one gets into it, whoever logs it.
    """
    if settings.telemetry.logs == "off":
        return
    from aegis_agents.gate import redact
    from aegis_agents.telemetry.logs import configure

    configure(settings.telemetry, redact=redact, secrets=secrets_of(settings))


def secrets_of(settings: BaseModel) -> frozenset[str]:
    """Every secret that settings hold, at any depth."""
    found: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, SecretStr):
            found.add(value.get_secret_value())
        elif isinstance(value, BaseModel):
            for name in type(value).model_fields:
                look(getattr(value, name))
        elif isinstance(value, Mapping):
            for part in value.values():
                look(part)
        elif isinstance(value, list | tuple | set | frozenset):
            for part in value:
                look(part)

    look(settings)
    return frozenset(found)


@contextmanager
def observed(aegis: Watched, number: int = 0) -> Iterator[MetricsServer | None]:
    """Around a service: its log as settings say, its gauges, and Prometheus answered at `metrics_port`, if it is set.

    `number` counts the processes of one command from 0: each listens one port further on. Raises SettingsError.
    """
    from aegis_agents.telemetry.prometheus import MetricsServer

    wanted = aegis.settings.telemetry
    route_logs(aegis.settings)
    if wanted.on:
        provide_gauges(aegis)
    server = None
    if wanted.metrics_port is not None:
        port = wanted.metrics_port + number if wanted.metrics_port else 0
        server = MetricsServer(aegis.telemetry.prometheus(), wanted.metrics_host, port)
    try:
        yield server
    finally:
        if server is not None:
            server.close()


def provide_gauges(aegis: Watched) -> None:
    """Let how this Aegis stands be asked: what waits, the kill switch, budgets, what was earned, ledger and versions.

    An Aegis with an inbox says how that stands too.
    """
    provide = aegis.telemetry.gauges.provide
    for name, about, ask in (
        ("aegis_approvals_waiting", "Actions that wait for a person.", _waiting),
        ("aegis_approvals_oldest_seconds", "How long the one has waited that has waited longest.", _oldest),
        ("aegis_kill_switch_engaged", "1 while the kill switch is engaged.", _kill_switch),
        ("aegis_ledger_entries", "Entries of the ledger.", _entries),
        ("aegis_ledger_unsigned_entries", "Entries since the last signed checkpoint.", _unsigned),
    ):
        provide(name, about, _of(ask, aegis))
    provide("aegis_budget_used_ratio", "Share of a budget used up in the last hour.", _of(_budgets, aegis), ("budget",))
    provide(
        "aegis_autonomy_cells", "Cells of autonomy that reviews unlocked, by level.", _of(_earned, aegis), ("level",)
    )
    provide(
        "aegis_version_info", "What decides: 1 for each version in use.", _of(_versions, aegis), ("part", "version")
    )
    if getattr(aegis, "inbox", None) is not None:
        provide_inbox(aegis)


def _of(ask: Callable[[Any], Any], aegis: Watched) -> Callable[[], Any]:
    return lambda: ask(aegis)


def _waiting(aegis: Watched) -> float:
    from aegis_agents.ledger.database import Database
    from aegis_agents.ledger.queue import count_waiting

    store = aegis.store
    return count_waiting(store) if isinstance(store, Database) else len(store.pending())


def _oldest(aegis: Watched) -> float:
    from aegis_agents.ledger.database import Database
    from aegis_agents.ledger.queue import read_waiting

    store = aegis.store
    rows = read_waiting(store, limit=1) if isinstance(store, Database) else store.pending(limit=1)
    return max(0.0, (datetime.now(UTC) - rows[0].created_at).total_seconds()) if rows else 0.0


def _kill_switch(aegis: Watched) -> float:
    from aegis_agents.gate.killswitch import engaged

    return float(engaged(aegis.settings.kill_switch_file))


def _entries(aegis: Watched) -> float | None:
    counted = _ledger(aegis)
    return None if counted is None else counted[0]


def _unsigned(aegis: Watched) -> float | None:
    counted = _ledger(aegis)
    return None if counted is None else counted[0] - counted[1]


def _ledger(aegis: Watched) -> tuple[int, int] | None:
    """(entries, how many of them a checkpoint covers); None for a store of another make."""
    from aegis_agents.ledger.database import Database

    store = aegis.store
    row = store._row("SELECT count, signed FROM ledger_meta") if isinstance(store, Database) else None
    return None if row is None else (int(row["count"]), int(row["signed"]))


def _budgets(aegis: Watched) -> dict[tuple[str, ...], float]:
    from aegis_agents.agents.approval import usage_now

    usage, limits = usage_now(aegis.context), aegis.context.gate.settings.budgets
    acted = sum(usage.by_class.get(kind, 0) for kind in ("contain", "destroy"))
    used = {
        "actions": (acted, limits.actions_per_hour),
        "closings": (usage.by_class.get("close_alert", 0), limits.closings_per_hour),
        "records": (usage.by_class.get("record", 0), limits.records_per_hour),
        "blast_radius": (len(usage.targets), limits.blast_radius),
        "breaker": (usage.failed + usage.undone, limits.trip_after),
        "most": (acted, limits.most_per_hour),
    }
    return {(name,): 1.0 if limit == 0 else n / limit for name, (n, limit) in used.items()}


def _earned(aegis: Watched) -> dict[tuple[str, ...], float]:
    cells = aegis.context.earned(datetime.now(UTC)).cells.values()
    return {(level,): float(sum(cell.level == level for cell in cells)) for level in ("act_undo", "act")}


def _versions(aegis: Watched) -> dict[tuple[str, ...], float]:
    return dict.fromkeys(aegis.context.versions.items(), 1.0)


def provide_inbox(aegis: Any) -> None:
    """Let how the inbox stands be asked."""
    provide = aegis.telemetry.gauges.provide

    def messages() -> dict[tuple[str, ...], float]:
        counts = aegis.inbox.counts()
        return {(state,): float(getattr(counts, state)) for state in ("waiting", "held", "done", "dead", "copies")}

    provide(
        "aegis_inbox_messages",
        "Alerts in the inbox: waiting, held by a worker, done, dead (set aside), and copies that were folded.",
        messages, ("state",),
    )  # fmt: skip
    provide(
        "aegis_inbox_oldest_seconds", "How long the alert has waited that has waited longest.",
        lambda: float(aegis.inbox.counts().oldest_s),
    )  # fmt: skip
    provide(
        "aegis_inbox_stream_waiting", "Alerts that wait, by stream.",
        lambda: {(stream,): float(n) for stream, n in aegis.inbox.counts().by_stream.items()}, ("stream",),
    )  # fmt: skip


MONITOR: Mapping[str, str] = {
    "aegis_monitor_fallen_back": "Scopes in which autonomy fell back; 0 in none.",
    "aegis_monitor_unreadable": "Entries that the monitor could not read and left out.",
    "aegis_monitor_behind_entries": "Ledger entries that the monitor has not read yet.",
    "aegis_monitor_cases": "Cases of the model in use that were watched.",
    "aegis_monitor_reference_missing": "Campaigns still needed before drift can be told.",
    "aegis_monitor_reviewed": "Reviewed cases that calibration is told from.",
    "aegis_monitor_contradicted_share": "Share of reviewed verdicts that people contradicted.",
    "aegis_monitor_calibration_stake": "What a wager against the stated confidence has won; large is wrong.",
    "aegis_monitor_drift_sources_stake": "The same against the mix of products being as it was.",
    "aegis_monitor_drift_words_stake": "The same against the words of alerts being as they were.",
    "aegis_monitor_drift_confidence_stake": "The same against confidence being as it was.",
    "aegis_monitor_drift_verdicts_stake": "The same against the mix of verdicts being as it was.",
    "aegis_monitor_canaries_wrong": "Canaries of the last round that were answered wrong.",
    "aegis_monitor_canaries_at_seconds": "When the last round was, as a Unix time; 0 before the first.",
    "aegis_monitor_probed_groups": "Groups of alerts that search for the decision boundary.",
}
"""The monitor's gauges, which it answers by `Status.gauges`."""


def provide_monitor(telemetry: Telemetry, ask: Callable[[], Mapping[str, float]]) -> None:
    """Let the monitor's numbers be asked (`lambda: monitor.status().gauges()`); once for all of them in a moment."""
    asked = _Lately(ask)
    for name, about in MONITOR.items():

        def one(name: str = name) -> float | None:
            return asked().get(name)

        telemetry.gauges.provide(name, about, one)


class _Lately:
    """What something answered within the last second."""

    def __init__(self, ask: Callable[[], Mapping[str, float]]) -> None:
        self._ask, self._lock = ask, threading.Lock()
        self._at, self._said = -math.inf, dict[str, float]()

    def __call__(self) -> Mapping[str, float]:
        with self._lock:
            if time.monotonic() - self._at > 1.0:
                self._said, self._at = dict(self._ask()), time.monotonic()
            return self._said
