"""SQS against moto's server: deleted after it is in the inbox, known when it comes twice, held while the inbox is full."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from pydantic import ValidationError

from aegis_agents.inbox.inbox import Inbox
from aegis_agents.inbox.records import Message
from aegis_agents.streams.envelopes import without_envelope
from tests.connectors.moto_server import REGION, cloud, server
from tests.streams.helpers import alert, ids, inbox_at, run_once, running, settings_of, taken, wait_for

__all__ = ["cloud", "server"]
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning")


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = inbox_at(tmp_path / "home")
    yield opened
    opened.close()


class Queue:
    def __init__(self, url: str) -> None:
        self.endpoint = url
        self.client = boto3.session.Session().client("sqs", region_name=REGION, endpoint_url=url)
        self.url = self.client.create_queue(QueueName="alerts")["QueueUrl"]

    def send(self, *bodies: str) -> None:
        for at in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[at : at + 10])]
            assert not self.client.send_message_batch(QueueUrl=self.url, Entries=entries).get("Failed")

    def left(self) -> tuple[int, int]:
        """(visible, held)"""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def stream(self, **more: Any) -> Any:
        given = {"name": "queue", "kind": "sqs", "queue_url": self.url, "region": REGION, "endpoint_url": self.endpoint}
        return settings_of(**(given | {"wait_s": 0} | more))


@pytest.fixture
def queue(cloud: Any) -> Queue:
    return Queue(cloud[0])


def test_taken_in_then_deleted(inbox: Inbox, queue: Queue) -> None:
    queue.send(*(alert(n) for n in range(25)), "no JSON")
    run_once(inbox, queue.stream())
    assert ids(inbox) == [f"a-{n}" for n in range(25)]
    assert [one.message.native for one in inbox.dead()] == ["no JSON"]
    assert queue.left() == (0, 0)


def test_what_could_not_be_deleted_comes_again(inbox: Inbox, queue: Queue, cloud: Any) -> None:
    queue.send(alert(1))
    gate = cloud[1]
    gate.armed = True
    gate.said_no = {"DeleteMessageBatch"}
    error = run_once(inbox, queue.stream()).tallies["queue"].last_error
    assert error.startswith("StreamError: sqs: AccessDenied")
    assert (inbox.counts().waiting, queue.left()) == (1, (0, 1))


def test_what_comes_twice_is_known_by_its_id(inbox: Inbox, queue: Queue) -> None:
    queue.send(alert(1))
    (message,) = queue.client.receive_message(QueueUrl=queue.url, VisibilityTimeout=0)["Messages"]
    inbox.put([Message("queue", message["Body"], message["MessageId"])])
    runner = run_once(inbox, queue.stream())
    assert (runner.tallies["queue"].known, runner.tallies["queue"].folded, queue.left()) == (1, 0, (0, 0))


def test_while_the_inbox_is_full_they_stay_invisible_and_go_back_at_the_end(tmp_path: Path, queue: Queue) -> None:
    inbox = inbox_at(tmp_path / "small", most_waiting=1)
    run_once(inbox, settings_of(name="f", kind="file", path=_file(tmp_path, alert(99))))
    queue.send(alert(1), alert(2))
    seen: list[int] = []
    with running(inbox, queue.stream(visibility_s=10)) as runner:
        wait_for(lambda: runner.tallies["queue"].waits > 2)
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            seen.append(queue.left()[0])
            time.sleep(0.1)
    assert set(seen) == {0}
    assert queue.left() == (2, 0)
    assert inbox.counts().waiting == 1
    inbox.close()


def test_visibility_is_made_longer_from_half_of_it_on(inbox: Inbox, queue: Queue, monkeypatch: Any) -> None:
    from aegis_agents.streams.sqs import SqsStream

    queue.send(alert(1))
    stream = SqsStream(queue.stream(visibility_s=100))
    client = stream._client()
    got = stream._receive(client, 0)
    asked: list[int] = []
    monkeypatch.setattr(stream, "_visible_in", lambda _c, _g, seconds: asked.append(seconds))
    stream._hold(client, got)
    assert asked == []
    stream._held_until -= 60
    stream._hold(client, got)
    stream._hold(client, got)
    assert asked == [100]


def test_wait_s_is_asked_of_the_queue(queue: Queue, inbox: Inbox) -> None:
    with running(inbox, queue.stream(wait_s=2)):
        time.sleep(0.3)
        queue.send(alert(1))
        wait_for(lambda: inbox.counts().waiting == 1, 5)


def _file(folder: Path, text: str) -> Path:
    path = folder / "one.json"
    path.write_text(text + "\n")
    return path


def test_envelopes_are_taken_off(inbox: Inbox, queue: Queue) -> None:
    event = json.dumps({"version": "0", "detail-type": "GuardDuty Finding", "detail": json.loads(alert(2)), "id": "e"})
    queue.send(_sns(alert(1)), _sns(_sns(event)), event.replace("a-2", "a-3"))
    run_once(inbox, queue.stream())
    texts = sorted(taken(inbox))
    assert texts == sorted([alert(1), event, event.replace("a-2", "a-3")])


def _sns(message: str, **more: Any) -> str:
    values = {
        "Type": "Notification",
        "MessageId": "m",
        "TopicArn": "arn:aws:sns:x",
        "Message": message,
        "Timestamp": "t",
    }
    return json.dumps(values | more)


@pytest.mark.parametrize(
    "body",
    [
        "", "{", '{"TopicArn": ' * 10_000, _sns("x", Type="SubscriptionConfirmation"), _sns("  "), '["TopicArn"]',
        json.dumps({"Type": "Notification", "TopicArn": "x", "Message": "y"}), _sns("x", Message={"a": 1}),
        '{"TopicArn": ' + "9" * 100_000 + "}",
    ],
)  # fmt: skip
def test_what_is_no_envelope_stays_as_it_is(body: str) -> None:
    assert without_envelope(body) == body


def test_envelopes_without_end_are_not_followed(inbox: Inbox) -> None:
    body = "x"
    for _ in range(5):
        body = _sns(body)
    assert '"TopicArn"' in without_envelope(body)


def test_a_queue_that_is_not_there_is_said(inbox: Inbox, queue: Queue) -> None:
    runner = run_once(inbox, queue.stream(queue_url=queue.url + "x"))
    assert "NonExistentQueue" in runner.tallies["queue"].last_error


@pytest.mark.parametrize("url", ["http://sqs.example.com/1/q", "ftp://x", "https://u:p@h/q", "/1/q", ""])
def test_urls_are_https_or_here(url: str) -> None:
    for field in ("queue_url", "endpoint_url"):
        with pytest.raises(ValidationError):
            settings_of(**({"name": "q", "kind": "sqs", "region": "x", "queue_url": "https://q/1"} | {field: url}))
