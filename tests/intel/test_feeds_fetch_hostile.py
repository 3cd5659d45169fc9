"""Fetching from a server, or through a resolver, that means harm."""

from __future__ import annotations

import datetime as dt
import gzip
import ipaddress
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpcore
import pytest
from hostile_server import Handler, HostileServer

from aegis_agents.errors import InputError, IntelError, LimitExceeded
from aegis_agents.intel.feeds import http
from aegis_agents.intel.feeds.addresses import checked, reach
from aegis_agents.intel.feeds.answers import Transient
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.fetch import Fetched, fetch
from aegis_agents.intel.feeds.http import Limits
from aegis_agents.intel.feeds.parsed import Blob
from aegis_agents.intel.feeds.state import FeedState

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "downloads"


def _fetch(
    url: str, folder: Path, *, feed: dict[str, Any] | None = None, resolve: Any = None, **limits: Any
) -> Fetched:
    given = {"name": "hostile", "kind": "indicators", "url": url, "internal": True, "max_bytes": 100_000}
    more = {"resolve": resolve} if resolve is not None else {}
    return fetch(
        Feed.model_validate(given | (feed or {})), FeedState(name="hostile"), now=NOW, downloads=folder,
        limits=Limits(**limits), sleep=lambda _: None, **more,
    )  # fmt: skip


# Size and time


def _endless(h: Handler, *, chunked: bool) -> None:
    h.send_response(200)
    h.send_header("Transfer-Encoding", "chunked") if chunked else h.send_header("Content-Encoding", "gzip")
    h.end_headers()
    piece = b"0" * 10_000
    while True:
        h.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else b"\x1f\x8b\x08" + piece)


def test_an_endless_body_is_stopped_at_the_limit(server: HostileServer, folder: Path) -> None:
    server.pages["/x"] = lambda h: _endless(h, chunked=True)
    with pytest.raises(LimitExceeded, match=r"feed hostile: url: bigger than the 100,000 bytes .*raise max_bytes"):
        _fetch(server.url("/x"), folder)
    assert len(server.asked) == 1
    assert list(folder.glob("*.part*")) == []


def test_a_body_without_an_end_that_can_be_told_is_refused(server: HostileServer, folder: Path) -> None:
    def page(h: Handler) -> None:
        h.send_response(200)
        h.end_headers()
        h.wfile.write(b"203.0.113.7\n")
        h.hang_up()

    server.pages["/x"] = page
    with pytest.raises(IntelError, match="Content-Length"):
        _fetch(server.url("/x"), folder)


def test_a_huge_announcement_is_refused_before_anything_is_read(server: HostileServer, folder: Path) -> None:
    server.pages["/x"] = lambda h: h.answer(b"", length=10**15)
    with pytest.raises(LimitExceeded, match="max_bytes"):
        _fetch(server.url("/x"), folder)


def test_a_slow_drip_is_ended_by_the_deadline(server: HostileServer, folder: Path) -> None:
    stop = threading.Event()

    def page(h: Handler) -> None:
        h.send_response(200)
        h.send_header("Content-Length", "50000")
        h.send_header("ETag", '"slow"')
        h.end_headers()
        while not stop.wait(0.02):
            h.wfile.write(b"x")

    server.pages["/x"] = page
    began = time.monotonic()
    with pytest.raises(LimitExceeded, match=r"longer than 0.3 seconds"):
        _fetch(server.url("/x"), folder, deadline=0.3)
    stop.set()
    assert time.monotonic() - began < 2
    assert (folder / "hostile.part").stat().st_size > 3  # it goes on from there the next time


