"""A loopback HTTP server whose every answer a test writes itself, honest or not."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple

Page = Callable[["Handler"], None]


class Asked(NamedTuple):
    """A request as it arrived; header names in lower case."""

    path: str
    headers: dict[str, str]


class Handler(BaseHTTPRequestHandler):
    """Leaves the answer to the page of its path (without query), and notes what was asked."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self.server.asked.append(Asked(self.path, {k.lower(): v for k, v in self.headers.items()}))
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            self.answer(b"", status=404)
        else:
            page(self)

    def answer(self, body: bytes, *, status: int = 200, length: int | None = None, **headers: str) -> None:
        """An answer with a length (the true one unless `length` says another); "_" in header names stands for "-"."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        """Close the connection without another word."""
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Tests read `asked` instead."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []

    def handle_error(self, *_: Any) -> None:
        """A client that stops listening is what most of these tests are about."""


class HostileServer:
    """`pages[path] = function of the handler`; `url(path)`; `asked` lists the requests."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._server = _Server()
        self._scheme = "http"
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> HostileServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def pages(self) -> dict[str, Page]:
        return self._server.pages

    @property
    def asked(self) -> list[Asked]:
        return self._server.asked

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.port}{path}"
