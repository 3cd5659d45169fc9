"""The connectors that tell people: the local outbox, and a webhook against a real server on loopback."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import ConnectorError, NotPermitted, SettingsError, TransientConnectorError
from aegis_agents.records import Target
from aegis_agents.tools import OutboxConnector, WebhookConnector
from aegis_agents.tools.connectors.webhook import SIGNATURE_HEADER

ALERT = Target(kind="alert", value="../../etc/passwd\x00")


def test_the_outbox_keeps_reads_and_takes_back(tmp_path: Path) -> None:
    outbox = OutboxConnector(tmp_path / "outbox")
    assert outbox.read("open_ticket", ALERT) is False
    reference = outbox.apply("open_ticket", ALERT, key="k1", note="please look")
    entry = json.loads((tmp_path / "outbox" / reference).read_text())
    assert (entry["note"], entry["target"]["value"]) == ("please look", ALERT.value)
    assert outbox.read("open_ticket", ALERT) is True
    assert outbox.read("close_alert", ALERT) is False
    outbox.undo("open_ticket", ALERT, key="k1")
    assert outbox.read("open_ticket", ALERT) is False
    outbox.undo("open_ticket", ALERT, key="k1")


def test_an_outbox_that_can_not_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file where the folder should be")
    with pytest.raises(ConnectorError, match="outbox"):
        OutboxConnector(tmp_path / "outbox").apply("open_ticket", ALERT, key="k", note="")


class Receiver(HTTPServer):
    """Answers as scripted: (status, body, headers)."""

    answer: tuple[int, bytes, dict[str, str]] = (200, b'{"id": "T-1"}', {})
    got: list[tuple[dict[str, str], bytes]]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        server.got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        status, body, headers = server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver(("127.0.0.1", 0), _Handler)
    server.got = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def connector(receiver: Receiver, secret: str | None = "s3cret") -> WebhookConnector:
    return WebhookConnector(f"http://127.0.0.1:{receiver.server_port}/hook", secret, timeout_s=2)


def test_it_is_signed_keyed_and_confirmed(receiver: Receiver) -> None:
    assert connector(receiver).apply("open_ticket", ALERT, key="k1", note="n") == "T-1"
    headers, body = receiver.got[0]
    assert headers["Idempotency-Key"] == "k1"
    expected = "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE_HEADER] == expected
    assert json.loads(body)["target"]["value"] == ALERT.value


def test_without_a_secret_nothing_is_signed(receiver: Receiver) -> None:
    connector(receiver, None).apply("open_ticket", ALERT, key="k", note="")
    assert SIGNATURE_HEADER not in receiver.got[0][0]


@pytest.mark.parametrize("body", [b"", b"OK", b"[1]", b"{}"])
def test_an_answer_without_an_id_confirms_nothing(receiver: Receiver, body: bytes) -> None:
    receiver.answer = (200, body, {})
    assert connector(receiver).apply("open_ticket", ALERT, key="k", note="") == ""


@pytest.mark.parametrize(
    ("status", "error"), [(503, TransientConnectorError), (429, TransientConnectorError), (403, NotPermitted)]
)
def test_answers_are_told_apart(receiver: Receiver, status: int, error: type[Exception]) -> None:
    receiver.answer = (status, b"", {})
    with pytest.raises(ConnectorError) as caught:
        connector(receiver).apply("open_ticket", ALERT, key="k", note="")
    assert type(caught.value) is error


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    receiver.answer = (307, b"", {"Location": "http://169.254.169.254/latest/meta-data"})
    with pytest.raises(ConnectorError, match="307"):
        connector(receiver).apply("open_ticket", ALERT, key="k", note="")
    assert len(receiver.got) == 1


def test_nobody_there_may_pass() -> None:
    with pytest.raises(TransientConnectorError):
        WebhookConnector("http://127.0.0.1:9/x", timeout_s=1).apply("open_ticket", ALERT, key="k", note="")


@pytest.mark.parametrize(
    "url", ["http://tickets.example/hook", "http://127.0.0.1.evil.example/x", "ftp://x", "file:///etc/passwd", ""]
)
def test_only_https_or_this_machine(url: str) -> None:
    with pytest.raises(SettingsError, match="webhook_url"):
        WebhookConnector(url)
