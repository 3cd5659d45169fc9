"""The syslog receiver: UDP, TCP and TLS on loopback, its limits, floods, and those who mean no good."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

from aegis_agents.inbox.inbox import Inbox
from aegis_agents.settings_streams import SyslogSettings
from aegis_agents.streams.runner import Runner
from aegis_agents.streams.syslog.cef import read_cef
from aegis_agents.streams.syslog.fair import MOST_ADDRESSES, OTHERS, Fair, address_of
from aegis_agents.streams.syslog.framing import Frame
from tests.connectors.certificates import certificate
from tests.streams.helpers import alert, ids, inbox_at, running, settings_of, taken, wait_for


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = inbox_at(tmp_path / "home")
    yield opened
    opened.close()


def listening(**more: Any) -> Any:
    return settings_of(**({"name": "log", "kind": "syslog", "port": 0} | more))


def port_of(runner: Runner) -> int:
    stream: Any = runner._streams[0][1]
    return int(wait_for(lambda: stream.port))


@contextmanager
def receiver(inbox: Inbox, **more: Any) -> Iterator[tuple[Runner, int]]:
    with running(inbox, listening(**more)) as runner:
        yield runner, port_of(runner)


def line(number: int, **more: Any) -> bytes:
    return b"<13>1 2026-11-26T10:00:00Z siem app - - - " + alert(number, **more).encode()


def send(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(data)


def test_tcp_counted_and_lined(inbox: Inbox) -> None:
    with receiver(inbox) as (_, port):
        send(port, b"%d %s" % (len(line(1)), line(1)) + line(2) + b"\n" + line(3))
        wait_for(lambda: inbox.counts().waiting == 3)
    assert ids(inbox) == ["a-1", "a-2", "a-3"]


def test_udp(inbox: Inbox) -> None:
    with receiver(inbox, transport="udp") as (_, port), socket.socket(type=socket.SOCK_DGRAM) as sock:
        for number in (1, 2):
            sock.sendto(line(number), ("127.0.0.1", port))
        sock.sendto(b"", ("127.0.0.1", port))
        wait_for(lambda: inbox.counts().waiting == 2)
    assert ids(inbox) == ["a-1", "a-2"]


def test_a_format_is_handed_on(inbox: Inbox) -> None:
    with receiver(inbox, format="generic") as (_, port):
        send(port, line(1))
        (held,) = wait_for(lambda: inbox.take("t"))
    assert held.message.format == "generic"


def test_ten_thousand_copies_are_one_incident_with_a_count(inbox: Inbox) -> None:
    with receiver(inbox) as (runner, port):
        for part in range(4):  # a thousand times of day, each ten times
            times = [f"2026-11-26T10:{n // 60:02}:{n % 60:02}Z" for n in range(part * 250, part * 250 + 250)] * 10
            lines = [b"<13>1 %s siem app - - - " % t.encode() + alert(1, time=t).encode() for t in sorted(times)]
            send(port, b"".join(b"%d %s" % (len(x), x) for x in lines))
        wait_for(lambda: runner.tallies["log"].read == 10_000, 60)
    (held,) = inbox.take("t", 10)
    assert held.copies == 10_000
    assert inbox.copies(held.incident_id) == 10_000
    assert inbox.counts().dead == 0


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A server's certificate and its key, plain and locked; a client's."""
    server, client = tmp_path_factory.mktemp("server"), tmp_path_factory.mktemp("client")
    chain, key = certificate(server, "localhost")
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = server / "locked.pem"
    scheme = serialization.BestAvailableEncryption(b"of-the-key")
    locked.write_bytes(loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, scheme))
    theirs, their_key = certificate(client, "client")
    return {"chain": chain, "key": key, "locked": locked, "client": theirs, "client_key": their_key}


def test_tls_with_and_without_certificates_of_clients(inbox: Inbox, pem: dict[str, Path]) -> None:
    tls = {"transport": "tls", "tls_certificate": pem["chain"]}
    context = ssl.create_default_context(cafile=str(pem["chain"]))
    with receiver(inbox, **tls, tls_key=pem["locked"], tls_key_password="of-the-key") as (_, port):
        try:
            send(port, line(7) + b"\n")  # no TLS: not taken
        except OSError:
            pass
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost") as sock:
            assert sock.version() in ("TLSv1.2", "TLSv1.3")
            sock.sendall(b"%d %s" % (len(line(1)), line(1)))
            wait_for(lambda: inbox.counts().waiting == 1)
    with receiver(inbox, **tls, tls_key=pem["key"], tls_clients=pem["client"]) as (_, port):

        def nobody_we_know() -> None:
            with context.wrap_socket(
                socket.create_connection(("127.0.0.1", port)), server_hostname="localhost"
            ) as sock:
                for _ in range(50):
                    sock.sendall(line(8) + b"\n")
                    time.sleep(0.01)

        with pytest.raises(OSError):  # noqa: PT011 - an alert or a reset, as the timing has it
            nobody_we_know()
        context.load_cert_chain(pem["client"], pem["client_key"])
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost") as sock:
            sock.sendall(line(2) + b"\n")
            wait_for(lambda: inbox.counts().waiting == 2)
    assert ids(inbox) == ["a-1", "a-2"]


