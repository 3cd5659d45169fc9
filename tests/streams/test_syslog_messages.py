"""What syslog messages say: framing, headers, JSON, CEF and LEEF, also from those who mean no good."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_agents.errors import InputError
from aegis_agents.sources import parse
from aegis_agents.streams.syslog.cef import read_cef, read_leef
from aegis_agents.streams.syslog.framing import Framer
from aegis_agents.streams.syslog.header import read_syslog
from aegis_agents.streams.syslog.payload import native_of


def frames(data: bytes, *, most: int = 1000, step: int = 0) -> list[bytes]:
    framer = Framer(most)
    found = []
    for at in range(0, len(data), step or max(1, len(data))):
        found += framer.feed(data[at : at + step] if step else data)
    return [frame.data for frame in found + framer.end()]


@pytest.mark.parametrize("step", [0, 1, 2, 3, 7])
def test_counted_and_lined_messages_in_one_stream(step: int) -> None:
    data = b"5 <1>ab" + b"<2>line\n" + b"8 <3>a\nb\nc"[:10] + b"\n<4>x\r\n" + b"12 no count\n" + b"<5>last"
    assert frames(data, step=step) == [b"<1>ab", b"<2>line", b"<3>a\nb\nc", b"<4>x\r", b"12 no count", b"<5>last"]


@pytest.mark.parametrize("step", [0, 1, 1000, 65_536])
def test_too_long_messages_are_let_go_and_the_next_one_is_found(step: int) -> None:
    long = b"<1>" + b"x" * 199_997
    for data in (b"200000 " + long + b"4 <2>y", long + b"\n<2>y\n"):
        framer = Framer(100_000)
        found, most = [], 0
        for at in range(0, len(data), step or len(data)):
            found += framer.feed(data[at : at + (step or len(data))])
            most = max(most, len(framer._rest))
        assert [(f.length, len(f.data)) for f in found + framer.end()] == [(200_000, 65_536), (4, 4)]
        if step:
            assert most <= 100_000 + step


@given(st.lists(st.binary(max_size=60).map(lambda b: b"<7>" + b), max_size=8), st.integers(1, 40))
def test_counted_messages_come_out_as_they_went_in(messages: list[bytes], step: int) -> None:
    data = b"".join(b"%d %s" % (len(m), m) for m in messages)
    assert frames(data, step=step) == messages


@given(st.binary(max_size=400), st.integers(1, 50), st.integers(1, 60))
def test_any_bytes_are_framed_and_none_is_lost(data: bytes, step: int, most: int) -> None:
    whole, pieces = frames(data, most=400), frames(data, most=400, step=step)
    assert pieces == whole
    assert sum(map(len, whole)) + data.count(b"\n") + data.count(b" <") * 11 >= len(data)
    assert all(len(f) <= 400 for f in frames(data, most=most, step=step))


def test_rfc5424() -> None:
    text = (
        "<165>1 2026-11-26T22:14:15.003Z fw1.example.com evntslog 42 ID47 "
        '[exampleSDID@32473 iut="3" eventSource="App\\"l\\]ication" raw="a]b"][two@1] \ufeffAn event'
    )
    header, message = read_syslog(text)
    assert message == "An event"
    assert header == {
        "facility": "local4", "severity": "notice", "time": "2026-11-26T22:14:15.003Z", "host": "fw1.example.com",
        "app": "evntslog", "process": "42", "message_id": "ID47",
        "data": {"exampleSDID@32473": {"iut": "3", "eventSource": 'App"l]ication', "raw": "a]b"}, "two@1": {}},
    }  # fmt: skip
    assert read_syslog("<34>1 - - - - - -").header == {"facility": "auth", "severity": "critical"}


@pytest.mark.parametrize(
    ("text", "header", "message"),
    [
        ("<34>Oct 11 22:14:15 mymachine su[230]: failed", {"time": "Oct 11 22:14:15", "host": "mymachine", "app": "su", "process": "230"}, "failed"),
        ("<34>Oct  1 22:14:15 10.0.0.9 su: failed", {"time": "Oct  1 22:14:15", "host": "10.0.0.9", "app": "su"}, "failed"),
        ("<34>Oct 11 2026 22:14:15 asa : %ASA-4-106023: Deny", {"time": "Oct 11 2026 22:14:15", "host": "asa"}, ": %ASA-4-106023: Deny"),
        ("<34>2026-11-26T10:00:00+01:00 h app: x", {"time": "2026-11-26T10:00:00+01:00", "host": "h", "app": "app"}, "x"),
        ("<34>Oct 11 22:14:15 sshd[1]: x", {"time": "Oct 11 22:14:15", "app": "sshd", "process": "1"}, "x"),
        ("<34>Oct 11 22:14:15 h CEF:0|a", {"time": "Oct 11 22:14:15", "host": "h"}, "CEF:0|a"),
        ("<34>just text", {}, "just text"),
    ],
)  # fmt: skip
def test_rfc3164_and_its_kin(text: str, header: dict[str, str], message: str) -> None:
    found = read_syslog(text)
    assert found.header == {"facility": "auth", "severity": "critical"} | header
    assert found.message == message


@pytest.mark.parametrize(
    "text", ["", "<", "<999>x", "<191", "<1>1 ", "x", "<34>1 - - - - - [", '<34>1 - - - - - [a b="']
)
def test_what_is_no_header_is_the_message(text: str) -> None:
    assert read_syslog(text).message.strip() in text


def native(text: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(native_of(text.encode(), len(text), 100_000))
    return found


def test_json_is_the_alert_and_the_header_stands_beside_it() -> None:
    text = '<13>1 2026-11-26T22:14:15Z siem app - - - {"id": "a-1",  "x": 1.50}'
    made = native_of(text.encode(), len(text), 1000)
    assert made.startswith('{"id": "a-1",  "x": 1.50, "syslog": {"facility": "user"')
    assert native('<13>Oct 11 22:14:15 h suricata[1]: @cee: {"a": {"b": 1}}')["a"] == {"b": 1}
    assert native("<13>{}")["syslog"] == {"facility": "user", "severity": "notice"}
    assert native('{"a": 1}') == {"a": 1}
    incident = parse(native_of(b'<13>{"syslog": "mine", "a": "b"}', 30, 1000))
    assert {f.path: f.value for f in incident.facts if not f.derived}["syslog"] == "mine"


def test_text_is_the_message() -> None:
    assert native("<38>Oct 11 22:14:15 srv-1 sshd[7]: Failed password for root") == {
        "message": "Failed password for root", "hostname": "srv-1", "program": "sshd", "timestamp": "Oct 11 22:14:15",
        "syslog": {"facility": "auth", "severity": "informational", "time": "Oct 11 22:14:15", "host": "srv-1",
                   "app": "sshd", "process": "7"},
    }  # fmt: skip
    assert native('<38>{"cut": ')["message"] == '{"cut":'


def test_cef_in_syslog_is_an_alert_with_long_names() -> None:
    text = (
        "<134>Nov 26 10:00:00 fw CEF:0|Sec\\|urity|threat manager|1.0|100|worm \\\\ stopped|10|src=10.0.0.1 dst=2.1.2.2 "
        "spt=1232 request=http://e.example/?a\\=b msg=two words\\nnext cs1Label=Policy Name cs1=strict one cs2=bare src=9.9.9.9"
    )
    found = native(text)
    assert found.pop("syslog")["host"] == "fw"
    assert found == {
        "deviceVendor": "Sec|urity", "deviceProduct": "threat manager", "deviceVersion": "1.0", "ruleId": "100",
        "name": "worm \\ stopped", "severity": "10", "sourceAddress": "10.0.0.1", "destinationAddress": "2.1.2.2",
        "sourcePort": "1232", "requestUrl": "http://e.example/?a=b", "message": "two words\nnext",
        "cs1 (Policy Name)": "strict one", "cs2": "bare", "sourceAddress#2": "9.9.9.9",
    }  # fmt: skip
    incident = parse(json.dumps(found))
    assert incident.title == "worm \\ stopped"
    assert {e.value for e in incident.entities} >= {"10.0.0.1", "2.1.2.2"}


@pytest.mark.parametrize(
    "text",
    [
        "LEEF:1.0|IBM|QRadar|7|4001|src=10.0.0.1\tusrName=joe\tsev=5\tcat=x=y\tmsg=a b",
        "LEEF:2.0|IBM|QRadar|7|4001|^|src=10.0.0.1^usrName=joe^sev=5^cat=x=y^msg=a b",
        "LEEF:2.0|IBM|QRadar|7|4001|0x5e|src=10.0.0.1^usrName=joe^sev=5^cat=x=y^msg=a b",
        "LEEF:2.0|IBM|QRadar|7|4001|x09|src=10.0.0.1\tusrName=joe\tsev=5\tcat=x=y\tmsg=a b",
    ],
)
def test_leef(text: str) -> None:
    assert native(f"<13>Nov 26 10:00:00 q {text}") == {
        "name": "4001", "deviceVendor": "IBM", "deviceProduct": "QRadar", "deviceVersion": "7", "ruleId": "4001",
        "sourceAddress": "10.0.0.1", "userName": "joe", "severity": "5", "deviceEventCategory": "x=y", "message": "a b",
        "syslog": {"facility": "user", "severity": "notice", "time": "Nov 26 10:00:00", "host": "q"},
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "CEF:", "CEF:0|a|b", "CEF:x|" + "a|" * 9, "LEEF:1.0|a", "LEEF:3.0|a|b|c|d|e=f"])
def test_what_is_neither_is_none(text: str) -> None:
    assert read_cef(text) is None
    assert read_leef(text) is None


@settings(max_examples=60)
@given(st.text(alphabet='CEF:LEEF:012|\\= \t<>[]"abn\x00\udcff^x9', max_size=80))
def test_any_text_becomes_an_alert_or_an_error_that_is_said(text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    for head in (b"", b"<34>1 - - - - - ", b"<34>Oct 11 22:14:15 h CEF:0|a|b|c|d|e|f|", b"LEEF:2.0|a|b|c|d|"):
        made = native_of(head + data, len(head + data), 10_000)
        try:
            parse(made)
        except InputError:
            pass


@pytest.mark.parametrize(
    "text",
    [
        "<34>1 - - - - - " + '[a b="\\' * 30_000, "<34>1 - - - - - " + "[a" * 100_000, "<34>1 - - - - - [a" + ' b="]' * 50_000,
        "CEF:0|a|b|c|d|e|f|" + "a=b " * 60_000, "CEF:0|" + "\\" * 200_000, "LEEF:1.0|a|b|c|d|" + "a=\t" * 80_000,
        "<34>Oct 11 22:14:15 " + "a" * 200_000, "<13>" + '{"a":' * 40_000, "<13>" + "9" * 200_000, " " * 200_000,
    ],
)  # fmt: skip
def test_reading_takes_time_that_grows_with_the_length_alone(text: str) -> None:
    begun = time.process_time()
    native_of(text.encode(), len(text), 5_000_000)
    assert time.process_time() - begun < 0.5
