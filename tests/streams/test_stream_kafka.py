"""Kafka against librdkafka's mock cluster: marks decide, offsets are committed after, partitions move, the inbox is full."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from aegis_agents.inbox.inbox import Inbox
from aegis_agents.settings_streams import KafkaSettings
from aegis_agents.streams.kafka import configuration
from aegis_agents.streams.runner import Runner
from tests.streams.helpers import alert, ids, inbox_at, run_once, running, settings_of, taken, wait_for

kafka = pytest.importorskip("confluent_kafka")


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = inbox_at(tmp_path / "home")
    yield opened
    opened.close()


class Cluster:
    """The mock cluster lives in a producer."""

    def __init__(self) -> None:
        self.producer = kafka.Producer({"bootstrap.servers": "x", "test.mock.num.brokers": 1})
        metadata = self.producer.list_topics(timeout=10)
        (broker,) = metadata.brokers.values()
        self.address = f"127.0.0.1:{broker.port}"

    def send(self, *values: bytes | str | None, topic: str = "alerts", **more: Any) -> None:
        for value in values:
            self.producer.produce(topic, value, **more)
        assert self.producer.flush(10) == 0

    def committed(self, group: str = "aegis", topic: str = "alerts") -> int:
        consumer = kafka.Consumer({"bootstrap.servers": self.address, "group.id": group})
        found = consumer.committed([kafka.TopicPartition(topic, p) for p in range(4)], timeout=10)
        consumer.close()
        return sum(max(0, one.offset) for one in found)

    def stream(self, **more: Any) -> Any:
        given: dict[str, Any] = {"name": "topic", "kind": "kafka", "brokers": [self.address], "topics": ["alerts"]}
        quick = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 200, "fetch.wait.max.ms": 20}
        return settings_of(**(given | {"options": quick} | more))


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_read_marked_and_committed(inbox: Inbox, cluster: Cluster) -> None:
    cluster.send(*(alert(n) for n in range(20)), b"\xff\x00 no JSON", None)
    runner = run_once(inbox, cluster.stream())
    assert runner.tallies["topic"].last_error == ""
    assert ids(inbox) == [f"a-{n}" for n in range(20)]
    assert inbox.dead()[0].message.native.encode("utf-8", "surrogateescape") == b"\xff\x00 no JSON"
    assert cluster.committed() == 22
    cluster.send(alert(50))
    runner = run_once(inbox, cluster.stream(group="another-that-committed-nothing"))  # the marks decide
    assert (runner.tallies["topic"].read, runner.tallies["topic"].new) == (1, 1)


def test_what_comes_twice_is_known_and_a_topic_made_anew_is_not(inbox: Inbox, cluster: Cluster) -> None:
    cluster.send(*(alert(n) for n in range(3)), partition=0)
    run_once(inbox, cluster.stream())
    from aegis_agents.inbox.records import Mark

    inbox.put([], [Mark("topic", "alerts/0", "0")])
    assert run_once(inbox, cluster.stream()).tallies["topic"].known == 3
    time.sleep(0.01)
    anew = Cluster()
    anew.send(*(alert(n) for n in (10, 11)), partition=0)
    runner = run_once(inbox, anew.stream())  # its offset 3 is not there: from the beginning
    assert (runner.tallies["topic"].new, runner.tallies["topic"].known) == (2, 0)
    assert len(taken(inbox)) == 5


def test_partitions_that_move_lose_nothing(inbox: Inbox, cluster: Cluster) -> None:
    """Two members of a group, of which one comes later and one goes earlier."""
    stop_first, stop_second = threading.Event(), threading.Event()
    runners = [Runner([cluster.stream(name="topic")], inbox) for _ in range(2)]
    first = threading.Thread(target=runners[0].run, args=(stop_first,))
    second = threading.Thread(target=runners[1].run, args=(stop_second,))
    number = 0

    def some() -> None:
        nonlocal number
        for _ in range(40):
            cluster.producer.produce("alerts", alert(number), partition=number % 4)
            number += 1
        cluster.producer.flush(10)

    some()
    first.start()
    wait_for(lambda: inbox.counts().waiting == 40, 20)
    second.start()
    some()
    wait_for(lambda: inbox.counts().waiting == 80, 20)
    stop_first.set()
    some()
    first.join()
    wait_for(lambda: inbox.counts().waiting == 120, 20)
    stop_second.set()
    second.join()
    assert ids(inbox) == [f"a-{n}" for n in range(120)]
    assert inbox.counts().copies == 0


def test_while_the_inbox_is_full_it_stays_a_member(tmp_path: Path, cluster: Cluster) -> None:
    inbox = inbox_at(tmp_path / "small", most_waiting=3)
    (tmp_path / "first").write_text(alert(99) + "\n")
    run_once(inbox, settings_of(name="first", kind="file", path=tmp_path / "first"))
    cluster.send(*(alert(n) for n in range(30)), partition=0)
    quick = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 200, "max.poll.interval.ms": 6000}
    found: list[str] = []
    with running(inbox, cluster.stream(options=quick)) as runner:
        wait_for(lambda: runner.tallies["topic"].waits > 3, 20)
        assert inbox.counts().waiting <= 3
        while len(found) < 31:
            for held in inbox.take("t", 3):
                found.append(held.message.native)
                inbox.done("t", held.number)
            time.sleep(0.01)
        wait_for(lambda: cluster.committed() == 30)
    assert len(set(found)) == 31
    assert runner.tallies["topic"].failures == 0
    inbox.close()


def test_brokers_that_are_away_are_waited_for(inbox: Inbox) -> None:
    stream = settings_of(name="topic", kind="kafka", brokers=["127.0.0.1:1"], topics=["alerts"])
    begun = time.monotonic()
    with running(inbox, stream):
        time.sleep(0.3)
    assert time.monotonic() - begun < 5


def test_security_is_passed_on() -> None:
    given = configuration(
        settings_of(
            name="k", kind="kafka", brokers=["broker.example:9093"], topics=["t"], group="g", tls=True, ca="/ca.pem",
            certificate="/c.pem", key="/k.pem", key_password="of-the-key", sasl="SCRAM-SHA-512", username="u",
            password="of-u", options={"client.id": "aegis", "fetch.max.bytes": 1_000_000},
        )
    )  # fmt: skip
    assert given == {
        "bootstrap.servers": "broker.example:9093", "group.id": "g", "security.protocol": "SASL_SSL",
        "enable.auto.commit": False, "enable.auto.offset.store": False, "auto.offset.reset": "earliest",
        "enable.partition.eof": True, "allow.auto.create.topics": False, "client.id": "aegis",
        "fetch.max.bytes": 1_000_000, "ssl.ca.location": "/ca.pem", "ssl.certificate.location": "/c.pem",
        "ssl.key.location": "/k.pem", "ssl.key.password": "of-the-key", "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "u", "sasl.password": "of-u", "ssl.endpoint.identification.algorithm": "https",
        "enable.ssl.certificate.verification": True,
    }  # fmt: skip
    plain = configuration(settings_of(name="k", kind="kafka", brokers=["h:1"], topics=["t"], plain=True))
    assert plain["security.protocol"] == "PLAINTEXT"


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"brokers": ["far.example:9092"]}, "tls = true"),
        ({"brokers": ["far.example:9092"], "sasl": "PLAIN", "username": "u", "password": "p"}, "tls = true"),
        ({"brokers": ["no-port"]}, "host:port"),
        ({"brokers": ["a:1,b:2"]}, "host:port"),
        ({"brokers": []}, "at least 1"),
        ({"topics": ["^.*"]}, "no topic"),
        ({"ca": "/x"}, "tls = true"),
        ({"tls": True, "key": "/x"}, "go together"),
        ({"sasl": "PLAIN"}, "go together"),
        ({"sasl": "GSSAPI", "username": "u", "password": "p"}, "sasl"),
        ({"options": {"enable.auto.commit": "true"}}, "can't be set here"),
        ({"options": {"plugin.library.paths": "/evil.so"}}, "can't be set here"),
        ({"options": {"enable.ssl.certificate.verification": "false"}}, "can't be set here"),
        ({"options": {"sasl.kerberos.kinit.cmd": "id"}}, "can't be set here"),
        ({"options": {"ssl.ca.location": "/x"}}, "can't be set here"),
    ],
)
def test_what_is_not_safe_is_refused(given: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        settings_of(**({"name": "k", "kind": "kafka", "brokers": ["127.0.0.1:1"], "topics": ["t"]} | given))


def test_secrets_are_not_shown() -> None:
    made: KafkaSettings = settings_of(
        name="k", kind="kafka", brokers=["127.0.0.1:1"], topics=["t"], sasl="PLAIN", username="u", password="s3cret-x"
    )
    assert "s3cret-x" not in repr(made) + made.model_dump_json()
