"""To an OpenTelemetry collector, over OTLP/HTTP: opened only where an endpoint is set, and never in the way.

What is sent waits in a queue of bounded length, and a thread of its own sends it. A collector that is away, slow or
says no costs what was to be sent and nothing else; what was lost is counted. It is reached straight: no proxy of the
environment is used, and redirects are not followed.
"""

from __future__ import annotations

import atexit
import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from aegis_agents._version import __version__
from aegis_agents.errors import SettingsError
from aegis_agents.settings_telemetry import TelemetrySettings, header_pairs
from aegis_agents.telemetry.gauges import Gauge, Gauges
from aegis_agents.telemetry.instruments import INSTRUMENTS, Instrument

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

_log = logging.getLogger("aegis.telemetry")
TRACE_ID: ContextVar[int | None] = ContextVar("aegis_trace_id", default=None)
"""The trace id that the next trace of this thread or task is to have."""
Lost = Callable[[str, str, int], None]
"""Told what was lost: the signal, why, and how much."""


class Otlp:
    """Tracer and meter of one Aegis, and the threads that send. `lost` is told what could not be sent.

    Raises SettingsError where the extra is missing or a file can't be read.
    """

    def __init__(self, settings: TelemetrySettings, gauges: Gauges, lost: Lost) -> None:
        for file in (settings.otlp_certificate, settings.otlp_client_certificate, settings.otlp_client_key):
            if file is not None and not file.is_file():
                raise SettingsError(f"telemetry: {file} is no file: give a PEM file")
        try:
            resource = _resource(settings)
            self._traces = _tracer_provider(settings, resource, lost)
            self._metrics = _meter_provider(settings, resource, lost)
        except ImportError as error:
            raise SettingsError(
                f"telemetry: otlp_endpoint needs the extra: pip install 'aegis-soc-agents[telemetry]' ({error})"
            ) from error
        self.tracer: Tracer = self._traces.get_tracer("aegis_agents", __version__)
        self._meter = self._metrics.get_meter("aegis_agents", __version__)
        self._made: dict[str, Any] = {}
        for one in INSTRUMENTS:
            self._made[one.name] = (
                self._meter.create_counter(one.name, one.unit, one.about) if one.kind == "counter"
                else self._meter.create_histogram(
                    one.name, one.unit, one.about, explicit_bucket_boundaries_advisory=one.buckets
                )
            )  # fmt: skip
        self._gauges = gauges
        gauges.hear(self._provide)
        self._longest = settings.otlp_seconds
        self._closed = threading.Lock()
        atexit.register(self.close)

    def record(self, instrument: Instrument, value: float, labels: tuple[str, ...]) -> None:
        """Add to a counter, or observe in a histogram; an empty label is left out."""
        attributes = {name: label for name, label in zip(instrument.labels, labels, strict=True) if label}
        made = self._made[instrument.name]
        if instrument.kind == "counter":
            made.add(value, attributes)
        else:
            made.record(value, attributes)

    def _provide(self, gauge: Gauge) -> None:
        from opentelemetry.metrics import Observation

        def asked(_: object) -> list[Observation]:
            return [Observation(n, dict(zip(gauge.labels, v, strict=True))) for v, n in self._gauges.rows(gauge.name)]

        self._meter.create_observable_gauge(gauge.name.replace("aegis_", "aegis.", 1), [asked], "1", gauge.about)

    def close(self) -> None:
        """Send what waits, for at most `otlp_seconds`; what is not gone by then is lost. Calling it twice is fine."""
        if not self._closed.acquire(blocking=False):
            return
        atexit.unregister(self.close)
        ending = threading.Thread(target=self._end, daemon=True, name="aegis-telemetry-end")
        ending.start()
        ending.join(self._longest)
        if ending.is_alive():
            _log.warning("the collector did not take the last spans and metrics in time; they are lost")

    def _end(self) -> None:
        for provider in (self._traces, self._metrics):
            try:
                provider.shutdown()
            except Exception as error:  # noqa: BLE001 - the library's own, of any kind: nothing may come of it here
                _log.warning("telemetry could not be closed: %s", type(error).__name__)


def _session() -> Any:
    """A session that asks the environment for nothing: no proxy, no .netrc."""
    import requests

    session = requests.Session()
    session.trust_env = False
    return session


