"""Figures and gauges for Prometheus, and the small server at which a worker answers it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from aegis_agents._version import __version__
from aegis_agents.errors import SettingsError
from aegis_agents.telemetry.gauges import Gauges
from aegis_agents.telemetry.instruments import INSTRUMENTS, Instrument, prometheus_label, prometheus_name

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric


class PrometheusSink:
    """The instruments in a registry of their own, with the gauges beside them.

    Raises SettingsError where prometheus_client is not installed.
    """

    def __init__(self, gauges: Gauges) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Histogram
        except ImportError as error:
            raise SettingsError(
                f"telemetry: figures for Prometheus need the extra: pip install 'aegis-soc-agents[telemetry]' ({error})"
            ) from error
        self.registry: CollectorRegistry = CollectorRegistry()
        self._made: dict[str, Any] = {}
        for one in INSTRUMENTS:
            labels = [prometheus_label(label) for label in one.labels]
            named = (prometheus_name(one), one.about, labels)
            self._made[one.name] = (
                Counter(*named, registry=self.registry) if one.kind == "counter"
                else Histogram(*named, registry=self.registry, buckets=one.buckets)
            )  # fmt: skip
        self.registry.register(_Asked(gauges))

    def record(self, instrument: Instrument, value: float, labels: tuple[str, ...]) -> None:
        """Add to a counter, or observe in a histogram."""
        series = self._made[instrument.name].labels(*labels)
        if instrument.kind == "counter":
            series.inc(value)
        else:
            series.observe(value)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)


class _Asked:
    """Prometheus' collector of the gauges: they are asked when it comes."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def describe(self) -> list[Metric]:
        """Nothing beforehand, so that registering asks nobody."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One family for each gauge that can say something."""
        from prometheus_client.core import GaugeMetricFamily

        for gauge in self._gauges.all():
            rows = self._gauges.rows(gauge.name)
            if rows:
                family = GaugeMetricFamily(gauge.name, gauge.about, labels=gauge.labels)
                for values, number in rows:
                    family.add_metric(values, number)
                yield family


class MetricsServer:
    """Answers Prometheus over HTTP until it is closed. Raises SettingsError if it can't listen."""

    def __init__(self, sink: PrometheusSink, host: str, port: int) -> None:
        from prometheus_client import CollectorRegistry, Gauge, start_http_server
        from prometheus_client.platform_collector import PlatformCollector
        from prometheus_client.process_collector import ProcessCollector

        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        Gauge("aegis_build_info", "The version that runs.", ["version"], registry=registry).labels(__version__).set(1)
        registry.register(sink.registry)
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:  # taken, or not ours to listen on
            raise SettingsError(
                f"telemetry: metrics_port {port} on {host} can't be listened on ({error}): give another"
            ) from error
        self.port = int(self._server.server_port)
        """Where it really listens; another one than asked for where that was 0."""

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
