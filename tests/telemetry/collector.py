"""An OpenTelemetry collector on loopback: takes OTLP over HTTP, reads the protobuf, keeps what came."""

from __future__ import annotations

import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """What came: spans, metrics by name, request headers, and every byte, unpacked."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, Any]] = []
        self.metrics: dict[str, Any] = {}
        self.headers: list[dict[str, str]] = []
        self.raw = b""
        self.status, self.delay = 200, 0.0
        self.url = ""

    def named(self, name: str) -> Any:
        """The one span of this name."""
        found = [s for s in self.spans if s.name == name]
        assert len(found) == 1, f"{len(found)} spans {name!r} of {sorted(s.name for s in self.spans)}"
        return found[0]

    def wait(self, until: Callable[[], bool], seconds: float = 5.0) -> None:
        """Until something holds."""
        end = time.monotonic() + seconds
        while not until() and time.monotonic() < end:
            time.sleep(0.01)
        assert until(), "it did not come in time"


def attributes(of: Any) -> dict[str, Any]:
    """Attributes of a span, event, point or resource as plain values."""
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in of.attributes}


def points(metric: Any) -> list[tuple[dict[str, Any], Any]]:
    """(labels, point) of a metric."""
    return [(attributes(p), p) for p in getattr(metric, metric.WhichOneof("data")).data_points]


@contextmanager
def collecting(tls: ssl.SSLContext | None = None) -> Iterator[Collector]:
    """A collector that listens; its `url` is the endpoint to set."""
    got = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            time.sleep(got.delay)
            got.headers.append({k.lower(): v for k, v in self.headers.items()})
            if got.status == 200:
                got.raw += body
                self._keep(body)
            self.send_response(got.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _keep(self, body: bytes) -> None:
            if self.path == "/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    got.resources.append(attributes(resource.resource))
                    for scope in resource.scope_spans:
                        got.spans += scope.spans
            elif self.path == "/v1/metrics":
                for measured in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for scope in measured.scope_metrics:
                        got.metrics |= {m.name: m for m in scope.metrics}

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    got.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    try:
        yield got
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
