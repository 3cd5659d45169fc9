"""AWS on loopback: moto's server behind a gate that denies, throttles, ignores, or loses the answer.

botocore validates every request against AWS's published models before it sends it, and moto answers
it as the service would. What the gate says has the shape of the real service's errors.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

REGION, OTHER_REGION = "eu-central-1", "eu-west-1"
SECRET_KEY, TOKEN = "wJalrXUtnFEMIsecretKEYofTESTS0123456789ab", "session-token-of-the-tests"
_READS = re.compile(r"(Get|List|Describe|AssumeRole)")


class LostAnswer(ConnectionResetError):
    """The connection is to end without an answer; werkzeug takes it for a client that left."""


class Gate:
    """A WSGI application before moto's: switches, and a list of the changes that went through."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self.open()

    def open(self) -> None:
        """Switch everything off."""
        self.armed = self.denied = self.ignoring = False
        self.losing = self.limiting = 0
        self.changes: list[tuple[str, dict[str, Any]]] = []
        self.before: Callable[[str], None] | None = None
        self.said_no: set[str] = set()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if target:
            operation, asked = target.rpartition(".")[2], json.loads(body)
        else:
            asked = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            operation = asked.get("Action", "")
        if not self.armed or not operation:
            return self._pass(environ, start, body)
        if self.denied or operation in self.said_no:
            return _error(start, environ, bool(target), 403, "AccessDenied", f"no {operation}; {SECRET_KEY} {TOKEN}")
        if _READS.match(operation):
            return self._pass(environ, start, body)
        if self.before is not None:
            self.before(operation)
        if self.limiting > 0:
            self.limiting -= 1
            return _error(start, environ, bool(target), 400, "Throttling", "Rate exceeded")
        if self.ignoring:
            return _nothing_done(start, environ, operation, bool(target))
        losing, self.losing = self.losing > 0, max(0, self.losing - 1)
        said: list[str] = []

        def listen(status: str, headers: Any, *rest: Any) -> Any:
            said.append(status)
            return _deaf() if losing else start(status, headers, *rest)

        answer = list(self._pass(environ, listen, body))
        if said[0].startswith("2"):
            self.changes.append((operation, asked))
        if losing:
            raise LostAnswer
        return answer

    def _pass(self, environ: dict[str, Any], start: Callable[..., Any], body: bytes) -> Iterable[bytes]:
        import io

        environ["wsgi.input"] = io.BytesIO(body)
        return self._app(environ, start)


def _deaf(*_: Any) -> Callable[[bytes], None]:
    return lambda _: None


def _error(
    start: Callable[..., Any], environ: dict[str, Any], as_json: bool, status: int, code: str, message: str
) -> list[bytes]:
    if as_json:
        start(f"{status} No", [("Content-Type", "application/x-amz-json-1.1")])
        return [json.dumps({"__type": code, "message": message}).encode()]
    start(f"{status} No", [("Content-Type", "text/xml")])
    inner = f"<Code>{code}</Code><Message>{message}</Message>"
    if "/ec2/" in environ.get("HTTP_AUTHORIZATION", ""):
        return [f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>r</RequestID></Response>".encode()]
    return [
        f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error><RequestId>r</RequestId></ErrorResponse>".encode()
    ]


def _nothing_done(start: Callable[..., Any], environ: dict[str, Any], operation: str, as_json: bool) -> list[bytes]:
    """A success that says no more than that."""
    if as_json:
        start("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
        return [json.dumps({"NextLockToken": "t"}).encode()]
    start("200 OK", [("Content-Type", "text/xml")])
    if "/ec2/" in environ.get("HTTP_AUTHORIZATION", ""):
        return [f"<{operation}Response><requestId>r</requestId><return>true</return></{operation}Response>".encode()]
    inner = f"<{operation}Result/><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
    return [f"<{operation}Response>{inner}</{operation}Response>".encode()]


def running() -> Iterator[tuple[str, Gate]]:
    """(URL, gate) of a server on a free port, until the generator is closed."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
            self.close_connection = True

        def log(self, type: str, message: str, *args: Any) -> None:
            """Quiet."""

    gate = Gate(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, gate, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", gate
    finally:
        server.shutdown()
        thread.join(timeout=5)
        server.server_close()


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Gate]]:
    """moto's server. Reading AWS's models takes a second for each new session: here they are read once."""
    import botocore.session

    models = botocore.session.get_session().get_component("data_loader")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda *_: models)
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        yield from running()


@pytest.fixture
def cloud(server: tuple[str, Gate], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Gate]]:
    """An empty account; the credentials come by the SDK's standard chain."""
    from urllib.request import Request, urlopen

    url, gate = server
    gate.open()
    urlopen(Request(f"{url}/moto-api/reset", method="POST")).close()
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7TESTS00")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield url, gate
    gate.open()
