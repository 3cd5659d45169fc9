"""Connections to checked addresses only, and never longer than the deadline.

A layer below httpcore's connection: name resolution, reading and writing all pass through here, so that neither a
redirect, nor a header that comes byte by byte, nor a slow TLS handshake can get around it.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore  # this module is imported inside functions

from aegis_agents.errors import LimitExceeded
from aegis_agents.intel.feeds.addresses import Resolve, checked

Clock = Callable[[], float]


class Deadline:
    """A moment after which nothing is waited for. Seconds from now, by a monotonic clock."""

    def __init__(self, name: str, seconds: float, clock: Clock = time.monotonic) -> None:
        self._name, self._seconds, self._clock, self._end = name, seconds, clock, clock() + seconds

    def left(self) -> float:
        """Seconds left. Raises LimitExceeded when there are none."""
        left = self._end - self._clock()
        if left <= 0:
            raise self.passed()
        return left

    def passed(self) -> LimitExceeded:
        """The error that says so."""
        message = f"fetching took longer than {self._seconds:g} seconds and was stopped"
        return LimitExceeded(message, field=f"feed {self._name}", fix="check the server, or allow it more time")

    def within(self, timeout: float | None) -> float:
        """A timeout that does not reach beyond the deadline."""
        left = self.left()
        return left if timeout is None else min(timeout, left)


class CheckedNetwork(httpcore.NetworkBackend):
    """Resolves a host, checks every address, and connects to one of those checked."""

    def __init__(self, name: str, deadline: Deadline, *, internal: bool, resolve: Resolve) -> None:
        self._name, self._deadline, self._internal, self._resolve = name, deadline, internal, resolve
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:  # fmt: skip
        """A connection to the first checked address that answers. Raises IntelError for one not allowed."""
        try:
            addresses = checked(self._name, host, port, internal=self._internal, resolve=self._resolve)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} can't be resolved: {error}") from error
        failed: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in addresses:
            try:
                within = self._deadline.within(timeout)
                stream = self._network.connect_tcp(address, port, within, local_address, socket_options)
                return _Timed(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        assert failed is not None  # noqa: S101 - there is at least one address
        raise failed


class _Timed(httpcore.NetworkStream):
    """A stream whose every wait ends at the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._stream.read(max_bytes, self._deadline.within(timeout))
        except httpcore.ReadTimeout:
            self._deadline.left()  # says so if it was the deadline that ended the wait
            raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.within(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._deadline.within(timeout))
        return _Timed(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
