"""The syslog receiver as a stream. It listens in an event loop of its own thread and hands over what came in batches.

Syslog has no answer that says "I have it": what was received and is not in the inbox yet when the process is killed is
gone, unless the sender sends it again. On SIGTERM it stops receiving and hands over what it has.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter

from aegis_agents.errors import SettingsError, StreamError
from aegis_agents.settings_streams import SyslogSettings
from aegis_agents.streams.intake import BATCH, BATCH_BYTES, Intake, Stopped
from aegis_agents.streams.stream import Entry
from aegis_agents.streams.syslog.fair import Fair, address_of
from aegis_agents.streams.syslog.framing import Frame, Framer
from aegis_agents.streams.syslog.payload import native_of
from aegis_agents.streams.syslog.udp import Datagrams

_CHUNK = 65_536
_HANDSHAKE_S = 10.0
_LOOK_S = 0.1
_DRAIN_S = 2.0
_log = logging.getLogger("aegis.streams")


class SyslogStream:
    """Listens at one address. `port` is the one it has, once it listens (0 until then)."""

    def __init__(self, settings: SyslogSettings) -> None:
        self._settings = settings
        self.port = 0

    def run(self, intake: Intake, *, once: bool) -> None:
        """See `Stream.run`. What is sent can't be asked for: with `once` it does not listen at all."""
        if once:
            _log.warning(
                "%s: syslog is not asked for messages, it waits for them: nothing is done with --once", intake.name
            )
            return
        try:
            asyncio.run(_Listening(self, self._settings, intake).run())
        finally:
            self.port = 0


class _Listening:
    """One run of it."""

    def __init__(self, stream: SyslogStream, settings: SyslogSettings, intake: Intake) -> None:
        self._stream, self._settings, self._intake = stream, settings, intake
        self._fair = Fair(settings.queue, settings.queue_bytes)
        self._connections: Counter[str] = Counter()
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._tls: ssl.SSLContext | None = None
        self._closed = False
        """Nobody is let in any more."""
        self._stopping = False
        """Nothing more comes: what is there is handed over."""

    async def run(self) -> None:
        """Listen until it is to stop, then hand over what is left."""
        listening = await self._listen()
        handing = asyncio.create_task(self._hand_over())
        try:
            while not self._intake.stop.is_set() and not handing.done():
                await asyncio.wait([handing], timeout=_LOOK_S)
                listening.look()
        finally:
            try:
                await asyncio.sleep(_LOOK_S)  # who was let in by the kernel already is heard
                listening.close()
                self._closed = True
                await self._end_connections()
                self._stopping = True
                self._fair.wake()
                await handing
            finally:
                self._intake.tally.dropped += len(self._fair)

    async def _end_connections(self) -> None:
        """Take what the senders know as sent, and no more; who goes on sending is cut off."""
        for task, writer in self._tasks.items():
            try:
                writer.get_extra_info("socket").shutdown(socket.SHUT_RD)
            except OSError:
                task.cancel()  # it has gone
        if self._tasks:
            left = (await asyncio.wait(self._tasks, timeout=_DRAIN_S))[1]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _listen(self) -> Datagrams | _Server:
        """Begin to listen. Raises StreamError, SettingsError."""
        settings = self._settings
        where = f"{settings.host} port {settings.port}"
        try:
            if settings.transport == "udp":
                datagrams = await Datagrams.open(settings.host, settings.port, self._fair, self._intake)
                self._stream.port = datagrams.port
                return datagrams
            self._tls = _context(settings)
            server = await asyncio.start_server(self._connected, settings.host, settings.port, limit=_CHUNK)
        except OSError as error:
            raise StreamError(f"can't listen at {where}: {error.strerror or error}") from error
        self._stream.port = server.sockets[0].getsockname()[1]
        return _Server(server)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - the event loop runs it as one
        address = address_of(writer.get_extra_info("peername"))
        most = self._settings.connections
        full = self._connections.total() >= most or self._connections[address] >= (most + 1) // 2
        if full or self._closed:
            self._intake.tally.refused += 1
            writer.transport.abort()
            return
        self._connections[address] += 1
        self._tasks[task] = writer
        try:
            if self._tls is not None:  # here, so that connections count that never finish their handshake
                await writer.start_tls(self._tls, ssl_handshake_timeout=_HANDSHAKE_S)
            await self._receive(address, reader)
        except OSError:  # SSLError too
            pass  # it went away, or speaks no TLS; what came whole was kept
        except asyncio.CancelledError:
            pass  # by us, at the end; Python 3.11 logs a task that was cancelled here as a failure
        finally:
            del self._tasks[task]
            self._connections[address] -= 1
            self._connections += Counter()  # forget who has none
            writer.transport.abort()

    async def _receive(self, address: str, reader: asyncio.StreamReader) -> None:
        framer = Framer(self._settings.message_bytes)
        frames: list[Frame] = []
        try:
            while True:
                try:
                    async with asyncio.timeout(self._settings.idle_s):
                        chunk = await reader.read(_CHUNK)
                except TimeoutError:
                    chunk = b""
                if not chunk and self._intake.stop.is_set():  # cut off by us: the sender has the rest
                    self._intake.tally.dropped += framer.pending
                    return
                frames = framer.feed(chunk) if chunk else framer.end()
                while frames:
                    await self._fair.put(address, frames[0])
                    frames.pop(0)
                if not chunk:
                    return
        finally:  # told to stop while it waited for room
            self._intake.tally.dropped += sum(not self._fair.offer(address, frame) for frame in frames)

    async def _hand_over(self) -> None:
        """Hand over what came, until it is to stop and nothing is left."""
        settings, intake = self._settings, self._intake
        while True:
            await self._fair.wait()
            frames = self._fair.take(BATCH, BATCH_BYTES)
            if not frames:
                if self._stopping:
                    return
                self._fair.clear()
                continue
            intake.tally.too_long += sum(frame.length > settings.message_bytes for frame in frames)
            before = intake.tally.read
            try:
                await asyncio.to_thread(self._put, frames)
            except Stopped:
                intake.tally.dropped += len(frames) - (intake.tally.read - before)
                return

    def _put(self, frames: list[Frame]) -> None:
        most = self._settings.message_bytes
        natives = [native_of(frame.data, frame.length, most) for frame in frames]
        self._intake.put([Entry(self._intake.message(native)) for native in natives])


class _Server:
    """A TCP server, as `Datagrams` are used."""

    def __init__(self, server: asyncio.Server) -> None:
        self._server = server

    def close(self) -> None:
        """Accept nobody any more."""
        self._server.close()

    def look(self) -> None:
        """Nothing is dropped unseen here."""


def _context(settings: SyslogSettings) -> ssl.SSLContext | None:
    """TLS 1.2 or newer (RFC 9662 takes the place of RFC 5425's ciphers). Raises SettingsError."""
    if settings.transport != "tls":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    password = settings.tls_key_password.get_secret_value() if settings.tls_key_password else ""
    try:
        context.load_cert_chain(str(settings.tls_certificate), str(settings.tls_key), password=password)
        if settings.tls_clients is not None:
            context.load_verify_locations(str(settings.tls_clients))
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise SettingsError(
            f"{settings.name}: tls_certificate, tls_key or tls_clients can't be used ({error}): give PEM files that fit"
        ) from error
    return context