def _resource(settings: TelemetrySettings) -> Any:
    """What sends: a service and its version. No host name, no user, no command line."""
    from opentelemetry.sdk.resources import Resource

    named = {"service.name": settings.service, "service.version": __version__, "service.instance.id": str(uuid.uuid4())}
    return Resource(named | {"telemetry.sdk.name": "opentelemetry", "telemetry.sdk.language": "python"})


def _given(settings: TelemetrySettings, signal: str) -> dict[str, Any]:
    """What every exporter is given."""
    from opentelemetry.exporter.otlp.proto.http import Compression

    def text(path: Any) -> str | None:
        return None if path is None else str(path)

    return {
        "endpoint": f"{settings.otlp_endpoint}/v1/{signal}", "timeout": settings.otlp_seconds, "session": _session(),
        "headers": header_pairs(settings.otlp_headers) if settings.otlp_headers else None,
        "certificate_file": text(settings.otlp_certificate), "client_key_file": text(settings.otlp_client_key),
        "client_certificate_file": text(settings.otlp_client_certificate), "compression": Compression.Gzip,
    }  # fmt: skip


def _tracer_provider(settings: TelemetrySettings, resource: Any, lost: Lost) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    waiting = _Waiting(settings.otlp_queue)

    class Counted(SpanExporter):
        """Sends, and says what was lost."""

        def __init__(self) -> None:
            self._exporter = OTLPSpanExporter(**_given(settings, "traces"))

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            waiting.leave(len(spans))
            result = self._exporter.export(spans)
            if result is not SpanExportResult.SUCCESS:
                lost("spans", "not_taken", len(spans))
            return result

        def shutdown(self) -> None:
            self._exporter.shutdown()  # type: ignore[no-untyped-call]

    class Bounded(SpanProcessor):
        """Before the queue: what would not fit is dropped here and counted, where the library only logs."""

        def __init__(self) -> None:
            self._queue = BatchSpanProcessor(
                Counted(), max_queue_size=settings.otlp_queue, schedule_delay_millis=1000,
                max_export_batch_size=min(512, settings.otlp_queue),
            )  # fmt: skip

        def on_end(self, span: ReadableSpan) -> None:
            if span.context is None or not span.context.trace_flags.sampled:
                return
            if waiting.enter():
                self._queue.on_end(span)
            else:
                lost("spans", "queue_full", 1)

        def shutdown(self) -> None:
            self._queue.shutdown()  # type: ignore[no-untyped-call]

        def force_flush(self, timeout_millis: int | None = 30_000) -> bool:
            return self._queue.force_flush(timeout_millis)

    class Wanted(RandomIdGenerator):
        """An incident's own trace id where none came from outside, so that whoever works on it adds to one trace."""

        def generate_trace_id(self) -> int:
            return TRACE_ID.get() or super().generate_trace_id()

    share = TraceIdRatioBased(settings.sample)
    provider = TracerProvider(
        # A caller may name the trace; whether it is kept is not his to say.
        sampler=ParentBased(share, remote_parent_sampled=share, remote_parent_not_sampled=share),
        resource=resource, shutdown_on_exit=False, id_generator=Wanted(),
        span_limits=SpanLimits(max_span_attributes=64, max_events=128, max_span_attribute_length=4096),
    )  # fmt: skip
    provider.add_span_processor(Bounded())
    return provider


def _meter_provider(settings: TelemetrySettings, resource: Any, lost: Lost) -> Any:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader

    class Counted(OTLPMetricExporter):
        """Sends, and says what was lost."""

        def export(self, *given: Any, **more: Any) -> MetricExportResult:
            result = super().export(*given, **more)
            if result is not MetricExportResult.SUCCESS:
                lost("metrics", "not_taken", 1)
            return result

    reader = PeriodicExportingMetricReader(
        Counted(**_given(settings, "metrics")), export_interval_millis=settings.otlp_every * 1000,
        export_timeout_millis=settings.otlp_seconds * 1000,
    )  # fmt: skip
    return MeterProvider([reader], resource=resource, shutdown_on_exit=False)


class _Waiting:
    """How many spans wait to be sent, at most `most`."""

    def __init__(self, most: int) -> None:
        self._most, self._now = most, 0
        self._lock = threading.Lock()

    def enter(self) -> bool:
        """Whether there is room for one more, which then waits."""
        with self._lock:
            if self._now >= self._most:
                return False
            self._now += 1
            return True

    def leave(self, number: int) -> None:
        """So many were taken out."""
        with self._lock:
            self._now -= number
