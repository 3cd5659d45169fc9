"""Figures for Prometheus: counts and times, never what an alert says, nor a label that grows with use."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from aegis_agents._version import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5, 10, 30)


class Metrics:
    """What one server counts, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        Gauge("aegis_build_info", "The version that runs.", ["version"], registry=self.registry).labels(__version__).set(1)  # fmt: skip
        self.requests = Counter(
            "aegis_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "aegis_http_request_seconds", "From the request's head to its answer's.", ["method", "route"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.cases = Counter("aegis_cases", "Cases decided over HTTP.", ["verdict"], registry=self.registry)
        self.decision = Histogram(
            "aegis_decision_seconds", "The library's own time for a decision.", buckets=_SECONDS, registry=self.registry
        )
        self.waiting = Gauge("aegis_actions_waiting", "Actions that wait for a person.", registry=self.registry)
        self.inside = Gauge("aegis_workroom_inside", "Requests under way or waiting.", registry=self.registry)
        self.bodies = Gauge("aegis_bodies_bytes", "Bytes of request bodies in memory.", registry=self.registry)
        self.webhooks = Counter(
            "aegis_webhooks", "Messages to receivers.", ["event", "outcome"], registry=self.registry
        )
        self.background = Counter(
            "aegis_background_errors", "Errors of what runs beside.", ["task"], registry=self.registry
        )

        self._others: list[Callable[[], bytes]] = []

    def also(self, others: Callable[[], bytes]) -> None:
        """Answer these figures too, such as the library's own."""
        self._others.append(others)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return b"".join([generate_latest(self.registry), *(others() for others in self._others)])
