"""A queue of Amazon SQS as a stream. A message is deleted when it is in the inbox, never before.

SQS may bring a message twice: it is known by its id. While the inbox is full, nobody else gets to see what we hold,
and when we stop, what was not taken in is given back at once. Credentials and proxies come by boto3's usual chain.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aegis_agents.errors import StreamError
from aegis_agents.settings_streams import SqsSettings
from aegis_agents.streams.envelopes import without_envelope
from aegis_agents.streams.intake import Intake, Stopped
from aegis_agents.streams.stream import Entry

_AT_ONCE = 10
"""Messages that one request may bring."""
MOST = 100
"""Messages that are taken in at once."""


class SqsStream:
    """Reads one queue."""

    def __init__(self, settings: SqsSettings) -> None:
        self._settings = settings
        self._held_until = 0.0

    def run(self, intake: Intake, *, once: bool) -> None:
        """See `Stream.run`; with `once`, until a request brings nothing."""
        with _spoken(self._settings):
            client = self._client()
        while not intake.stop.is_set():
            with _spoken(self._settings):
                got = self._receive(client, 0 if once else self._settings.wait_s)
            if not got:
                if once:
                    return
                if self._settings.wait_s == 0:
                    intake.stop.wait(1.0)
                continue
            entries = [Entry(intake.message(without_envelope(one.get("Body", "")), one["MessageId"])) for one in got]
            try:
                intake.put(entries, meanwhile=lambda got=got: self._hold(client, got))  # type: ignore[misc]
            except Stopped:
                with _spoken(self._settings):
                    self._visible_in(client, got, 0)
                raise
            with _spoken(self._settings):
                self._all(client.delete_message_batch, got, lambda _: {})

    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        wait_s = self._settings.wait_s
        how = Config(connect_timeout=5, read_timeout=wait_s + 10, retries={"mode": "standard", "total_max_attempts": 3})
        session = boto3.session.Session()  # one's own: the default session is not safe among threads
        return session.client(
            "sqs", region_name=self._settings.region, endpoint_url=self._settings.endpoint_url, config=how
        )

    def _receive(self, client: Any, wait_s: int) -> list[dict[str, Any]]:
        """Wait for messages, then take what else is there at once."""
        self._held_until = time.monotonic() + self._settings.visibility_s
        got: list[dict[str, Any]] = []
        while len(got) < MOST:
            answer = client.receive_message(
                QueueUrl=self._settings.queue_url, MaxNumberOfMessages=_AT_ONCE,
                WaitTimeSeconds=0 if got else wait_s, VisibilityTimeout=self._settings.visibility_s,
            )  # fmt: skip
            some = answer.get("Messages", [])
            got += some
            if len(some) < _AT_ONCE:
                break
        return got

    def _hold(self, client: Any, got: list[dict[str, Any]]) -> None:
        """While the inbox is full: keep them ours, from half of the time on."""
        if self._held_until - time.monotonic() < self._settings.visibility_s / 2:
            with _spoken(self._settings):
                self._visible_in(client, got, self._settings.visibility_s)
            self._held_until = time.monotonic() + self._settings.visibility_s

    def _visible_in(self, client: Any, got: list[dict[str, Any]], seconds: int) -> None:
        self._all(client.change_message_visibility_batch, got, lambda _: {"VisibilityTimeout": seconds})

    def _all(self, call: Callable[..., Any], got: list[dict[str, Any]], more: Callable[[Any], dict[str, Any]]) -> None:
        """A request for every ten. One that is refused for a message leaves it: it will come again, and be known."""
        for at in range(0, len(got), _AT_ONCE):
            entries = [
                {"Id": str(number), "ReceiptHandle": one["ReceiptHandle"]} | more(one)
                for number, one in enumerate(got[at : at + _AT_ONCE])
            ]
            call(QueueUrl=self._settings.queue_url, Entries=entries)


@contextmanager
def _spoken(settings: SqsSettings) -> Iterator[None]:
    """The SDK's errors as ours: the service's code and words, which hold no credentials."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        said = error.response.get("Error", {})
        raise StreamError(
            f"sqs: {said.get('Code', '?')}: {' '.join(str(said.get('Message', '')).split())[:300]}"
        ) from error
    except BotoCoreError as error:
        raise StreamError(f"sqs: {settings.region}: {' '.join(str(error).split())[:300]}") from error
