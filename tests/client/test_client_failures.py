"""What the clients do when the server is busy, slow, gone, or says no."""

from __future__ import annotations

import asyncio
import json
import pickle
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aegis_agents.client import (
    AegisClientError,
    AlreadyDecided,
    AsyncClient,
    Client,
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    ServerError,
    Unauthorised,
    Unavailable,
    reading,
)
from tests.soar.fake_aegis import FakeAegis, broken_off, done_and_gone, gone, silent

ALERT = {"title": "Beacon"}


def _problem(status: int, code: str | None = "some_code", **more: Any) -> bytes:
    body = {"title": "T", "status": status, "detail": "what is wrong", "field": "f", "fix": "do this"} | more
    return json.dumps(body | ({"code": code} if code else {})).encode()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "body_cut_off", InvalidInput), (401, "unauthorised", Unauthorised), (403, "forbidden", Forbidden),
        (404, "not_found", NotFound), (408, "body_timeout", Unavailable), (409, "already_decided", AlreadyDecided),
        (409, "in_progress", Unavailable), (413, "too_large", InvalidInput), (415, "x", InvalidInput),
        (422, "invalid_input", InvalidInput), (429, "rate_limited", RateLimited), (500, "internal", ServerError),
        (502, "connector_failed", ServerError), (502, "x", Unavailable), (503, "busy", Unavailable),
        (504, "x", Unavailable), (418, "x", ServerError),
    ],
)  # fmt: skip
def test_every_status_is_an_error_of_its_own(
    client: Any, fake: FakeAegis, status: int, code: str, kind: type[AegisClientError]
) -> None:
    fake.script((status, {"Content-Type": "application/problem+json"}, _problem(status, code)))
    with pytest.raises(AegisClientError) as told:
        client.investigate(ALERT)
    error = told.value
    assert type(error) is kind
    assert (error.status, error.code, error.field, error.fix) == (status, code, "f", "do this")
    assert str(error) == "f: what is wrong (do this)"
    assert len(fake.requests) == 1, "a problem without Retry-After does not pass by itself"


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_what_passes_is_tried_again_with_the_same_key(
    client: Any, fake: FakeAegis, waits: list[float], status: int
) -> None:
    busy = (status, {"Content-Type": "application/problem+json", "Retry-After": "3"}, _problem(status))
    fake.script(busy, (status, {}, b"<h1>a proxy's page</h1>"))
    assert client.investigate(ALERT)["verdict"] == "true_positive"
    assert waits == [3.0, 0.5], "as the server says, else twice as long each time"
    assert len({came.headers["idempotency-key"] for came in fake.requests}) == 1
    assert len(fake.requests) == 3


def test_after_the_last_try_the_error_says_how_long_to_wait(fake: FakeAegis, connect: Any, waits: list[float]) -> None:
    fake.script(*[(429, {"Retry-After": "7"}, _problem(429))] * 4)
    with pytest.raises(RateLimited) as told:
        connect(fake.url, fake.token(), retries=3).incidents()
    assert (told.value.retry_after, waits) == (7.0, [7.0, 7.0, 7.0])
    fake.script((429, {"Retry-After": "7"}, _problem(429)))
    once = connect(fake.url, fake.token(), retries=0)
    with pytest.raises(RateLimited):
        once.incidents()
    assert len(fake.requests) == 5


def test_a_wait_that_is_too_long_is_passed_on(client: Any, fake: FakeAegis, waits: list[float]) -> None:
    fake.script((503, {"Retry-After": "3600"}, _problem(503)))
    with pytest.raises(Unavailable) as told:
        client.approvals()
    assert (told.value.retry_after, waits) == (3600, [])
    assert len(fake.requests) == 1


