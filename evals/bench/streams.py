"""Alerts a second of each kind of stream into a SQLite inbox: `nice -n 10 python -m evals.bench.streams [N] [--alone]`.

With `--alone` the inbox takes everything and keeps nothing: what the streams themselves cost. Each alert is an incident of its own, so that nothing is folded. The sender runs in the same process; UDP is sent at
what the receiver takes, since what is sent faster is dropped (and counted).
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from aegis_agents.inbox.opening import open_inbox
from aegis_agents.inbox.records import Taken
from aegis_agents.settings import only
from aegis_agents.settings_streams import StreamSettings
from aegis_agents.streams.runner import Runner


def alert(number: int) -> str:
    """An alert like no other."""
    word = "".join(chr(97 + int(digit)) for digit in str(number))
    return (
        f'{{"id": "a-{number}", "title": "Beacon of {word}", "hostname": "wks-{word}", "severity": "high", '
        f'"user": "{word}", "process": "rundll32.exe", "command_line": "rundll32 {word}.dll,Start", '
        '"source_ip": "10.1.2.3", "destination_ip": "203.0.113.9"}'
    )


class Nowhere:
    """An inbox that keeps nothing."""

    def put(self, messages: Any, marks: Any = ()) -> Taken:
        """Take everything."""
        return Taken(len(messages), 0, 0, 0, ())

    def mark(self, stream: str, part: str) -> str | None:
        """Nothing was ever read."""
        return None

    def close(self) -> None:
        """Nothing to close."""


def measure(name: str, count: int, feed: Callable[[Any], None], **settings: Any) -> None:
    """Feed and wait until all is in; prints the rate by the clock and by the processor."""
    stream: Any = TypeAdapter(StreamSettings).validate_python({"name": "bench"} | settings)
    with tempfile.TemporaryDirectory() as home:
        inbox: Any = Nowhere() if "--alone" in sys.argv else open_inbox(only(home=Path(home)))
        stop, runner = threading.Event(), Runner([stream], inbox)
        thread = threading.Thread(target=runner.run, args=(stop,))
        begun, used = time.perf_counter(), time.process_time()
        thread.start()
        feed(runner)
        while (tally := runner.tallies["bench"]).read + tally.dropped < count:
            time.sleep(0.01)
        clock, processor = time.perf_counter() - begun, time.process_time() - used
        stop.set()
        thread.join()
        inbox.close()
    print(
        f"{name:10} n={count} {tally.read / clock:7.0f} a second, {tally.read / processor:7.0f} a processor second, "
        f"{tally.dropped} dropped"
    )


def main() -> None:
    """All kinds that need no other program."""
    count = next((int(given) for given in sys.argv[1:] if given.isdecimal()), 5_000)
    lines = [alert(number) for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        log, drop = Path(folder, "alerts.json"), Path(folder, "drop")
        log.write_text("\n".join(lines) + "\n")
        measure("file", count, lambda _: None, kind="file", path=log)
        drop.mkdir()
        for at in range(0, count, 100):
            (drop / f"{at:06}.json").write_text(f"[{','.join(lines[at : at + 100])}]")
        measure("directory", count, lambda _: None, kind="directory", path=drop, settle_s=0, every_s=0.01)
    messages = [b"<13>1 2026-11-26T10:00:00Z siem app - - - " + line.encode() for line in lines]

    def port_of(runner: Any) -> int:
        stream = runner._streams[0][1]
        while not stream.port:
            time.sleep(0.001)
        return int(stream.port)

    def tcp(runner: Any) -> None:
        with socket.create_connection(("127.0.0.1", port_of(runner))) as sock:
            sock.sendall(b"".join(b"%d %s" % (len(one), one) for one in messages))

    def udp(runner: Any) -> None:
        port = port_of(runner)
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            for number, one in enumerate(messages):
                while number - runner.tallies["bench"].read > 2_000:
                    time.sleep(0.001)
                sock.sendto(one, ("127.0.0.1", port))

    measure("syslog tcp", count, tcp, kind="syslog", port=0)
    measure("syslog udp", count, udp, kind="syslog", port=0, transport="udp")
    kafka(count, lines)
    sqs(count, lines)


def kafka(count: int, lines: list[str]) -> None:
    """librdkafka's mock cluster, in this process."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": "x", "test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    for line in lines:
        producer.produce("alerts", line)
        producer.poll(0)
    producer.flush(30)
    # Joining a group takes the mock 3 s, which are in the figure by the clock.
    measure("kafka", count, lambda _: None, kind="kafka", brokers=[f"127.0.0.1:{broker.port}"], topics=["alerts"])


def sqs(count: int, lines: list[str]) -> None:
    """moto's server, in this process: what is measured is mostly moto."""
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_EC2_METADATA_DISABLED": "true"}
    import boto3

    from tests.connectors.moto_server import running

    for url, _ in running():
        client = boto3.client("sqs", region_name="eu-central-1", endpoint_url=url)
        queue = client.create_queue(QueueName="bench")["QueueUrl"]
        for at in range(0, count, 10):
            entries = [{"Id": str(n), "MessageBody": line} for n, line in enumerate(lines[at : at + 10])]
            client.send_message_batch(QueueUrl=queue, Entries=entries)
        settings = {"queue_url": queue, "region": "eu-central-1", "endpoint_url": url, "wait_s": 1}
        measure("sqs", count, lambda _: None, kind="sqs", **settings)
        break


if __name__ == "__main__":
    main()
