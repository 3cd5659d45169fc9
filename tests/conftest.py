"""What all tests share: no test reaches outside this machine, and development data only where it is named."""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


def _is_outside(host: object) -> bool:
    if not isinstance(host, str) or host in ("", "localhost"):
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


@pytest.fixture(autouse=True)
def no_outside_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any look-up of, or connection to, another machine fails the test."""
    real_connect, real_lookup = socket.socket.connect, socket.getaddrinfo

    def connect(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and _is_outside(address[0]):
            raise AssertionError(f"a test connects to {address}")
        return real_connect(self, address)

    def lookup(host: Any, *more: Any, **named: Any) -> Any:
        if _is_outside(host):
            raise AssertionError(f"a test looks up {host}")
        return real_lookup(host, *more, **named)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", lookup)


@pytest.fixture(scope="session")
def dev_data() -> Path:
    """The folder with development data; tests that need it skip without it."""
    folder = os.environ.get("AEGIS_DEV_DATA")
    if not folder:
        pytest.skip("AEGIS_DEV_DATA is not set: it names the folder with development data")
    return Path(folder)


@pytest.fixture
def still_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rate limits see no time pass: a window that ends midway lets one request more through."""
    now = time.time()
    monkeypatch.setattr("limits.storage.memory.time", SimpleNamespace(time=lambda: now))
