"""Settings of telemetry: what is refused, with the fix, and that each of them changes something."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import ValidationError

from aegis_agents import Aegis
from aegis_agents.settings import load_settings
from aegis_agents.settings_telemetry import TelemetrySettings
from aegis_agents.watching import observed
from tests.telemetry.collector import Collector, collecting
from tests.telemetry.conftest import ATTACK

Make = Callable[..., Aegis]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"otlp_endpoint": "http://collector.example:4318"}, "in the clear"),
        ({"otlp_endpoint": "collector:4318"}, "is no URL"),
        ({"otlp_endpoint": ""}, "is no URL"),
        ({"otlp_endpoint": "https://u:p@collector.example"}, "otlp_headers"),
        ({"otlp_endpoint": "https://collector.example/v1/traces"}, "base"),
        ({"otlp_endpoint": "file:///etc/passwd"}, "is no URL"),
        ({"otlp_headers": "api-key"}, "name=value"),
        ({"otlp_headers": "a=b\r\nc: d"}, "can't have"),
        ({"otlp_client_key": "k.pem"}, "belong together"),
        ({"otlp_certificate": ""}, "is empty"),
        ({"sample": 1.5}, "less than or equal to 1"),
        ({"sample": float("nan")}, "less than or equal to 1"),
        ({"service": "a b"}, "pattern"),
        ({"metrics_port": 70_000}, "65535"),
        ({"logs": "xml"}, "json"),
        ({"otlp_queue": 1}, "64"),
        ({"unknown": 1}, "Extra"),
    ],
)
def test_what_is_wrong_is_said(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as raised:
        TelemetrySettings(**given)
    assert not any(str(value) in str(raised.value) for name, value in given.items() if name == "otlp_headers")


def test_they_come_from_a_file_and_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "aegis.toml"
    file.write_text('[telemetry]\nlogs = "json"\nmetrics_port = 9464\n')
    assert load_settings(file).telemetry.metrics_port == 9464
    monkeypatch.setenv("AEGIS_TELEMETRY__OTLP_HEADERS", "api-key=sesame-9")
    headers = load_settings().telemetry.otlp_headers
    assert headers is not None
    assert headers.get_secret_value() == "api-key=sesame-9"


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "collector")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, SHA256())
    )  # fmt: skip
    certificate, private = folder / "c.pem", folder / "k.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


@pytest.mark.parametrize("client", [False, True])
def test_tls_with_an_authority_of_ones_own_and_a_certificate_of_ours(make: Make, tmp_path: Path, client: bool) -> None:
    certificate, key = _certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    ours: dict[str, Any] = {}
    if client:
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(certificate)
        ours = {"otlp_client_certificate": certificate, "otlp_client_key": key}
    with collecting(tls) as collector:
        aegis = make(telemetry=TelemetrySettings(otlp_endpoint=collector.url, otlp_certificate=certificate, **ours))
        aegis.investigate(ATTACK)
        aegis.close()
    assert collector.spans


def test_a_collector_that_nobody_vouches_for_gets_nothing(make: Make, tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with collecting(tls) as collector:
        aegis = make(telemetry=TelemetrySettings(otlp_endpoint=collector.url, otlp_seconds=0.5))
        aegis.investigate(ATTACK)
        aegis.close()
    assert collector.spans == []


def test_metrics_come_every_so_often_under_the_services_name(heard: Make, collector: Collector) -> None:
    aegis = heard({"otlp_every": 0.1, "service": "night-watch"})
    aegis.investigate(ATTACK)
    collector.wait(lambda: "aegis.incidents" in collector.metrics)  # without being closed
    collector.wait(lambda: bool(collector.resources))
    assert collector.resources[0]["service.name"] == "night-watch"
    aegis.close()


def test_the_address_that_figures_are_answered_on(make: Make) -> None:
    with observed(make(telemetry=TelemetrySettings(metrics_port=0, metrics_host="127.0.0.2"))) as server:
        assert server is not None
        assert server._server.server_address[0] == "127.0.0.2"
