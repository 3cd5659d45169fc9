"""Settings of traces, metrics and logs: all of it is off unless it is set.

In a settings file they are the table [telemetry]; as variables AEGIS_TELEMETRY__OTLP_ENDPOINT ...
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

_FROZEN = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)  # a header is a secret


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class TelemetrySettings(BaseModel):
    """Settings of traces, metrics and logs."""

    model_config = _FROZEN

    otlp_endpoint: str | None = None
    """The OpenTelemetry collector that traces and metrics go to, without the path ("https://collector.example:4318")."""
    otlp_headers: SecretStr | None = None
    """Headers for it, as OTEL_EXPORTER_OTLP_HEADERS has them: "api-key=...,other=..."."""
    otlp_certificate: Path | None = None
    """The authority that its certificate is checked by, a PEM file; the usual ones otherwise."""
    otlp_client_certificate: Path | None = None
    """A certificate of our own that it asks for (PEM)."""
    otlp_client_key: Path | None = None
    """The key of that certificate (PEM)."""
    otlp_seconds: float = Field(default=5.0, gt=0, le=60)
    """Longest time for sending one batch, repeats included; also the longest that closing waits for the last one."""
    otlp_queue: int = Field(default=4096, ge=64, le=1_000_000)
    """Spans that wait to be sent; what comes on top is dropped and counted."""
    otlp_every: float = Field(default=30.0, gt=0, le=3600)
    """Seconds between two messages with metrics."""
    sample: float = Field(default=1.0, ge=0, le=1)
    """Share of traces that are kept, whatever a caller asks for."""
    service: str = Field(default="aegis", min_length=1, max_length=100, pattern=r"^[\w.-]+$")
    """The name of this service in traces and metrics."""
    contents: bool = False
    """Whether titles, targets, prompts and answers are sent and logged too, secrets masked. Off: none of them ever is."""
    metrics_port: int | None = Field(default=None, ge=0, le=65_535)
    """Where a worker answers Prometheus (0: any free port); `aegis serve` answers at /metrics without it."""
    metrics_host: str = "127.0.0.1"
    """The address that it listens on. Whoever reaches it can read the figures; they have no contents."""
    logs: Literal["off", "text", "json"] = "off"
    """How services write their log to standard error: as ever, as key=value lines, or as JSON lines."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """From which level on Aegis' own lines are written; those of libraries from warning on."""

    @property
    def on(self) -> bool:
        """Whether anything was asked for."""
        return bool(self.otlp_endpoint) or self.metrics_port is not None or self.logs != "off"

    @field_validator("otlp_certificate", "otlp_client_certificate", "otlp_client_key", mode="before")
    @classmethod
    def _path(cls, given: Any) -> Any:
        if given == "":
            raise ValueError("is empty: give a path, or leave it out")
        try:
            return Path(given).expanduser() if isinstance(given, str | Path) else given
        except RuntimeError as error:  # no such user
            raise ValueError(str(error)) from error

    @field_validator("otlp_endpoint")
    @classmethod
    def _reachable_safely(cls, given: str | None) -> str | None:
        """https, or http on this machine: headers and traces don't cross a network in the clear."""
        if given is None:
            return None
        where = urlsplit(given)
        if not where.hostname or where.scheme not in ("http", "https"):
            raise ValueError('is no URL: give one like "https://collector.example:4318"')
        if where.scheme == "http" and not _is_loopback(where.hostname):
            raise ValueError("http reaches other machines in the clear: give https, or a collector on this machine")
        if where.username or where.password:
            raise ValueError("has a password in it: give otlp_headers instead")
        if where.query or where.fragment or where.path.rstrip("/").endswith(("/v1/traces", "/v1/metrics")):
            raise ValueError("is the collector's base: leave out the query and /v1/traces, which are added")
        return given.rstrip("/")

    @field_validator("otlp_headers")
    @classmethod
    def _pairs(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None:
            header_pairs(given)
        return given

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.otlp_client_certificate is None) != (self.otlp_client_key is None):
            raise ValueError("otlp_client_certificate and otlp_client_key belong together: give both, or neither")
        return self


def header_pairs(given: SecretStr) -> dict[str, str]:
    """Headers by name. Raises ValueError that shows none of them."""
    pairs: dict[str, str] = {}
    for part in given.get_secret_value().split(","):
        name, equals, value = part.partition("=")
        name, value = name.strip().lower(), value.strip()
        if not equals or not value or not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            raise ValueError('a header is no "name=value"; several are separated by commas')
        if not value.isascii() or not value.isprintable():
            raise ValueError(f"the value of header {name} has characters that a header can't have")
        pairs[name] = value
    return pairs
