"""Answers that drip, that never stop, that lead elsewhere: given up, and no credential goes along."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from aegis_agents.errors import ConnectorError, SettingsError, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors import bounded
from aegis_agents.tools.connectors.answers import quiet
from aegis_agents.tools.connectors.crowdstrike import _FALCON, CrowdStrikeConnector
from aegis_agents.tools.connectors.jira import JiraConnector
from aegis_agents.tools.connectors.kubernetes import KubernetesConnector
from aegis_agents.tools.connectors.okta import OktaConnector
from aegis_agents.tools.connectors.protocol import Connector
from aegis_agents.tools.connectors.webhook import WebhookConnector
from tests.connectors.loopback import Answer, Request, Vendor, serving

SECRET = "s3cr3t-of-the-tests"
ALERT = Target(kind="alert", value="a1:b2")


@contextmanager
def saying(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads a request and then does what `talk` does with the connection."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    talk(connection)
                except OSError:
                    pass  # it was given up, as it should be

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(timeout=5)


def drip_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n")
    for _ in range(100):
        connection.sendall(b" ")
        time.sleep(0.05)


def drip_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(100):
        connection.sendall(b"x")
        time.sleep(0.05)


def flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n")
    for _ in range(40):
        connection.sendall(b" " * 2**20)


def swell(connection: socket.socket) -> None:
    """Sixteen kilobytes that are sixteen megabytes."""
    body = gzip.compress(b" " * 2**24)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


CONNECTORS: dict[str, tuple[Callable[[str], Connector], ActionName, Target]] = {
    "webhook": (lambda url: WebhookConnector(url, SECRET, timeout_s=0.5), "open_ticket", ALERT),
    "jira": (lambda url: JiraConnector(url=url, project="SEC", token=SECRET, timeout_s=0.5), "open_ticket", ALERT),
    "crowdstrike": (
        lambda url: CrowdStrikeConnector(client_id="i", client_secret=SECRET, base_url=url, timeout_s=0.5),
        "isolate_host",
        Target(kind="host", value="ws1"),
    ),
    "kubernetes": (
        lambda url: KubernetesConnector(api_server=url, token=SECRET, timeout_s=0.5),
        "kill_process",
        Target(kind="pod", value="a/b"),
    ),
    "okta": (
        lambda url: OktaConnector(org_url=url, token=SECRET, timeout_s=0.5),
        "disable_user",
        Target(kind="user", value="ann@example.com"),
    ),
}


@pytest.mark.parametrize(
    ("name", "talk"),
    [
        ("webhook", drip_body), ("webhook", drip_headers), ("webhook", flood), ("webhook", swell), ("jira", drip_body),
        ("jira", flood), ("jira", swell), ("crowdstrike", drip_body), ("okta", drip_body), ("okta", drip_headers),
    ],
)  # fmt: skip
def test_an_answer_without_end_is_given_up(
    name: str, talk: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKTA_TESTING_TESTINGDISABLEHTTPSCHECK", "true")
    make, action, target = CONNECTORS[name]
    for module in ("okta.client", "falconpy", "jira"):
        pytest.importorskip(module)  # here, since loading one takes seconds
    with saying(talk) as url:
        connector, began = make(url), time.monotonic()
        with pytest.raises(TransientConnectorError):
            connector.apply(action, target, key="k", note="n")
        assert time.monotonic() - began < 3


def test_an_answer_of_just_that_length_is_read() -> None:
    assert bounded._whole([b"ab", b"cd"], time.monotonic() + 9, 4) == b"abcd"
    with pytest.raises(TimeoutError, match="longer than 3 bytes"):
        bounded._whole([b"ab", b"cd"], time.monotonic() + 9, 3)


class Elsewhere(Vendor):
    """Sends everybody on."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status, self.to = status, ""

    def answer(self, request: Request) -> Answer:
        return Answer(self.status, None, {"Location": self.to + request.path})


