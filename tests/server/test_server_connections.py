"""Connections that nothing comes of, and requests whose end is in doubt."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn

from aegis_agents.records import AEGIS
from aegis_agents.server import connections

_DAY = timedelta(days=1)


def _connect(url: str) -> socket.socket:
    where = urlsplit(url)
    return socket.create_connection((where.hostname, where.port), timeout=10)


def _closed(sock: socket.socket) -> bool:
    """Whether the other side has ended the connection; waits until it does, or ten seconds."""
    try:
        while sock.recv(65_536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    "sent",
    [
        b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /he",
        b"POST /v1/ask HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",  # answered 401 before its body
    ],
)  # fmt: skip
def test_a_connection_without_a_request_is_ended(
    make: Callable[..., Any], listening: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.3)
    with listening(make()) as url, closing(_connect(url)) as sock:
        sock.sendall(sent)
        assert _closed(sock)
        assert httpx.get(f"{url}/healthz").status_code == 200


def _pour(sock: socket.socket, most: int) -> int:
    """How many bytes it takes until the other side has had enough."""
    sent = 0
    try:
        while sent < most:
            sent += sock.send(b"x" * 65_536)
    except ConnectionError:
        pass
    return sent


def test_a_head_without_end_is_not_kept(make: Callable[..., Any], listening: Callable[..., Any]) -> None:
    with listening(make()) as url, closing(_connect(url)) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        sent = _pour(sock, 50_000_000)
        assert sent < 50_000_000


@pytest.mark.parametrize(
    "lengths",
    [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: chunked, identity\r\n", "Content-Length: +4\r\n",
        "Content-Length : 4\r\n",
    ],
)  # fmt: skip
def test_a_request_whose_end_is_in_doubt_is_one_request_at_most(
    make: Callable[..., Any], listening: Callable[..., Any], lengths: str
) -> None:
    aegis = make()
    token = aegis.store.add_token("ana", ("analyst",), AEGIS, valid_for=_DAY)
    inside = f"GET /v1/timers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    with listening(aegis) as url, closing(_connect(url)) as sock:
        sock.sendall(f"POST /healthz HTTP/1.1\r\nHost: x\r\n{lengths}\r\n0\r\n\r\n{inside}".encode())
        sock.settimeout(1)
        said = b""
        try:
            while chunk := sock.recv(65_536):
                said += chunk
        except TimeoutError:
            pass
    first = said.split(b"\r\n", 1)[0]
    # Chunked counts where both are given (RFC 9112 6.3); everything else is refused whole.
    both = "chunked\r\n" in lengths and "x" not in lengths
    assert first.endswith(b"405 Method Not Allowed" if both else b"400 Bad Request"), said


def test_too_many_connections_are_told_so(make: Callable[..., Any], listening: Callable[..., Any]) -> None:
    for most, status in ((2, 503), (50, 200)):
        with listening(make(), connections=most) as url, closing(_connect(url)):
            time.sleep(0.1)
            assert httpx.get(f"{url}/healthz").status_code == status


def test_connections_far_beyond_the_most_are_not_heard(
    make: Callable[..., Any], listening: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SPARE", 1)
    with listening(make(), connections=1) as url:
        opened = [_connect(url) for _ in range(4)]
        for sock in opened[2:]:
            sock.settimeout(3)
            assert _closed(sock)
        for sock in opened:
            sock.close()


def test_who_takes_nothing_of_an_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "TAKE_S", 0.3)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1_000):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    settings: dict[str, Any] = {"port": 0, "lifespan": "off", "ws": "none", "log_level": "critical"}
    server = uvicorn.Server(uvicorn.Config(app, http=connections.BoundedConnection, **settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    with closing(_connect(url)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        until = time.monotonic() + 10
        while not server.server_state.connections and time.monotonic() < until:
            time.sleep(0.01)
        while server.server_state.connections and time.monotonic() < until:
            time.sleep(0.01)
        assert not server.server_state.connections
    assert len(httpx.get(url).content) == 65_536_000  # who takes it gets it
    server.should_exit = True
    thread.join(20)
