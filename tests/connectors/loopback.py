"""A vendor's HTTP service on loopback: routes, switches for what goes wrong, and a record of all requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """What the client sent. `path` is as it came over the wire, still percent-encoded."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body; None if it is empty."""
        return json.loads(self.body) if self.body else None

    def one(self, name: str) -> str | None:
        """A query parameter that may be given once."""
        values = [value for key, value in self.query if key == name]
        assert len(values) <= 1, f"{name} is given {len(values)} times"
        return values[0] if values else None


@dataclass(frozen=True)
class Answer:
    """What the vendor says: `body` goes out as JSON unless it is None, or bytes, whose type `headers` name."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Vendor:
    """The base of a vendor: answers requests under one lock, with switches.

    A subclass answers in `answer` and calls `change(do)` around what changes something, so that
    the switches hold: `denied`, `ignoring`, `losing`, `limiting`. `complaints` collects what in a
    request did not fit the vendor's schema; the rig's fixture asserts that it is empty.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.requests: list[Request] = []
        self.complaints: list[str] = []
        self.effects = 0
        self.denied = self.ignoring = False
        self.losing = self.limiting = 0
        self.url = ""

    def answer(self, request: Request) -> Answer:
        """The vendor's answer."""
        raise NotImplementedError

    def denial(self, request: Request) -> Answer:
        """What a request without permission gets."""
        raise NotImplementedError

    def busy(self) -> Answer:
        """What a request too many gets."""
        return Answer(429, {"error": "too many requests"}, {"Retry-After": "0"})

    def change(self, do: Callable[[], bool], answer: Answer) -> Answer:
        """Do a change, unless a switch says otherwise; `do` answers whether it counts as an effect.

        Raises Lost where the answer is to get lost after the effect.
        """
        if self.limiting > 0:
            self.limiting -= 1
            return self.busy()
        if not self.ignoring and do():
            self.effects += 1
        if self.losing > 0:
            self.losing -= 1
            raise Lost
        return answer


class Lost(Exception):
    """The connection ends here, without an answer."""


@contextmanager
def serving(vendor: Vendor, *, certificate: tuple[str, str] | None = None) -> Iterator[Vendor]:
    """The vendor at `vendor.url` while the block runs; TLS with `certificate` (chain file, key file)."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10
        wbufsize = -1  # head and body leave together: apart, the second waits for the first's acknowledgement

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            where = urlsplit(self.path)
            request = Request(
                self.command, where.path, tuple(parse_qsl(where.query, keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()}, self.rfile.read(length),
            )  # fmt: skip
            try:
                with vendor.lock:
                    vendor.requests.append(request)
                    answer = vendor.answer(request)
            except Lost:
                self.close_connection = True
                return
            except Exception as error:  # noqa: BLE001 - a fake that breaks is a complaint that fails the test
                vendor.complaints.append(f"{request.method} {request.path}: {type(error).__name__}: {error}")
                answer = Answer(500, {"error": "the fake broke"})
            raw = isinstance(answer.body, bytes)
            body = b"" if answer.body is None else answer.body if raw else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if body and not raw:
                self.send_header("Content-Type", "application/json")
            if answer.status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _handle

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                pass  # the client left, as clients that time out do

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate:
        import ssl

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    vendor.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