def _in(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("0", 0, 0), ("12", 12, 12), (20, 10, 20), (-100, 0, 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0, 0), ("9" * 400, 1e19, 1e20),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(said: str | int, least: float, most: float) -> None:
    said = said if isinstance(said, str) else _in(said)
    found = reading.retry_after(reading.Reply(503, "", httpx.Headers({"retry-after": said}), b""))
    assert found is not None
    assert least <= found <= most


def test_a_date_without_a_zone_is_utc_wherever_the_host_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        said = _in(20).replace("GMT", "-0000")
        found = reading.retry_after(reading.Reply(503, "", httpx.Headers({"retry-after": said}), b""))
    time.tzset()
    assert found is not None
    assert 10 <= found <= 20


@pytest.mark.parametrize("said", ["", "soon", "-1", "nan", "inf", "1e3", "٣", "Wed, 99 Foo 2015", "1 Jan 9999999999"])
def test_a_retry_after_that_is_neither_is_none(said: str) -> None:
    reply = reading.Reply(503, "", httpx.Headers({"retry-after": said.encode()}), b"")
    assert reading.retry_after(reply) is None


def test_a_request_still_at_work_is_waited_for(client: Any, fake: FakeAegis, waits: list[float]) -> None:
    fake.script((409, {"Retry-After": "5"}, _problem(409, "in_progress")))
    assert client.investigate(ALERT)["verdict"] == "true_positive"
    assert waits == [5.0]


@pytest.mark.parametrize(("status", "code"), [(502, "connector_failed"), (503, "connector_busy")])
def test_an_approval_that_reached_its_connector_is_not_given_again(
    client: Any, fake: FakeAegis, status: int, code: str
) -> None:
    action_id = client.investigate(ALERT)["actions"][0]["action_id"]
    fake.script((status, {"Retry-After": "1"}, _problem(status, code)))
    with pytest.raises(AegisClientError, match="what is wrong") as told:
        client.approve(action_id)
    assert told.value.code == code
    assert sum(came.path.endswith("/approve") for came in fake.requests) == 1


@pytest.mark.parametrize("how", [gone, broken_off, done_and_gone], ids=["gone", "broken off", "done and gone"])
def test_an_answer_that_is_lost_is_asked_for_again_and_nothing_is_done_twice(
    client: Any, fake: FakeAegis, waits: list[float], how: Any
) -> None:
    action_id = client.investigate(ALERT)["actions"][0]["action_id"]
    fake.script(how)
    assert client.approve(action_id)["outcome"] == "executed", "not AlreadyDecided by ourselves"
    assert [e["kind"] for e in fake.entries].count("action.answered") == 1
    assert len(waits) == 1


def test_a_server_that_stays_away_is_unavailable(connect: Any, waits: list[float]) -> None:
    with FakeAegis() as once:
        url, token = once.url, once.token()
    with pytest.raises(Unavailable, match="gave no answer") as told:
        connect(url, token).investigate(ALERT)
    assert told.value.status is None
    assert waits == [0.25, 0.5]


def test_silence_ends_with_the_time_out(fake: FakeAegis, connect: Any) -> None:
    fake.script(silent(2), silent(2))
    client, start = connect(fake.url, fake.token(), timeout=0.2, retries=0), time.monotonic()
    with pytest.raises(Unavailable):
        client.incidents()
    assert time.monotonic() - start < 1.5


def test_an_answer_that_trickles_ends_with_the_time_out(fake: FakeAegis, connect: Any) -> None:
    over = threading.Event()

    def trickle(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not over.wait(0.05):
            handler.wfile.write(b" ")

    fake.script(trickle)
    try:
        with pytest.raises(Unavailable, match="too long"):
            connect(fake.url, fake.token(), timeout=0.3, retries=0).incidents()
    finally:
        over.set()


def test_a_stream_that_breaks_off_says_so_after_what_came(fake: FakeAegis) -> None:
    def cut(end: bool) -> Any:
        def serve(handler: Any) -> None:
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            handler.chunk(b'event: triage\ndata: {"a": 1}\n\n')
            if end:
                handler.chunk(b"")
            handler.close_connection = True

        return serve

    for end, told in ((True, "broke off"), (False, "no answer")):
        fake.script(cut(end))
        with Client(fake.url, fake.token()) as client:  # one each: the first connection is being closed
            events = client.investigate_stream(ALERT)
            assert next(events) == ("triage", {"a": 1})
            with pytest.raises(Unavailable, match=told):
                next(events)


def test_a_stream_is_tried_again_before_its_first_event_with_one_key(
    client: Any, fake: FakeAegis, waits: list[float]
) -> None:
    def vanish(handler: Any) -> None:
        handler.close_connection = True

    fake.script(vanish, (503, {"Retry-After": "1"}, _problem(503, "busy")))
    assert client.investigate_stream(ALERT)[-1][0] == "case"
    keys = {request.headers["idempotency-key"] for request in fake.requests}
    assert (len(fake.requests), len(keys), len(waits)) == (3, 1, 2)
    fake.script(vanish, vanish, vanish)
    with pytest.raises(Unavailable, match="no answer"):
        client.ask_stream("why?")
    assert len(fake.requests) == 6, "two more times, and no further"


def test_an_error_in_the_middle_of_a_stream_is_raised(client: Any, fake: FakeAegis) -> None:
    fake.script(lambda handler: handler.events([("triage", {}), ("error", json.loads(_problem(503, "busy")))]))
    with pytest.raises(Unavailable) as told:
        client.investigate_stream(ALERT)
    assert (told.value.code, told.value.field) == ("busy", "f")
    fake.script((403, {}, _problem(403, "forbidden")))
    with pytest.raises(Forbidden):
        client.ask_stream("why?")


def test_a_batch_that_breaks_off_says_how_far_it_came(client: Any, fake: FakeAegis) -> None:
    fake.script((200, {"Content-Type": "application/x-ndjson"}, b'{"title": "a"}\n'))
    with pytest.raises(Unavailable, match="1 of 2 alerts"):
        client.investigate_many([ALERT, ALERT])


def test_errors_survive_pickling() -> None:
    error = RateLimited("slow down", status=429, code="rate_limited", field="f", fix="wait", retry_after=3.0)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, vars(again)) == (RateLimited, error.args, vars(error))


def test_a_task_can_be_cancelled_and_the_client_goes_on(fake: FakeAegis) -> None:
    fake.script(silent(1.0))

    async def run() -> Any:
        async with AsyncClient(fake.url, fake.token(), timeout=20) as client:
            task = asyncio.create_task(client.investigate(ALERT))
            while not fake.requests:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await asyncio.wait_for(client.investigate(ALERT), 5)

    assert asyncio.run(run())["verdict"] == "true_positive"
    assert len(fake.requests) == 2, "cancelled is not tried again"


def test_leaving_a_stream_early_frees_its_connection(fake: FakeAegis) -> None:
    with Client(fake.url, fake.token()) as client:
        for _ in range(12):  # more than a pool holds, were they not given back
            for _event in client.investigate_stream(ALERT):
                break
        assert client.incidents()["items"]


def test_threads_share_one_client(fake: FakeAegis) -> None:
    with Client(fake.url, fake.token()) as client, ThreadPoolExecutor(16) as pool:
        cases = list(pool.map(lambda n: client.investigate({"title": f"alert {n % 10}"}), range(200)))
    assert [case["title"] for case in cases] == [f"alert {n % 10}" for n in range(200)]
    assert len(fake.cases) == 10


def test_tasks_share_one_client(fake: FakeAegis) -> None:
    async def run() -> list[Any]:
        async with AsyncClient(fake.url, fake.token()) as client:
            return await asyncio.gather(*(client.investigate({"title": f"alert {n % 10}"}) for n in range(100)))

    assert [case["title"] for case in asyncio.run(run())] == [f"alert {n % 10}" for n in range(100)]


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[FakeAegis, Path]]:
    """A server with a certificate of its own making, and that certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "aegis")]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, secret)
    served = FakeAegis()
    served._server.socket = context.wrap_socket(served._server.socket, server_side=True)
    with served:
        yield served, certificate


def test_a_certificate_of_nobody_is_refused_and_one_that_is_trusted_is_not(
    encrypted: tuple[FakeAegis, Path], connect: Any
) -> None:
    fake, certificate = encrypted
    url = fake.url.replace("http://", "https://")
    with pytest.raises(Unavailable, match="certificate"):
        connect(url, fake.token(), retries=0).incidents()
    assert fake.requests == [], "the token was not sent"
    trusting = ssl.create_default_context(cafile=str(certificate))
    assert connect(url, fake.token(), verify=trusting).incidents()["items"] == []
    assert connect(url, fake.token(), verify=False).incidents()["items"] == []
