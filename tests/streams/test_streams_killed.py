"""kill -9 in the middle, again and again, of every kind of stream: no alert is lost and none is there twice."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.inbox.inbox import Inbox
from tests.connectors.moto_server import REGION, cloud, server
from tests.streams.helpers import alert, ids, inbox_at, run_once, settings_of, wait_for
from tests.streams.test_stream_kafka import Cluster
from tests.streams.test_stream_sqs import Queue

__all__ = ["cloud", "server"]
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning")

COUNT, KILLS = 300, 2
ROOT = Path(__file__).parents[2]


LIVING: list[Any] = []


@pytest.fixture(autouse=True)
def none_is_left() -> Iterator[None]:
    """A test that fails leaves no process behind."""
    yield
    while LIVING:
        left = LIVING.pop()
        if left.poll() is None:
            left.kill()
            left.wait(30)
        left.stdout.close()


class Process:
    """Streams in a process."""

    def __init__(self, home: Path, stream: dict[str, Any]) -> None:
        command = [sys.executable, "-m", "tests.streams.streaming", str(home), json.dumps(stream, default=str)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        LIVING.append(self._process)
        self._await("reading")

    def _await(self, word: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(word):
                return line.removeprefix(word).strip()
        raise AssertionError(f"it ended before it said {word}")

    def port(self) -> int:
        return int(self._await("port"))

    def end(self, sig: int) -> int:
        self._process.send_signal(sig)
        return self._process.wait(30)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def inbox(home: Path) -> Iterator[Inbox]:
    opened = inbox_at(home)
    yield opened
    opened.close()


def campaign(
    home: Path, inbox: Inbox, stream: Callable[[int], dict[str, Any]], feed: Callable[[int, int], None],
    count: int = COUNT,
) -> None:  # fmt: skip
    """Feed a part, kill in the middle of reading it; at the end let it finish. `stream` gives each process' settings."""
    dice = random.Random(7)
    part = count // KILLS
    for kill in range(KILLS):
        process = Process(home, stream(kill))
        before = there(inbox)
        feed(kill * part, count if kill == KILLS - 1 else (kill + 1) * part)
        wait_for(lambda before=before: there(inbox) > before, 20)  # type: ignore[misc]
        time.sleep(dice.random() * 0.05)
        assert process.end(signal.SIGKILL) == -signal.SIGKILL
    process = Process(home, stream(KILLS))
    wait_for(lambda: there(inbox) >= count, 30)
    time.sleep(0.1)
    assert process.end(signal.SIGTERM) == 0


def there(inbox: Inbox) -> int:
    return inbox.counts().waiting


def check(inbox: Inbox, *, copies: int = 0, count: int = COUNT) -> None:
    assert inbox.counts().copies == copies
    assert inbox.counts().dead == 0
    assert ids(inbox) == [f"a-{n}" for n in range(count)]


def test_file(home: Path, inbox: Inbox, tmp_path: Path) -> None:
    log = tmp_path / "alerts.json"
    log.write_text(alert(0) + "\n")
    run_once(inbox, settings_of(name="s", kind="file", path=log))  # what was rotated before the first time is not read

    def feed(begin: int, end: int) -> None:
        for number in range(max(1, begin), end):
            if number % 100 == 50 and log.exists():
                log.rename(log.with_name(f"alerts.json.{1000 - number}"))
            with log.open("a") as file:
                file.write(alert(number)[:20])
                file.flush()
                file.write(alert(number)[20:] + "\n")

    stream = {"name": "s", "kind": "file", "path": log, "every_s": 0.01, "linger_s": 0.05}
    campaign(home, inbox, lambda _: stream, feed)
    check(inbox)


def test_directory(home: Path, inbox: Inbox, tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()

    def feed(begin: int, end: int) -> None:
        for number in range(begin, end, 4):
            texts = [alert(n) for n in range(number, min(number + 4, end))]
            (folder / f"{number}.json").write_text(f"[{','.join(texts)}]")

    stream = {"name": "s", "kind": "directory", "path": folder, "every_s": 0.01, "settle_s": 0}
    campaign(home, inbox, lambda _: stream, feed)
    check(inbox)
    wait_for(lambda: [one.name for one in folder.iterdir()] == ["done"])


def test_kafka(home: Path, inbox: Inbox) -> None:
    cluster = Cluster()

    def feed(begin: int, end: int) -> None:
        for number in range(begin, end):
            cluster.producer.produce("alerts", alert(number), partition=number % 4)
        cluster.producer.flush(10)

    # Each in a group of its own: nothing was committed there, the marks alone say where to go on.
    stream = {"name": "s", "kind": "kafka", "brokers": [cluster.address], "topics": ["alerts"]}
    campaign(home, inbox, lambda life: stream | {"group": f"g{life}"}, feed)
    check(inbox)


def test_sqs(home: Path, inbox: Inbox, cloud: Any) -> None:
    queue = Queue(cloud[0])

    def feed(begin: int, end: int) -> None:
        queue.send(*(alert(n) for n in range(begin, end)))

    stream = json.loads(queue.stream(name="s").model_dump_json())

    def after_its_time(life: int) -> dict[str, Any]:
        """What a killed process held comes back when its time is over; here at once."""
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.sqs.models import sqs_backends

        for message in sqs_backends[DEFAULT_ACCOUNT_ID][REGION].queues["alerts"]._messages:
            message.change_visibility(0)
        return stream

    count = 60  # moto takes 0.1 s of the processor for each request
    campaign(home, inbox, after_its_time, feed, count)
    check(inbox, count=count)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_syslog(home: Path, inbox: Inbox, transport: str) -> None:
    """Syslog has no receipts: what a killed process had received is gone unless the sender sends it again. A sender that
    does so after each break loses nothing, and what it sent twice is one incident.
    """
    stream = {"name": "s", "kind": "syslog", "port": 0, "transport": transport}
    lines = [b"<13>1 2026-11-26T10:00:00Z siem app - - - " + alert(n).encode() + b"\n" for n in range(COUNT)]

    def send(port: int, end: int) -> None:
        if transport == "tcp":
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(b"".join(lines[:end]))
        else:
            with socket.socket(type=socket.SOCK_DGRAM) as sock:
                for line in lines[:end]:
                    sock.sendto(line, ("127.0.0.1", port))

    for kill in range(KILLS):
        process = Process(home, stream)
        before = there(inbox)
        send(process.port(), (kill + 1) * COUNT // (KILLS + 1))
        wait_for(lambda before=before: there(inbox) > before, 20)  # type: ignore[misc]
        process.end(signal.SIGKILL)
    process = Process(home, stream)
    send(process.port(), COUNT)
    wait_for(lambda: there(inbox) >= COUNT, 30)
    assert process.end(signal.SIGTERM) == 0
    check(inbox, copies=inbox.counts().copies)


def test_sigterm_hands_over_what_was_received(home: Path, inbox: Inbox) -> None:
    process = Process(home, {"name": "s", "kind": "syslog", "port": 0})
    with socket.create_connection(("127.0.0.1", process.port())) as sock:
        sock.sendall(b"".join(b"<13>" + alert(n).encode() + b"\n" for n in range(COUNT)))
        time.sleep(0.02)
        assert process.end(signal.SIGTERM) == 0
    assert there(inbox) == COUNT