def test_a_header_that_drips_is_ended_too(folder: Path) -> None:
    """Each byte comes in time, the header never ends."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not stop.wait(0.02):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(LimitExceeded, match=r"longer than 0\.3 seconds"):
            _fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/x", folder, deadline=0.3)
        stop.set()
        thread.join(5)


def test_a_silent_server_is_given_up_on(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(Transient, match="tried 2 times"):
        _fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/x", folder, read=0.1, attempts=2)


def test_no_wait_reaches_beyond_the_deadline(folder: Path) -> None:
    """The server says nothing, and a read may take 30 seconds, but all together only 0.3."""
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(LimitExceeded, match="longer than"):
        _fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/x", folder, deadline=0.3)
    assert time.monotonic() - began < 5


def test_a_gzip_bomb_as_content_encoding_is_stopped(server: HostileServer, folder: Path) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    server.pages["/x"] = lambda h: h.answer(bomb, Content_Encoding="gzip", ETag='"bomb"')
    tracemalloc.start()
    with pytest.raises(LimitExceeded):
        _fetch(server.url("/x"), folder)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert list(folder.glob("*.part*")) == []


@pytest.mark.parametrize("coding", ["br", "zstd", "deflate", "gzip, gzip", "x" * 5000])
def test_codings_that_were_not_asked_for_are_refused(server: HostileServer, folder: Path, coding: str) -> None:
    server.pages["/x"] = lambda h: h.answer(b"data", Content_Encoding=coding)
    with pytest.raises(IntelError, match="not asked for") as error:
        _fetch(server.url("/x"), folder)
    assert len(str(error.value)) < 300


def test_a_body_shorter_than_announced_is_never_taken_for_the_whole(server: HostileServer, folder: Path) -> None:
    def page(h: Handler) -> None:
        h.answer(b"203.0.113.7\n", length=50_000)
        h.hang_up()

    server.pages["/x"] = page
    with pytest.raises(Transient, match="tried 4 times"):
        _fetch(server.url("/x"), folder)


def test_a_chunked_body_that_breaks_off_is_not_taken_either(server: HostileServer, folder: Path) -> None:
    def page(h: Handler) -> None:
        h.send_response(200)
        h.send_header("Transfer-Encoding", "chunked")
        h.end_headers()
        h.wfile.write(b"c\r\n203.0.113.7\n\r\n")
        h.hang_up()

    server.pages["/x"] = page
    with pytest.raises(Transient):
        _fetch(server.url("/x"), folder, attempts=1)


def test_a_part_nobody_asked_for_is_refused(server: HostileServer, folder: Path) -> None:
    server.pages["/x"] = lambda h: h.answer(b"half", status=206, Content_Range="bytes 0-3/8", ETag='"x"')
    with pytest.raises(IntelError, match="not asked for"):
        _fetch(server.url("/x"), folder)


@pytest.mark.parametrize("raw", [b"", b"\0\1\2\3\r\n\r\n", b"HTTP/1.1 two hundred\r\n\r\n", b"SSH-2.0-OpenSSH_9\r\n",
                                 b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                                 b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                                 b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 200_000 + b"\r\n\r\n"])  # fmt: skip
def test_what_is_no_http_is_an_error(folder: Path, raw: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    connection.recv(65536)
                    connection.sendall(raw)
                except OSError:
                    pass  # it hung up first, as it may

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(IntelError, match="feed hostile: url: "):
            _fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/x", folder, attempts=1)
        thread.join(5)


# Redirects


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/latest/meta-data/", "http://feeds.example/x", "https://evil.example/",
                 "//evil.example/x", "http://127.0.0.1:1/x", "http://127.0.0.1:99999/", "http://localhost:{port}/x",
                 "//evil.example:{port}/x", "http://127.0.0.1@evil.example/", "http://localhost/x",
                 "http://[::1]/x"]
)  # fmt: skip
def test_a_redirect_elsewhere_is_not_followed(server: HostileServer, folder: Path, location: str) -> None:
    location = location.format(port=server.port)
    server.pages["/x"] = lambda h: h.answer(b"", status=302, Location=location)
    with pytest.raises(IntelError, match="nothing is fetched that you did not configure") as error:
        _fetch(server.url("/x"), folder, resolve=lambda host, port: ["127.0.0.1"])
    there = location.partition("//")[2].partition("@")[2] or location.partition("//")[2]
    assert there.partition("/")[0] in str(error.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "data:,x", "",
                                      "javascript:alert(1)", "http://[::1/"])  # fmt: skip
def test_a_redirect_to_something_else_than_http_is_refused(server: HostileServer, folder: Path, location: str) -> None:
    server.pages["/x"] = lambda h: h.answer(b"", status=302, Location=location)
    with pytest.raises(IntelError, match="redirects to"):
        _fetch(server.url("/x"), folder)
    assert len(server.asked) == 1


def test_a_loop_of_redirects_ends(server: HostileServer, folder: Path) -> None:
    server.pages["/x"] = lambda h: h.answer(b"", status=302, Location="/x")
    with pytest.raises(IntelError, match="more than 3 times"):
        _fetch(server.url("/x"), folder)
    assert len(server.asked) == 4


def test_credentials_do_not_follow_a_redirect_elsewhere(server: HostileServer, folder: Path) -> None:
    with HostileServer() as other:
        server.pages["/x"] = lambda h: h.answer(b"", status=302, Location=other.url("/x"))
        with pytest.raises(IntelError) as error:
            _fetch(server.url("/x"), folder, feed={"token": "t0ken"})
        assert other.asked == []
        assert "t0ken" not in str(error.value)


# Addresses


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)  # fmt: skip
def test_public_addresses_are_public(address: str) -> None:
    assert reach(ipaddress.ip_address(address)) == "public"


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "127.9.9.9", "100.64.0.1", "198.18.0.1",
                "192.0.2.1", "192.88.99.1", "::1", "fd12::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1",
                "2001:db8::1"]
)  # fmt: skip
def test_private_addresses_need_the_users_word(address: str) -> None:
    assert reach(ipaddress.ip_address(address)) == "internal"
    with pytest.raises(IntelError, match=r"feed x: url: host is at .*not public .*internal = true"):
        checked("x", "host", 80, internal=False, resolve=lambda *_: [address])
    assert checked("x", "host", 80, internal=True, resolve=lambda *_: [address])


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "169.254.0.1", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "0.0.0.0",
                "0.1.2.3", "::", "224.0.0.1", "240.0.0.1", "255.255.255.255", "fe80::1", "fe80::1%eth0", "fec0::1",
                "ff02::1", "2002:7f00:1::", "2002:808:808::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "::127.0.0.1",
                "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1"]
)  # fmt: skip
def test_addresses_where_no_feed_can_be_are_refused_even_so(address: str) -> None:
    assert reach(ipaddress.ip_address(address)) == "never"
    with pytest.raises(IntelError, match="no address that a feed can have"):
        checked("x", "host", 80, internal=True, resolve=lambda *_: [address])


def test_loopback_is_not_contacted_unless_it_is_internal(server: HostileServer, folder: Path) -> None:
    server.pages["/x"] = lambda h: h.answer(b"data")
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(IntelError, match="not public"):
            _fetch(server.url("/x", host), folder, feed={"internal": False})
    for host in ("2130706433", "0x7f000001", "127.1"):  # as a resolver reads them
        with pytest.raises(IntelError, match="not public"):
            _fetch(server.url("/x", host), folder, feed={"internal": False},
                   resolve=lambda host, port: [socket.inet_ntoa(socket.inet_aton(host))])  # fmt: skip
    assert server.asked == []


def test_a_name_with_a_public_and_a_private_address_is_refused(server: HostileServer, folder: Path) -> None:
    with pytest.raises(IntelError, match=r"feeds.example is at 10.0.0.1"):
        _fetch(server.url("/x", "feeds.example"), folder, feed={"internal": False},
               resolve=lambda *_: ["8.8.8.8", "10.0.0.1"])  # fmt: skip


class _Rebinding:
    """A resolver that is honest when it is checked, and not afterwards."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    def __call__(self, host: str, port: int) -> Sequence[str]:
        return [self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]]