def test_a_handshake_that_never_ends_counts_as_a_connection(inbox: Inbox, pem: dict[str, Path]) -> None:
    tls = {"transport": "tls", "tls_certificate": pem["chain"], "tls_key": pem["key"]}
    with receiver(inbox, **tls, connections=1) as (runner, port), socket.create_connection(("127.0.0.1", port)):
        time.sleep(0.05)
        with socket.create_connection(("127.0.0.1", port)):
            wait_for(lambda: runner.tallies["log"].refused == 1)


def test_a_wrong_password_of_the_key_is_said_without_it(inbox: Inbox, pem: dict[str, Path]) -> None:
    stream = listening(
        transport="tls", tls_certificate=pem["chain"], tls_key=pem["locked"], tls_key_password="wr0ng-pass"
    )
    with running(inbox, stream) as runner:
        said = wait_for(lambda: runner.tallies["log"].last_error)
    assert "give PEM files that fit" in said
    assert "wr0ng-pass" not in said + repr(stream)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"host": "0.0.0.0"}, "plain = true"),
        ({"host": "::"}, "plain = true"),
        ({"host": "example.com", "transport": "udp"}, "plain = true"),
        ({"transport": "tls"}, "tls_certificate"),
        ({"tls_certificate": "x", "tls_key": "y"}, "tls_certificate"),
        ({"tls_clients": "x"}, "tls_clients"),
        ({"message_bytes": 100}, "480"),
    ],
)
def test_settings_that_are_not_safe_are_refused(given: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        listening(**given)


def test_plain_listens_elsewhere_when_it_is_said() -> None:
    assert listening(host="0.0.0.0", plain=True).host == "0.0.0.0"
    assert isinstance(listening(host="127.0.0.2"), SyslogSettings)


def test_connections_are_limited_and_by_address_to_half(inbox: Inbox) -> None:
    with receiver(inbox, connections=3) as (runner, port):
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        time.sleep(0.05)
        third = socket.create_connection(("127.0.0.1", port))
        wait_for(lambda: runner.tallies["log"].refused == 1)
        other = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0))
        other.sendall(line(1) + b"\n")
        wait_for(lambda: inbox.counts().waiting == 1)
        for sock in (*held, third, other):
            sock.close()


def test_idle_s_ends_a_silent_connection(inbox: Inbox) -> None:
    with receiver(inbox, idle_s=0.1) as (_, port), socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(line(1))  # not ended
        sock.settimeout(5)
        try:
            assert sock.recv(1) == b""
        except ConnectionResetError:
            pass
        wait_for(lambda: inbox.counts().waiting == 1)


def test_message_bytes_is_what_a_message_may_have(inbox: Inbox) -> None:
    long = line(1, pad="x" * 600)
    with receiver(inbox, message_bytes=500) as (runner, port):
        send(port, long + b"\n%d %s" % (len(long), long) + line(2))
        wait_for(lambda: runner.tallies["log"].read == 3)
        assert runner.tallies["log"].too_long == 2
    assert ids(inbox) == ["a-2"]
    (dead,) = inbox.dead()  # the same twice
    assert dead.message.native.startswith(f"longer than 500 bytes, a syslog message of {len(long)}; it begins: <13>1 ")


def test_tcp_waits_while_the_inbox_is_full(tmp_path: Path) -> None:
    inbox = inbox_at(tmp_path / "small", most_waiting=5)
    count = 100
    with receiver(inbox, queue=10, message_bytes=300_000) as (runner, port):
        data = b"".join(line(n, pad="x" * 200_000) + b"\n" for n in range(count))  # more than sockets hold
        sender = threading.Thread(target=send, args=(port, data))
        sender.start()
        wait_for(lambda: runner.tallies["log"].waits > 1)
        assert inbox.counts().waiting <= 10  # a batch that is larger than an empty inbox goes in whole
        assert sender.is_alive()
        found: list[str] = []
        until = time.monotonic() + 30
        while len(found) < count and time.monotonic() < until:
            for held in inbox.take("t", 5):
                found.append(json.loads(held.message.native)["id"])
                inbox.done("t", held.number)
        sender.join()
        assert runner.tallies["log"].dropped == 0
    assert sorted(found) == sorted(f"a-{n}" for n in range(count))
    inbox.close()


def test_udp_counts_what_it_drops_and_says_so(tmp_path: Path, caplog: Any) -> None:
    inbox = inbox_at(tmp_path / "small", most_waiting=1)
    with receiver(inbox, transport="udp", queue=10) as (runner, port), socket.socket(type=socket.SOCK_DGRAM) as sock:
        for number in range(60):
            sock.sendto(line(number), ("127.0.0.1", port))
            time.sleep(0.002)
        wait_for(lambda: runner.tallies["log"].dropped > 20)
    tally = runner.tallies["log"]
    assert tally.read + tally.dropped == 60
    assert "datagrams were dropped" in caplog.text
    inbox.close()


