"""The server as a process: signals, restarts, TLS, proxies, many at once."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.testclient import TestClient

from aegis_agents.errors import SettingsError
from aegis_agents.ledger import SqliteStore
from aegis_agents.records import AEGIS
from aegis_agents.server import connections
from aegis_agents.server.app import create_app
from aegis_agents.settings_server import ServerSettings
from tests.people import person
from tests.server.conftest import ATTACK

ROOT = Path(__file__).parents[2]


class Process:
    """`tests.server.serving` under way."""

    def __init__(self, home: Path, intel: Path, seconds: float) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.serving", str(home), str(intel), str(seconds), str(self.port)], cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.said: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()
        self.until(lambda: self._ready())

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.strip())

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def until(self, what: Callable[[], bool], seconds: float = 40) -> None:
        end = time.monotonic() + seconds
        while not what():
            if self.process.poll() is not None or time.monotonic() > end:
                assert self.process.stderr is not None
                raise AssertionError(f"not in time: {self.said} {self.process.stderr.read()[-2000:]}")
            time.sleep(0.02)

    def end(self, sig: int) -> int:
        self.process.send_signal(sig)
        return self.process.wait(40)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def start(home: Path, intel_home: Any) -> Iterator[Callable[[float], Process]]:
    made: list[Process] = []

    def begin(seconds: float) -> Process:
        made.append(Process(home, intel_home._opened.directory, seconds))
        return made[-1]

    yield begin
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        assert one.process.stdout is not None
        assert one.process.stderr is not None
        one.process.stdout.close()
        one.process.stderr.close()


def _token(home: Path) -> dict[str, str]:
    store = SqliteStore(home / "aegis.sqlite")
    token = store.add_token("ada", ("admin",), AEGIS, valid_for=timedelta(days=1))
    store.close()
    return {"Authorization": f"Bearer {token}"}


def _post(url: str, headers: dict[str, str], alert: dict[str, Any], into: list[Any]) -> None:
    try:
        into.append(httpx.post(f"{url}/v1/incidents", json=alert, headers=headers, timeout=60))
    except httpx.TransportError as error:
        into.append(error)


def test_sigterm_lets_what_is_under_way_finish(home: Path, start: Callable[[float], Process]) -> None:
    headers, served = _token(home), start(1.0)
    answers: list[Any] = []
    asking = threading.Thread(target=_post, args=(served.url, headers, ATTACK, answers))
    asking.start()
    served.until(lambda: "assessing a-1" in served.said)
    assert served.end(signal.SIGTERM) == 0
    asking.join()
    assert answers[0].status_code == 201
    served_lines = served.said
    assert served_lines[-1] == "closed"
    store = SqliteStore(home / "aegis.sqlite")
    assert store.unfinished() == []
    assert [e.body["status"] for e in store.entries(kind="access") if e.body] == [201]
    store.verify()
    store.close()


def test_what_a_kill_cut_off_is_decided_after_the_next_start(home: Path, start: Callable[[float], Process]) -> None:
    headers, served = _token(home), start(5.0)
    answers: list[Any] = []
    asking = threading.Thread(target=_post, args=(served.url, headers, ATTACK, answers))
    asking.start()
    served.until(lambda: "assessing a-1" in served.said)
    assert served.end(signal.SIGKILL) == -signal.SIGKILL
    asking.join()
    assert isinstance(answers[0], httpx.TransportError)
    again = start(0.0)

    def decided() -> bool:
        items = httpx.get(f"{again.url}/v1/incidents", headers=headers).json()["items"]
        return [item["verdict"] for item in items] == ["true_positive"]

    again.until(decided)
    assert httpx.post(f"{again.url}/v1/incidents", json=ATTACK, headers=headers).status_code == 200
    assert again.end(signal.SIGTERM) == 0


def test_what_is_past_its_time_is_lifted_while_serving(serving: Callable[..., Any]) -> None:
    with serving(expire_s=0.05) as rig:
        _, action = rig.waiting()
        rig.person("ann", "approver").post(f"/v1/actions/{action['action_id']}/approve")
        assert rig.firewall.in_effect
        rig.aegis.store.set_expiry(action["action_id"], datetime.now(UTC), AEGIS)
        until = time.monotonic() + 10
        while rig.firewall.in_effect and time.monotonic() < until:
            time.sleep(0.02)
        assert rig.person("v", "viewer").get(f"/v1/actions/{action['action_id']}").json()["outcome"] == "expired"


def test_a_background_error_is_counted_and_tried_again(serving: Callable[..., Any]) -> None:
    with serving(expire_s=0.02) as rig:
        calls: list[int] = []

        def broken() -> Any:
            calls.append(1)
            raise RuntimeError("no")

        rig.aegis.expire_due = broken
        until = time.monotonic() + 10
        while len(calls) < 3 and time.monotonic() < until:
            time.sleep(0.02)
        assert len(calls) >= 3
        assert 'aegis_background_errors_total{task="expire"}' in rig.person("v", "viewer").get("/metrics").text
        assert rig.client.get("/healthz").status_code == 200


def test_a_hundred_clients_at_once_are_all_answered(make: Callable[..., Any], listening: Callable[..., Any]) -> None:
    aegis = make()
    headers = {
        "Authorization": f"Bearer {aegis.store.add_token('a', ('analyst',), AEGIS, valid_for=timedelta(days=1))}"
    }

    async def all_at_once(url: str) -> list[int]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, limits=limits) as client:
            alerts = [ATTACK | {"event_id": f"c-{n // 2}"} for n in range(100)]  # each twice
            answers = await asyncio.gather(*(client.post("/v1/incidents", json=alert) for alert in alerts))
        return [a.status_code for a in answers]

    with listening(aegis) as url:
        codes = asyncio.run(all_at_once(url))
    assert set(codes) <= {200, 201}
    assert codes.count(201) >= 50
    assert len(list(aegis.store.entries(kind="intake.admitted", limit=1000))) == 50
    assert len(list(aegis.store.entries(kind="access", limit=1000))) == 100


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    import ipaddress

    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return folder / "cert.pem", folder / "key.pem"


def test_it_speaks_tls_itself(
    make: Callable[..., Any], listening: Callable[..., Any], certificate: tuple[Path, Path]
) -> None:
    import ssl

    with listening(make(), tls_certificate=certificate[0], tls_key=certificate[1]) as url:
        answer = httpx.get(f"{url}/healthz", verify=ssl.create_default_context(cafile=str(certificate[0])))
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        with pytest.raises(httpx.TransportError):
            httpx.get(url.replace("https", "http") + "/healthz")


def test_who_begins_no_handshake_is_ended_too(
    make: Callable[..., Any],
    listening: Callable[..., Any],
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.3)
    with listening(make(), tls_certificate=certificate[0], tls_key=certificate[1]) as url:
        where = urlsplit(url)
        with socket.create_connection((where.hostname, where.port), timeout=10) as silent:
            assert silent.recv(1) == b"", "closed, and long before the minute that asyncio gives"


@pytest.mark.parametrize(
    ("trusted", "seen"), [((), "127.0.0.1"), (("127.0.0.0/8",), "192.0.2.9"), (("10.0.0.1",), "127.0.0.1")]
)
def test_only_trusted_proxies_say_where_a_request_comes_from(
    make: Callable[..., Any], listening: Callable[..., Any], trusted: tuple[str, ...], seen: str
) -> None:
    aegis = make()
    token = aegis.store.add_token("v", ("viewer",), AEGIS, valid_for=timedelta(days=1))
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "192.0.2.9", "X-Forwarded-Proto": "https"}
    with listening(aegis, trusted_proxies=trusted) as url:
        answer = httpx.get(f"{url}/v1/timers", headers=headers)
        assert ("strict-transport-security" in answer.headers) is (seen == "192.0.2.9")
    (entry,) = aegis.store.entries(kind="access")
    assert entry.body is not None
    assert entry.body["address"] == seen


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "0.0.0.0"}, {"host": "::"}, {"host": "aegis.example"}, {"tls_certificate": "c.pem"}, {"port": 70_000},
        {"trusted_proxies": ("proxy",)}, {"rate_per_person": "fast"}, {"rate_per_person": "0/minute"}, {"workers": 0},
        {"unheard_of": 1},
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_can_not_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ServerSettings(**wrong)


@pytest.mark.parametrize(
    "right",
    [{"host": "0.0.0.0", "plain_http": True}, {"host": "10.0.0.5", "trusted_proxies": ("10.0.0.1",)}, {"host": "::1"}],
)
def test_listening_to_others_has_to_be_said(right: dict[str, Any]) -> None:
    assert ServerSettings(**right).host == right["host"]


def test_a_store_that_is_not_ours_is_refused(make: Callable[..., Any]) -> None:
    class Strange:
        def close(self) -> None: ...

    with pytest.raises(SettingsError, match="own stores"):
        create_app(make(ledger=Strange()))


def test_a_router_of_somebody_else_s_is_counted_and_entered(make: Callable[..., Any]) -> None:
    router = APIRouter()

    @router.get("/console/hello")
    def hello(request: Request) -> dict[str, str]:
        request.state.principal = person("carol")
        return {"hello": request.app.state.parts.aegis.settings.mode}

    aegis = make()
    with TestClient(create_app(aegis, routers=[router])) as client:
        assert client.get("/console/hello").json() == {"hello": "live"}
    (entry,) = aegis.store.entries(kind="access")
    assert json.dumps(entry.body).count("token:carol") == 1
