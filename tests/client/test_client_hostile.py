"""Answers and arguments made to harm: the clients refuse them by name, in bounded memory, and keep the token to themselves."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import Any

import pytest

from aegis_agents.client import AegisClientError, Client, InvalidInput, ServerError, events, reading
from aegis_agents.client.events import EventReader
from tests.soar.fake_aegis import FakeAegis

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b'"text"', b"null", b"17", b"\xff\xfe\x00", b"{", b"[" * 100_000, b'{"a":' * 100_000,
        b"1" * 10_000, b'{"a": ' + b"9" * 5_000 + b"}",
    ],
    ids=lambda b: repr(b[:8]),
)  # fmt: skip
def test_what_is_no_json_object_is_no_answer_of_aegis(client: Any, fake: FakeAegis, body: bytes) -> None:
    for status in (200, 201):
        fake.script((status, JSON, body))
        with pytest.raises(ServerError, match="is this an Aegis server"):
            client.incidents()
    fake.script((422, JSON, body))
    with pytest.raises(InvalidInput, match="HTTP 422"):
        client.incidents()


@pytest.mark.parametrize("line", [b"[]", b"nonsense", b"[" * 100_000])
def test_a_line_of_a_batch_that_is_no_object_is_refused(client: Any, fake: FakeAegis, line: bytes) -> None:
    fake.script((200, JSON, b'{"a": 1}\n' + line + b"\n"))
    with pytest.raises(ServerError):
        client.investigate_many([{}, {}])
    fake.script((200, JSON, b'{"a": 1}\n' * 3))
    with pytest.raises(ServerError, match="3 lines answer 2 alerts"):
        client.investigate_many([{}, {}])


def test_an_answer_without_end_is_given_up(client: Any, fake: FakeAegis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 1_000_000)

    def endless(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while True:
            handler.chunk(b" " * 65_536)

    fake.script(endless)
    tracemalloc.start()
    try:
        with pytest.raises(ServerError, match="longer than 1000000 bytes"):
            client.incidents()
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", [b"data: " + b"x" * 65_000, b"data: x\n" * 8_000, b": ping " + b"x" * 65_000])
def test_an_event_without_end_is_given_up(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_EVENT_BYTES", 1_000_000)
    reader = EventReader("case")
    came: list[Any] = []
    with pytest.raises(ServerError, match="longer than"):
        came.extend(event for _ in range(100) for event in reader.feed(text))
    assert came == []


def test_a_compressed_answer_is_not_unpacked(client: Any, fake: FakeAegis) -> None:
    for coding in ("gzip", "br", "deflate, gzip"):
        fake.script((200, JSON | {"Content-Encoding": coding}, gzip.compress(b" " * 10_000_000)))
        with pytest.raises(ServerError, match="compressed"):
            client.incidents()
    assert fake.requests[-1].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed_and_the_token_stays(client: Any, fake: FakeAegis, status: int) -> None:
    with FakeAegis() as thief:
        fake.script((status, {"Location": f"{thief.url}/v1/incidents"}, b""))
        with pytest.raises(ServerError, match="redirects are not followed"):
            client.investigate({"title": "x"})
        fake.script((status, {"Location": thief.url}, b""))
        with pytest.raises(ServerError):
            client.ask_stream("why?")
        assert thief.requests == []


def test_a_proxy_of_the_environment_never_sees_plain_http_to_this_machine(
    fake: FakeAegis, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeAegis() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        connect(fake.url, fake.token()).incidents()
        assert proxy.requests == []


@pytest.mark.parametrize(
    "body",
    [
        {"detail": ["a"], "field": {"b": 1}, "fix": 7, "code": None},
        {"detail": {"deep": {}}, "title": "T", "status": "x"},
    ],
)
def test_problem_details_of_wrong_types_are_left_out(client: Any, fake: FakeAegis, body: dict[str, Any]) -> None:
    fake.script((409, JSON, json.dumps(body).encode()))
    with pytest.raises(AegisClientError) as told:
        client.incidents()
    assert (told.value.field, told.value.fix, told.value.code) == (None, None, None)


def test_the_text_of_an_error_is_printable_and_short(client: Any, fake: FakeAegis) -> None:
    detail = "\x1b[2J\r\n\u202eevil" + "x" * 1_000_000
    fake.script((404, JSON, json.dumps({"detail": detail, "code": "a\nb"}).encode()))
    with pytest.raises(AegisClientError) as told:
        client.incidents()
    assert str(told.value).isprintable()
    assert len(str(told.value)) < 3_000
    assert told.value.code == "a b"


@pytest.mark.parametrize(
    "data", [b"nonsense", b"[" * 100_000, b"\xff\xfe", b'{"a": ', b"{}\ndata: {}"], ids=lambda b: repr(b[:8])
)
def test_an_event_that_is_no_json_is_refused(client: Any, fake: FakeAegis, data: bytes) -> None:
    fake.script((200, {"Content-Type": "text/event-stream"}, b"event: case\ndata: " + data + b"\n\n"))
    with pytest.raises(ServerError, match="is no JSON"):
        client.investigate_stream({"title": "x"})


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_events_read_the_same_however_they_are_cut(end: str, size: int) -> None:
    lines = [
        "\ufeffevent: triage", 'data: {"text":', 'data: "\u2028\x85\x7f"}', "", ": ping", "", "id: 3", "retry: 7",
        "event:case", "data:[1]", "", "data", "event: lost",
    ]  # fmt: skip
    raw = end.join(lines).encode()
    reader = EventReader("case")
    found = [e for at in range(0, len(raw), size) for e in reader.feed(raw[at : at + size])]
    assert found == [("triage", {"text": "\u2028\x85\x7f"}), ("case", [1])]
    reader.end()


@pytest.mark.parametrize(
    "url",
    [
        "", "aegis.example", "ftp://aegis.example", "https://", "http://[", "https://a b", "https://h:99999",
        "https://h:x", "https://h?q=1", "https://h#f", "//h", "https://\x00", "file:///etc/passwd", None, 7,
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_named(url: Any) -> None:
    with pytest.raises(InvalidInput, match="is no address") as told:
        Client(url, "t")
    assert told.value.field == "url"


@pytest.mark.parametrize(
    "url",
    [
        "http://aegis.example", "http://10.0.0.1", "http://127.0.0.1.evil.example", "http://localhost.evil.example",
        "http://0.0.0.0", "http://[::ffff:10.0.0.1]", "http://127.1",
    ],
)  # fmt: skip
def test_a_token_does_not_travel_unencrypted(url: str) -> None:
    with pytest.raises(InvalidInput, match="unencrypted"):
        Client(url, "t")
    Client(url).close()
    Client(url, "t", allow_http=True).close()


@pytest.mark.parametrize(
    "url", ["https://bob:pw@h", "http://localhost\\@evil.example", "http://localhost@evil.example"]
)
def test_an_address_with_a_name_in_it_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as told:
        Client(url, "t")
    assert told.value.field == "url"


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "tökén", "a\x00"])
def test_a_token_that_is_none_is_refused(token: str) -> None:
    with pytest.raises(InvalidInput) as told:
        Client("https://h", token)
    assert told.value.field == "token"
    assert not token or token not in str(told.value)


@pytest.mark.parametrize("key", ["", "a\r\nX-Evil: 1", "ä", "x" * 256, " a", "a "])
def test_a_key_that_is_none_is_refused_before_anything_is_sent(client: Any, fake: FakeAegis, key: str) -> None:
    with pytest.raises(InvalidInput) as told:
        client.investigate({}, idempotency_key=key)
    assert told.value.field == "idempotency_key"
    assert fake.requests == []


@pytest.mark.parametrize("id_", ["", ".", "..", "x" * 301, "\udc80", None, 7])
def test_an_id_that_is_none_is_refused_before_anything_is_sent(client: Any, fake: FakeAegis, id_: Any) -> None:
    for call in (client.incident, client.action, client.approve):
        with pytest.raises(InvalidInput):
            call(id_)
    assert fake.requests == []


@pytest.mark.parametrize(
    "alert",
    [None, 7, [], "", "[]", b"null", "text", {"a": {1}}, {"a": float("nan")}, {(1, 2): 3}, bytearray(b"{}"), {"a": b"x"}],
    ids=repr,
)  # fmt: skip
def test_an_alert_that_is_none_is_refused_before_anything_is_sent(client: Any, fake: FakeAegis, alert: Any) -> None:
    for call in (client.investigate, lambda a: client.investigate_many([{}, a])):
        with pytest.raises(InvalidInput) as told:
            call(alert)
        assert told.value.field == "alert"
    assert fake.requests == []


def test_an_alert_without_bottom_is_refused(client: Any) -> None:
    endless: dict[str, Any] = {}
    endless["self"] = endless
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    for alert in (endless, deep):
        with pytest.raises(InvalidInput, match="can't be written as JSON"):
            client.investigate(alert)
    while deep:  # taken apart by hand: its own destruction would recurse
        deep = deep["a"]


@pytest.mark.parametrize("cursor", ["x" * 5_000, "\ud800"])
def test_a_parameter_that_fits_no_address_is_refused(client: Any, fake: FakeAegis, cursor: str) -> None:
    with pytest.raises(InvalidInput) as told:
        client.incidents(cursor=cursor)
    assert told.value.field == "cursor"
    client.incidents(verdict="a&state=waiting#x")
    assert fake.requests[-1].query["verdict"] == "a&state=waiting#x"


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 1e9])
def test_a_time_out_that_is_none_is_refused(timeout: float) -> None:
    with pytest.raises(InvalidInput) as told:
        Client("https://h", "t", timeout=timeout)
    assert told.value.field == "timeout"


def test_the_token_is_in_no_error_and_no_repr(fake: FakeAegis, connect: Any) -> None:
    client = connect(fake.url, "s3cret-token", retries=0)
    fake.script((500, {}, b""))
    with pytest.raises(ServerError) as told:
        client.incidents()
    assert "s3cret" not in repr(client) + repr(told.value) + str(vars(told.value))
