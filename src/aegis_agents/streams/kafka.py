"""Topics of Kafka as a stream. Offsets are marked in one transaction with the messages, and committed afterwards.

The marks decide where a partition goes on; what is committed to the group is for its monitoring and for the first
time. A partition that went to another process while a batch of it was under way may bring that batch twice: it is
known by its position, which holds the time too, since offsets begin anew when a topic is made anew.
"""

from __future__ import annotations

import logging
from typing import Any

from aegis_agents.errors import StreamError
from aegis_agents.inbox.records import Mark
from aegis_agents.settings_streams import KafkaSettings
from aegis_agents.streams.intake import BATCH, Intake
from aegis_agents.streams.stream import Entry

_POLL_S = 0.5
_log = logging.getLogger("aegis.streams")


class KafkaStream:
    """Reads topics as a member of a consumer group."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def run(self, intake: Intake, *, once: bool) -> None:
        """See `Stream.run`."""
        from confluent_kafka import KafkaException

        try:
            _Consuming(self._settings, intake, once).run()
        except KafkaException as error:
            raise StreamError(f"kafka: {_clean(error.args[0] if error.args else error)}") from error


class _Consuming:
    """One membership."""

    def __init__(self, settings: KafkaSettings, intake: Intake, once: bool) -> None:
        from confluent_kafka import Consumer

        self._intake, self._once = intake, once
        self._waiting = False
        """The inbox is full: nothing is fetched, and what was given to us meanwhile neither."""
        self._late: list[Any] = []
        """Messages that came in spite of that."""
        self._ended: set[tuple[str, int]] = set()
        self._assigned: set[tuple[str, int]] | None = None
        self._trouble: Exception | None = None
        self._consumer = Consumer(configuration(settings), logger=_log)
        self._topics = list(settings.topics)

    def run(self) -> None:
        """Read until it is to stop."""
        self._consumer.subscribe(self._topics, on_assign=self._given, on_revoke=self._taken, on_lost=self._taken)
        try:
            while not self._intake.stop.is_set():
                got = self._late or self._consumer.consume(BATCH, _POLL_S)
                self._late = []
                if self._trouble is not None:
                    raise self._trouble
                self._hand_over(got)
                if self._once and self._assigned is not None and self._ended >= self._assigned:
                    return
        finally:
            self._consumer.close()

    def _hand_over(self, got: list[Any]) -> None:
        from confluent_kafka import KafkaException, TopicPartition

        entries: list[Entry] = []
        offsets: dict[tuple[str, int], int] = {}
        for message in got:
            if (error := message.error()) is not None:
                if not self._is_end(message, error):
                    raise KafkaException(error)
                continue
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            offsets[topic, partition] = offset + 1
            self._ended.discard((topic, partition))
            mark = Mark(self._intake.name, f"{topic}/{partition}", str(offset + 1))
            value = message.value()
            if value is None:  # a tombstone
                entries.append(Entry(None, mark))
                continue
            position = f"{topic}/{partition}/{offset}@{message.timestamp()[1]}"
            entries.append(Entry(self._intake.message(value.decode("utf-8", "surrogateescape"), position), mark))
        if not entries:
            return
        try:
            self._intake.put(entries, meanwhile=self._keep_alive)
        finally:
            self._fetch_again()
        try:
            self._consumer.commit(
                offsets=[TopicPartition(t, p, o) for (t, p), o in offsets.items()], asynchronous=False
            )
        except KafkaException as error:  # they are not ours any more, or the broker is away: the marks hold
            _log.warning("%s: offsets were not committed: %s", self._intake.name, _clean(error.args[0]))

    def _is_end(self, message: Any, error: Any) -> bool:
        from confluent_kafka import KafkaError

        if error.code() == KafkaError._PARTITION_EOF:
            self._ended.add((message.topic(), message.partition()))
            return True
        if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._ALL_BROKERS_DOWN) and not error.fatal():
            _log.warning("%s: %s", self._intake.name, _clean(error))  # librdkafka tries again itself
            return not self._once
        return False

    def _keep_alive(self) -> None:
        """While the inbox is full: fetch nothing, and stay a member."""
        if not self._waiting:
            self._waiting = True
            self._consumer.pause(self._consumer.assignment())
        message = self._consumer.poll(0)
        if message is not None:
            self._late.append(message)

    def _fetch_again(self) -> None:
        if self._waiting:
            self._waiting = False
            self._consumer.resume(self._consumer.assignment())

    def _given(self, consumer: Any, partitions: list[Any]) -> None:
        """Partitions were given to us: they go on where their marks are."""
        cooperative = (
            consumer.rebalance_protocol() == "COOPERATIVE" if hasattr(consumer, "rebalance_protocol") else False
        )
        try:
            for partition in partitions:
                mark = self._intake.mark(f"{partition.topic}/{partition.partition}")
                if mark is not None:
                    partition.offset = int(mark)
        except Exception as error:  # noqa: BLE001 - raised from here it would be lost; `run` raises it
            self._trouble = error
            return
        self._assigned = (self._assigned or set()) | {(one.topic, one.partition) for one in partitions}
        consumer.incremental_assign(partitions) if cooperative else consumer.assign(partitions)
        if self._waiting:
            consumer.pause(partitions)

    def _taken(self, consumer: Any, partitions: list[Any]) -> None:
        """Partitions were taken from us; what was read of them is in the inbox or will be known again."""
        names = {(one.topic, one.partition) for one in partitions}
        self._assigned = (self._assigned or set()) - names
        self._ended -= names


def configuration(settings: KafkaSettings) -> dict[str, Any]:
    """What librdkafka is told."""
    protocol = ("SASL_" if settings.sasl else "") + ("SSL" if settings.tls else "PLAINTEXT")
    given: dict[str, Any] = {
        **settings.options,
        "bootstrap.servers": ",".join(settings.brokers), "group.id": settings.group, "security.protocol": protocol,
        "enable.auto.commit": False, "enable.auto.offset.store": False, "auto.offset.reset": "earliest",
        "enable.partition.eof": True, "allow.auto.create.topics": False,
    }  # fmt: skip
    if settings.tls:
        given["ssl.endpoint.identification.algorithm"] = "https"
        given["enable.ssl.certificate.verification"] = True
    if settings.sasl:
        given |= {"sasl.mechanism": settings.sasl, "sasl.username": settings.username}
        given["sasl.password"] = settings.password.get_secret_value() if settings.password else None
    for name, path in (("ca", settings.ca), ("certificate", settings.certificate), ("key", settings.key)):
        if path is not None:
            given[f"ssl.{name}.location"] = str(path)
    if settings.key_password is not None:
        given["ssl.key.password"] = settings.key_password.get_secret_value()
    return given


def _clean(error: Any) -> str:
    return " ".join(str(error).split())[:300]
