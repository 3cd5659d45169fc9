"""An Aegis with a fake model, and a collector on loopback that hears it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.settings_telemetry import TelemetrySettings
from tests.graph.conftest import ATTACK, FakeFirewall, FakeModel, SureModel, firewall, intel_home, make
from tests.telemetry.collector import Collector, collecting

__all__ = ["ATTACK", "FakeFirewall", "FakeModel", "SureModel", "firewall", "intel_home", "make"]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as got:
        yield got


@pytest.fixture
def heard(make: Callable[..., Aegis], collector: Collector) -> Callable[..., Aegis]:
    """An Aegis whose telemetry goes to the collector; close it and all of it has come."""

    def build(telemetry: dict[str, Any] | None = None, **settings: Any) -> Aegis:
        wanted = TelemetrySettings(otlp_endpoint=collector.url, **(telemetry or {}))
        return make(telemetry=wanted, **settings)

    return build


@pytest.fixture
def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
