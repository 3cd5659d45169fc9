"""Datagrams: whoever sends them can't be told to wait, so that what has no room is dropped, and counted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from pathlib import Path
from typing import Any

from aegis_agents.streams.intake import Intake
from aegis_agents.streams.syslog.fair import Fair, address_of
from aegis_agents.streams.syslog.framing import Frame

RECEIVE_BYTES = 8_000_000
"""What is asked of the kernel for datagrams that we have not read yet; it may give less."""
SAY_S = 10.0
_log = logging.getLogger("aegis.streams")


class Datagrams(asyncio.DatagramProtocol):
    """Receives datagrams into the queue."""

    def __init__(self, fair: Fair, intake: Intake) -> None:
        self._fair, self._intake = fair, intake
        self._transport: asyncio.DatagramTransport | None = None
        self._said = (time.monotonic(), 0)
        self._kernel = (time.monotonic(), 0)
        """When the kernel was asked what it had to drop, and how many that were."""
        self._inode = ""

    @classmethod
    async def open(cls, host: str, port: int, fair: Fair, intake: Intake) -> Datagrams:
        """Listen. Raises OSError."""
        loop = asyncio.get_running_loop()
        protocol = cls(fair, intake)
        await loop.create_datagram_endpoint(lambda: protocol, local_addr=(host, port))
        sock = protocol._socket()
        with contextlib.suppress(OSError):  # it then has what the system gives
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        protocol._inode = str(os.fstat(sock.fileno()).st_ino)
        return protocol

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket().getsockname()[1])

    def connection_made(self, transport: Any) -> None:
        """Called by the event loop."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Called by the event loop: one message (RFC 5426)."""
        if data and not self._fair.offer(address_of(addr), Frame(data, len(data))):
            self._intake.tally.dropped += 1
            self._say(SAY_S)

    def error_received(self, exc: Exception) -> None:
        """Called by the event loop; nothing of ours was sent."""

    def look(self) -> None:
        """Every now and then: count what the kernel had to drop, and say what was dropped."""
        if time.monotonic() - self._kernel[0] >= SAY_S:
            self._ask_kernel()

    def close(self) -> None:
        """Stop listening."""
        self._ask_kernel()
        if self._transport is not None:
            self._transport.close()

    def _ask_kernel(self) -> None:
        lost = self._lost_in_kernel()
        self._intake.tally.dropped += lost - self._kernel[1]
        self._kernel = time.monotonic(), lost
        if self._intake.tally.dropped > self._said[1]:
            self._say(SAY_S)

    def _say(self, every: float) -> None:
        """Say how many were dropped, at most so often."""
        at, said = self._said
        now, dropped = time.monotonic(), self._intake.tally.dropped
        if not said or now - at >= every:
            self._said = now, dropped
            _log.error(
                "%s: %d datagrams were dropped: more come than are taken in; use TCP", self._intake.name, dropped
            )

    def _lost_in_kernel(self) -> int:
        """Datagrams that the kernel had no room for (Linux says so, since the socket was opened)."""
        for table in ("udp", "udp6"):
            try:
                lines = Path(f"/proc/net/{table}").read_text("ascii").splitlines()[1:]
            except OSError:
                continue
            for line in lines:
                fields = line.split()
                if len(fields) > 12 and fields[9] == self._inode:
                    return int(fields[12])
        return 0

    def _socket(self) -> socket.socket:
        assert self._transport is not None  # noqa: S101 - it was opened
        found: socket.socket = self._transport.get_extra_info("socket")
        return found
