"""Settings of streams: where alerts come from by themselves. In a settings file each is a table [[streams]].

Secrets are references there ("keyring:SERVICE/NAME", "credential:NAME", "env:NAME"; see settings_secrets); AWS' own are
found by its SDK's usual chain.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

MOST_LINE_BYTES = 50_000_000

KAFKA_OPTIONS = frozenset(
    (
        "client.id", "client.rack", "fetch.max.bytes", "fetch.min.bytes", "fetch.wait.max.ms", "group.instance.id",
        "heartbeat.interval.ms", "max.partition.fetch.bytes", "max.poll.interval.ms", "message.max.bytes",
        "metadata.max.age.ms", "partition.assignment.strategy", "queued.max.messages.kbytes", "reconnect.backoff.max.ms",
        "reconnect.backoff.ms", "session.timeout.ms", "socket.timeout.ms", "topic.metadata.refresh.interval.ms",
    )
)  # fmt: skip
"""What of librdkafka's configuration may be set in `options`: what tunes it. None of them runs code, reads a file,
weakens TLS, or takes the committing of offsets away from us."""


def _is_here(host: str) -> bool:
    """Whether only this machine can reach it. (settings_server has the same; the two stand beside each other.)"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Stream(BaseModel):
    """What every stream has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    """How it is remembered how far it was read: keep it."""
    format: str | None = Field(default=None, max_length=40)
    """The product format of its alerts (`aegis formats`); without it each is detected."""
    rate: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Alerts a second that it may bring before those of others overtake its own; 0 leaves it to inbox.rate_per_stream."""

    @field_validator("path", mode="before", check_fields=False)
    @classmethod
    def _is_given(cls, given: object) -> object:
        """An empty path would be the folder that one happens to be in; "~" is one's own."""
        if isinstance(given, str) and not given.strip():
            raise ValueError("is empty: name it")
        return Path(given).expanduser() if isinstance(given, str) else given


class FileSettings(_Stream):
    """A file that grows, an alert a line (JSON Lines); followed through rotation."""

    kind: Literal["file"]
    path: Path
    every_s: float = Field(default=0.25, gt=0, le=3600)
    """How often it is looked at."""
    from_end: bool = False
    """The first time, begin with what is written from now on."""
    line_bytes: int = Field(default=5_000_000, ge=100, le=MOST_LINE_BYTES)
    """Longest line; of a longer one the beginning is set aside, with where the rest is."""
    linger_s: float = Field(default=5.0, ge=0, le=3600)
    """How long a file that was rotated away is still looked at: its writer may not have noticed yet."""
    gz: bool = False
    """Look in rotated files that were packed (.gz) too, when it is not found elsewhere how far it was read."""


class DirectorySettings(_Stream):
    """A folder into which files are put: an alert, an array of them, or one a line."""

    kind: Literal["directory"]
    path: Path
    every_s: float = Field(default=1.0, gt=0, le=3600)
    """How often it is looked into."""
    settle_s: float = Field(default=2.0, ge=0, le=3600)
    """How long a file must not have changed before it is read."""
    give_up_s: float = Field(default=300.0, ge=0, le=86_400)
    """How long a file that is no whole JSON may stay as it is before it is set aside as what it is."""
    file_bytes: int = Field(default=100_000_000, ge=1_000, le=1_000_000_000)
    """Longest file; it is in memory while it is read. Of a longer one the beginning is set aside."""


class SyslogSettings(_Stream):
    """A syslog receiver (RFC 5424, RFC 3164) by UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425)."""

    kind: Literal["syslog"]
    transport: Literal["udp", "tcp", "tls"] = "tcp"
    host: str = "127.0.0.1"
    port: int = Field(default=6514, ge=0, le=65535)
    plain: bool = False
    """Listen to other machines without TLS: anybody on the way can read, change and invent alerts."""
    tls_certificate: Path | None = None
    """A PEM file with the certificate and its chain."""
    tls_key: Path | None = None
    tls_key_password: SecretStr | None = None
    tls_clients: Path | None = None
    """A PEM file with the authorities whose clients may send; without it anybody may."""
    connections: int = Field(default=200, ge=1, le=10_000)
    """Connections at once; one address has at most half of them."""
    message_bytes: int = Field(default=256_000, ge=480, le=5_000_000)
    """Longest message (RFC 5424 asks for 480 at least); of a longer one the beginning is set aside."""
    idle_s: float = Field(default=600.0, gt=0, le=86_400)
    """Silence after which a connection is closed."""
    queue: int = Field(default=10_000, ge=1, le=1_000_000)
    """Messages in memory at most, shared by the addresses alike; beyond, TCP waits and UDP drops (and counts)."""
    queue_bytes: int = Field(default=64_000_000, ge=100_000)
    """Their bytes at most; first messages of further addresses may have as much again."""

    @model_validator(mode="after")
    def _is_guarded(self) -> SyslogSettings:
        if (self.transport == "tls") != (self.tls_certificate is not None and self.tls_key is not None):
            raise ValueError('tls_certificate and tls_key go with transport = "tls", and it with them')
        if self.transport != "tls" and (
            self.tls_clients or self.tls_key_password or self.tls_certificate or self.tls_key
        ):
            raise ValueError('tls_clients and tls_key_password go with transport = "tls"')
        if self.transport != "tls" and not (self.plain or _is_here(self.host)):
            raise ValueError(
                f'host: {self.host} can be reached from elsewhere: use transport = "tls", or say plain = true'
            )
        return self