def test_the_connection_goes_to_the_address_that_was_checked(
    server: HostileServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[str] = []
    real = httpcore.SyncBackend.connect_tcp

    def connect(self: httpcore.SyncBackend, host: str, port: int, *args: Any, **more: Any) -> httpcore.NetworkStream:
        connected.append(host)
        return real(self, "127.0.0.1", port, *args, **more)

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("resolved a second time"))
    monkeypatch.setattr(socket, "create_connection", _straight)
    server.pages["/x"] = lambda h: h.answer(b"data")
    got = _fetch(server.url("/x", "feeds.example"), folder, feed={"internal": False},
                 resolve=_Rebinding("93.184.215.14", "127.0.0.1"))  # fmt: skip
    assert got.blobs == [Blob("x", b"data")]
    assert connected == ["93.184.215.14"]
    assert server.asked[0].headers["host"] == f"feeds.example:{server.port}"


def _straight(address: tuple[str, int], timeout: float, **_: object) -> socket.socket:
    connection = socket.socket()
    connection.settimeout(timeout)
    connection.connect(address)
    return connection


def test_each_new_connection_is_checked_again(server: HostileServer, folder: Path) -> None:
    """After a redirect that closes the connection, the name has moved to the inside."""

    def page(h: Handler) -> None:
        h.answer(b"", status=302, Location="/y", Connection="close")
        h.hang_up()

    server.pages["/x"] = page
    with pytest.raises(IntelError, match=r"169\.254\.169\.254, which is no address that a feed can have"):
        _fetch(server.url("/x", "feeds.example"), folder, resolve=_Rebinding("127.0.0.1", "169.254.169.254"))
    assert len(server.asked) == 1