def test_what_was_received_is_handed_over_when_it_stops(inbox: Inbox) -> None:
    with receiver(inbox) as (runner, port):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(b"".join(line(n) + b"\n" for n in range(300)))
    sock.close()
    assert runner.tallies["log"].dropped == 0
    assert ids(inbox) == [f"a-{n}" for n in range(300)]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_hostile_bytes_end_nothing(inbox: Inbox, transport: str) -> None:
    hostile = [
        b"\x00" * 70, b"\xff\xfe\xfd\n", b"999999999 <1>", b"<1>" + b"[" * 1000 + b"\n", b"<13>" + b'{"a":' * 3000 + b"\n",
        b"0 <1>x\n", b"\x16\x03\x01\x02\x00\x01\x00\n", b"GET / HTTP/1.1\r\n\r\n", b"<191>1 - - - - - [a b=\"\n",
    ]  # fmt: skip
    with receiver(inbox, transport=transport) as (runner, port):
        if transport == "tcp":
            for data in hostile:
                send(port, data)
            send(port, line(1))
        else:
            with socket.socket(type=socket.SOCK_DGRAM) as sock:
                for data in (*hostile, line(1)):
                    sock.sendto(data, ("127.0.0.1", port))
        wait_for(lambda: runner.tallies["log"].read >= 9)
    assert any('"a-1"' in text for text in taken(inbox))
    assert runner.tallies["log"].failures == 0


def test_a_port_in_use_is_said_and_tried_again(inbox: Inbox) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        running(inbox, listening(port=other.getsockname()[1])) as runner,
    ):
        assert "can't listen at 127.0.0.1 port" in wait_for(lambda: runner.tallies["log"].last_error)


def test_addresses_take_turns_and_share_alike() -> None:
    fair = Fair(10, 1_000_000)
    assert [fair.offer("loud", Frame(b"l", 1)) for _ in range(12)] == [True] * 10 + [False] * 2
    fair.take(5, 10**6)
    assert fair.offer("quiet", Frame(b"q", 1))
    assert not fair.offer("loud", Frame(b"l", 1))  # it has its half
    assert [f.data for f in fair.take(4, 10**6)] == [b"l", b"q", b"l", b"l"]
    assert len(fair) == 2


def test_queue_bytes_bounds_memory() -> None:
    fair = Fair(10_000, 100_000)
    assert sum(fair.offer("a", Frame(b"x" * 10_000, 10_000)) for _ in range(50)) == 10
    assert fair.offer("b", Frame(b"x" * 60_000, 60_000))  # a first one always fits
    assert not fair.offer("b", Frame(b"x", 1))


def test_made_up_addresses_share_one_share() -> None:
    fair = Fair(100_000, 10**9)
    for number in range(MOST_ADDRESSES + 10):
        fair.offer(f"10.0.{number >> 8}.{number & 255}", Frame(b"x", 1))
    assert len(fair._queues) == MOST_ADDRESSES + 1
    assert len(fair._queues[OTHERS]) == 10


@pytest.mark.parametrize(
    ("peer", "name"),
    [
        (("10.1.2.3", 5), "10.1.2.3"), (("2001:db8::1:2:3:4", 5, 0, 0), "2001:db8::/64"),
        (("::ffff:10.1.2.3", 5, 0, 0), "10.1.2.3"), (("fe80::1%eth0", 5, 0, 2), "fe80::/64"), (None, OTHERS), ("", OTHERS),
    ],
)  # fmt: skip
def test_the_names_of_addresses(peer: Any, name: str) -> None:
    assert address_of(peer) == name


def test_queue_bytes_bounds_all_addresses_together() -> None:
    fair = Fair(10_000, 1_000_000)
    for number in range(500):  # made-up senders, one after the other
        while fair.offer(f"192.0.2.{number}", Frame(b"x" * 10_000, 10_000)):
            pass
    assert sum(len(frame.data) for frame in fair.take(10_000, 10**9)) <= 2_000_000, "as much again for first messages"
    assert fair.offer("192.0.2.1", Frame(b"x" * 2_000_000, 2_000_000)), "one that is longer than the whole comes alone"
    assert not fair.offer("192.0.2.2", Frame(b"x", 1))


def test_a_key_that_comes_again_and_again_costs_no_square() -> None:
    def took(pairs: str) -> float:
        spent = []
        for _ in range(5):
            begun = time.process_time()
            assert read_cef("CEF:0|v|p|1|1|n|5|" + pairs)
            spent.append(time.process_time() - begun)
        return min(spent)

    assert took("a=1 " * 500) < 10 * took(" ".join(f"a{n}=1" for n in range(500)) + " "), "fifty times as it was"
    found = read_cef("CEF:0|v|p|1|1|n|5|" + "a=1 " * 500) or {}
    assert {"a", "a#2", "a#100"} <= set(found)