class Thief(Vendor):
    """Where they are sent."""

    def answer(self, request: Request) -> Answer:
        return Answer(200, {"access_token": "t", "expires_in": 1799})


@pytest.mark.parametrize("name", CONNECTORS)
@pytest.mark.parametrize("status", [302, 307, 308])
def test_credentials_do_not_follow_a_redirect(name: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OKTA_TESTING_TESTINGDISABLEHTTPSCHECK", "true")
    make, action, target = CONNECTORS[name]
    with serving(Thief()) as thief, serving(vendor := Elsewhere(status)):
        vendor.to = thief.url.replace("127.0.0.1", "localhost")
        with pytest.raises(ConnectorError):
            make(vendor.url).apply(action, target, key="k", note="n")
        assert vendor.requests
        told = [SECRET in str(request.headers) or SECRET.encode() in request.body for request in thief.requests]
    assert not any(told)


@pytest.mark.parametrize(
    ("to", "followed"),
    [
        ("https://api.us-2.crowdstrike.com/oauth2/token", True),
        ("https://api.us-gov-2.crowdstrike.mil/oauth2/token", True),
        ("http://api.us-2.crowdstrike.com/oauth2/token", False),
        ("https://crowdstrike.com.evil.example/", False),
        ("https://evilcrowdstrike.com/", False),
        ("https://api.crowdstrike.com@evil.example/", False),
        ("/elsewhere", False),
    ],
)
def test_falcon_may_name_another_of_its_clouds(to: str, followed: bool) -> None:
    from requests import Response

    answer = Response()
    answer.status_code, answer.url, answer.headers["Location"] = 308, "http://127.0.0.1/oauth2/token", to
    assert bounded.following(_FALCON, 1.0).get_redirect_target(answer) == (to if followed else None)


def test_the_address_of_a_webhook_is_in_no_log_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(Vendor()) as vendor:
        vendor.answer = lambda request: Answer(500, {"error": f"nothing at {request.path}"})  # type: ignore[method-assign]
        connector = WebhookConnector(f"{vendor.url}/services/T00/B00/p4th?k=qu3ry")
        with pytest.raises(TransientConnectorError) as caught:
            connector.apply("open_ticket", ALERT, key="k", note="n")
    with pytest.raises(TransientConnectorError) as gone:
        connector.apply("open_ticket", ALERT, key="k", note="n")
    with pytest.raises(SettingsError) as wrong:
        WebhookConnector("http://hooks.example/services/T00/B00/p4th")
    for text in (caplog.text, str(caught.value), str(gone.value), str(wrong.value)):
        assert "p4th" not in text
        assert "qu3ry" not in text


@pytest.mark.parametrize("url", ["https://user:pass@hooks.example/x", "https://user@hooks.example/"])
def test_no_password_in_an_address(url: str) -> None:
    with pytest.raises(SettingsError, match="name or password") as caught:
        WebhookConnector(url)
    assert "pass@" not in str(caught.value)


def test_nobody_there_is_no_answer_of_500() -> None:
    connector = CrowdStrikeConnector(client_id="i", client_secret=SECRET, base_url="http://127.0.0.1:9")
    with pytest.raises(TransientConnectorError, match="answered nothing: NewConnectionError") as caught:
        connector.read("isolate_host", Target(kind="host", value="ws1"))
    assert "Connection refused" in str(caught.value)


def test_a_deep_answer_is_no_id() -> None:
    with serving(Vendor()) as vendor:
        vendor.answer = lambda request: Answer(200, b"[" * 60_000)  # type: ignore[method-assign]
        assert WebhookConnector(vendor.url).apply("open_ticket", ALERT, key="k", note="n") == ""


def test_a_level_that_somebody_set_stays() -> None:
    chatty, other = logging.getLogger("aegis-test-chatty"), logging.getLogger("aegis-test-other")
    chatty.setLevel(logging.DEBUG)
    quiet(chatty.name, other.name)
    assert (chatty.level, other.level) == (logging.DEBUG, logging.INFO)