class KafkaSettings(_Stream):
    """Topics of Kafka, or of what speaks its protocol; an alert a message."""

    kind: Literal["kafka"]
    brokers: tuple[str, ...] = Field(min_length=1)
    """ "host:port" each."""
    topics: tuple[str, ...] = Field(min_length=1)
    group: str = Field(default="aegis", min_length=1, max_length=200)
    """The consumer group: processes with the same one share the partitions."""
    plain: bool = False
    """Talk to brokers on other machines without TLS."""
    tls: bool = False
    ca: Path | None = None
    """A PEM file with the authorities that sign the brokers' certificates; the system's otherwise."""
    certificate: Path | None = None
    """A PEM file with our own certificate, where the brokers want one."""
    key: Path | None = None
    key_password: SecretStr | None = None
    sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    username: str | None = None
    password: SecretStr | None = None
    options: dict[str, str | int] = {}
    """Further configuration of librdkafka, of what tunes it (docs/streams.md)."""

    @field_validator("brokers")
    @classmethod
    def _are_addresses(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            host, _, port = one.rpartition(":")
            if not host.strip("[]") or not port.isdecimal() or "," in one or "/" in one:
                raise ValueError(f'{one!r} is no "host:port"')
        return given

    @field_validator("topics")
    @classmethod
    def _are_names(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            if not one or one.startswith("^"):
                raise ValueError(f"{one!r} is no topic (patterns are not taken: name each)")
        return given

    @field_validator("options")
    @classmethod
    def _are_allowed(cls, given: dict[str, str | int]) -> dict[str, str | int]:
        if other := sorted(set(given) - KAFKA_OPTIONS):
            raise ValueError(f"{other[0]} can't be set here; what can: {', '.join(sorted(KAFKA_OPTIONS))}")
        return given

    @model_validator(mode="after")
    def _is_guarded(self) -> KafkaSettings:
        if not self.tls and (self.ca or self.certificate or self.key or self.key_password):
            raise ValueError("ca, certificate, key and key_password go with tls = true")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if (self.sasl is None) != (self.username is None) or (self.sasl is None) != (self.password is None):
            raise ValueError("sasl, username and password go together")
        far = [one for one in self.brokers if not _is_here(one.rpartition(":")[0].strip("[]"))]
        if far and not (self.tls or self.plain):
            raise ValueError(f"brokers: {far[0]} is on another machine: use tls = true, or say plain = true")
        return self


class SqsSettings(_Stream):
    """A queue of Amazon SQS; an alert a message, also in an envelope of SNS."""

    kind: Literal["sqs"]
    queue_url: str
    region: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    endpoint_url: str | None = None
    """Where it is asked, if not at AWS' own address of the region: a VPC endpoint, for example."""
    wait_s: int = Field(default=10, ge=0, le=20)
    """How long one request waits for messages (long polling); also the longest that stopping takes."""
    visibility_s: int = Field(default=300, ge=10, le=43_200)
    """How long nobody else sees a message that was received; it is made longer while the inbox is full."""

    @field_validator("queue_url", "endpoint_url")
    @classmethod
    def _is_guarded(cls, given: str | None) -> str | None:
        if given is None:
            return None
        where = urlsplit(given)
        if not where.hostname or not (where.scheme == "https" or (where.scheme == "http" and _is_here(where.hostname))):
            raise ValueError(f"{given!r} is neither https nor on this machine")
        if where.username or where.password:
            raise ValueError("a URL holds no user name or password here")
        return given


StreamSettings = Annotated[
    FileSettings | DirectorySettings | SyslogSettings | KafkaSettings | SqsSettings, Field(discriminator="kind")
]
"""One stream, by its `kind`: file, directory, syslog, kafka or sqs."""