def test_the_next_address_is_tried_if_one_does_not_answer(server: HostileServer, folder: Path) -> None:
    server.pages["/x"] = lambda h: h.answer(b"data")
    got = _fetch(server.url("/x", "feeds.example"), folder, resolve=lambda *_: ["127.0.0.9", "127.0.0.1"])
    assert got.status == "new"


def test_a_name_that_nobody_knows_is_an_error(folder: Path) -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(Transient, match=r"feeds.example can't be resolved.*tried 4 times"):
        _fetch("https://feeds.example/x", folder, resolve=unknown)


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for feeds.example, and its key, in one file."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "feeds.example")])
    today = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(today - dt.timedelta(1)).not_valid_after(today + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("feeds.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[HostileServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with HostileServer(context) as server:
        server.pages["/x"] = lambda h: h.answer(b"data")
        yield server


def test_certificates_are_verified_for_the_name_though_the_address_is_ours(
    secure: HostileServer, folder: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    with pytest.raises(IntelError, match="certificate is not valid") as error:
        _fetch(secure.url("/x", "feeds.example"), folder, resolve=here)
    assert not isinstance(error.value, Transient)  # and was not tried again
    monkeypatch.setattr(http, "_tls", lambda: ssl.create_default_context(cafile=certificate))
    assert _fetch(secure.url("/x", "feeds.example"), folder, resolve=here).status == "new"
    with pytest.raises(IntelError, match="certificate is not valid"):
        _fetch(secure.url("/x", "other.example"), folder, resolve=here)


def test_https_does_not_go_back_to_http(
    secure: HostileServer, folder: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_tls", lambda: ssl.create_default_context(cafile=certificate))
    secure.pages["/x"] = lambda h: h.answer(b"", status=302, Location=f"http://feeds.example:{secure.port}/x")
    with pytest.raises(IntelError, match="redirects to http, not to https"):
        _fetch(secure.url("/x", "feeds.example"), folder, resolve=lambda *_: ["127.0.0.1"])


def test_errors_are_of_one_kind(server: HostileServer, folder: Path) -> None:
    """A folder that can't be made is an IntelError too, with the feed's name."""
    folder.write_text("a file")
    with pytest.raises(IntelError, match="feed hostile"):
        _fetch(server.url("/x"), folder)
    with pytest.raises(InputError, match="feed hostile: url"):
        _fetch("http://", folder.parent / "d", feed={"url": "http://?"})
