"""Off unless configured: nothing is imported, opened, started or counted. And one that fails harms no decision."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aegis_agents import Aegis
from aegis_agents.errors import SettingsError
from aegis_agents.settings_telemetry import TelemetrySettings
from aegis_agents.telemetry.watch import Telemetry, now
from tests.telemetry.collector import Collector
from tests.telemetry.conftest import ATTACK

Make = Callable[..., Aegis]


def test_importing_the_room_loads_nothing_of_opentelemetry() -> None:
    code = (
        "import sys, aegis_agents.aegis\n"
        f"print([m for m in sys.modules if m.startswith({('opentelemetry.sdk', 'opentelemetry.exporter', 'structlog', 'prometheus_client')!r})])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nobody_listens_by_default(make: Make) -> None:
    aegis = make()
    aegis.investigate(ATTACK)
    assert now() is None
    assert not aegis.telemetry.on
    assert aegis.telemetry.tracing is None


def test_a_collector_that_is_away_delays_no_decision_and_what_was_lost_is_counted(
    make: Make, free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = TelemetrySettings(otlp_endpoint=f"http://127.0.0.1:{free_port}", otlp_seconds=0.3)
    aegis = make(telemetry=wanted)
    figures = aegis.telemetry.prometheus()
    begun = time.perf_counter()
    case = aegis.investigate(ATTACK)
    assert time.perf_counter() - begun < 5
    assert case.verdict == "true_positive"
    begun = time.perf_counter()
    aegis.close()
    assert time.perf_counter() - begun < 2
    until = time.monotonic() + 5
    while b'dropped_total{reason="not_taken",signal="spans"}' not in figures.text() and time.monotonic() < until:
        time.sleep(0.02)
    assert b'dropped_total{reason="not_taken",signal="spans"}' in figures.text()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_queue_that_is_full_drops_and_counts(make: Make, collector: Collector) -> None:
    collector.delay = 0.5
    wanted = TelemetrySettings(otlp_endpoint=collector.url, otlp_queue=64, otlp_seconds=1)
    telemetry = Telemetry(wanted)
    figures = telemetry.prometheus()
    for _ in range(1000):
        with telemetry.span("one", {}):
            pass
    text = figures.text().decode()
    dropped = next(
        float(line.split()[-1]) for line in text.splitlines()
        if line.startswith('aegis_telemetry_dropped_total{reason="queue_full",signal="spans"}')
    )  # fmt: skip
    assert 500 < dropped <= 1000 - 64
    telemetry.close()


def test_a_collector_that_says_no_harms_nothing(make: Make, collector: Collector) -> None:
    collector.status = 400
    aegis = make(telemetry=TelemetrySettings(otlp_endpoint=collector.url))
    assert aegis.investigate(ATTACK).verdict == "true_positive"
    aegis.close()
    assert collector.headers
    assert collector.spans == []


def test_headers_are_sent_and_shown_nowhere(make: Make, collector: Collector) -> None:
    wanted = TelemetrySettings(otlp_endpoint=collector.url, otlp_headers="api-key=sesame-9,x-tenant=blue")  # type: ignore[arg-type]
    aegis = make(telemetry=wanted)
    aegis.investigate(ATTACK)
    aegis.close()
    assert {h["api-key"] for h in collector.headers} == {"sesame-9"}
    assert "sesame-9" not in repr(wanted) + wanted.model_dump_json()
    assert b"sesame-9" not in collector.raw


def test_the_environments_proxy_is_not_asked(
    make: Make, collector: Collector, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    aegis = make(telemetry=TelemetrySettings(otlp_endpoint=collector.url))
    aegis.investigate(ATTACK)
    aegis.close()
    assert collector.spans


def test_closing_twice_and_after_the_end_is_fine(make: Make, collector: Collector) -> None:
    telemetry = Telemetry(TelemetrySettings(otlp_endpoint=collector.url))
    telemetry.close()
    telemetry.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("Otel")]


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SettingsError, match=r"aegis-soc-agents\[telemetry\]"):
        Telemetry(TelemetrySettings(otlp_endpoint="http://127.0.0.1:1"))
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(SettingsError, match=r"aegis-soc-agents\[telemetry\]"):
        Telemetry(TelemetrySettings(metrics_port=0))
    monkeypatch.setitem(sys.modules, "structlog", None)
    monkeypatch.setitem(sys.modules, "structlog.contextvars", None)
    with pytest.raises(SettingsError, match=r"aegis-soc-agents\[telemetry\]"):
        Telemetry(TelemetrySettings(logs="json"))


def test_a_certificate_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    wanted = TelemetrySettings(otlp_endpoint="https://127.0.0.1:1", otlp_certificate=tmp_path / "none.pem")
    with pytest.raises(SettingsError, match=r"none\.pem is no file"):
        Telemetry(wanted)


def test_what_breaks_inside_telemetry_harms_no_decision(
    make: Make, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def record(self, *_: object) -> None:
            raise RuntimeError("disk full")

    def broken(_: str) -> str:
        raise RuntimeError("no pattern")

    aegis = make(telemetry=TelemetrySettings(otlp_endpoint=collector.url))
    contents = Telemetry(TelemetrySettings(contents=True), redact=broken)
    assert contents.redact is not None
    assert contents.redact("wks-041") == "(left out: RuntimeError)"
    aegis.telemetry.figures.add(Broken())
    assert aegis.investigate(ATTACK).verdict == "true_positive"
    aegis.close()
    assert collector.spans
    assert caplog.text.count("figures can't be kept") == 1
