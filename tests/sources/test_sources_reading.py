"""Hostile input: read, cut and noted, or refused with the field and the fix."""

from __future__ import annotations

import datetime
import decimal
import json
import pathlib
import time
import uuid
from typing import Any

import pytest

from aegis_agents.errors import InputError, LimitExceeded
from aegis_agents.sources import Limits, parse, read_json
from aegis_agents.sources.text import EMPTY, shorten, visible


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a": "\xff\xfe"}', "not valid UTF-8 at byte 7"),
        (b'\xef\xbb\xbf{"a": "\xc3("}', "not valid UTF-8 at byte 10"),
        ("", "is empty"),
        ("  \n ", "is empty"),
        ("[1, 2]", "an array, not a JSON object"),
        ('"text"', "a string, not a JSON object"),
        ("null", "null, not a JSON object"),
        ("3", "a number, not a JSON object"),
        ('{"a": }', "not valid JSON: Expecting value at column 7"),
        ('{\n"a": 1,,}', "line 2 column"),
        ("{'a': 1}", "not valid JSON"),
        ('{"a": 1} trailing', "not valid JSON: Extra data"),
        ("{}", "has no fields"),
    ],
)
def test_what_is_no_alert_is_refused_and_says_why(text: str | bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert caught.value.fix


def test_other_types_are_refused() -> None:
    with pytest.raises(InputError, match="can't be a list"):
        parse([{"a": 1}])  # type: ignore[arg-type]


def test_limits_name_field_limit_and_fix() -> None:
    deep = '{"a":' * 60 + "1" + "}" * 60
    with pytest.raises(LimitExceeded, match=r"a: nested more than 40 levels deep .*max_depth"):
        parse(deep)
    with pytest.raises(LimitExceeded, match="nested more than 40"):
        parse("[" * 100_000)
    with pytest.raises(LimitExceeded, match="nested more than 40"):
        parse('{"a":' * 100_000)
    with pytest.raises(LimitExceeded, match=r"longer than 100 bytes .*max_bytes"):
        parse(json.dumps({"a": "x" * 200}), limits=Limits(max_bytes=100))
    with pytest.raises(LimitExceeded, match=r"events: brings the alert over 5000 values .*max_values"):
        parse(json.dumps({"id": 1, "events": list(range(6000))}))
    with pytest.raises(LimitExceeded, match=r"events\[4999\]: brings the alert over 5000 values"):
        parse({"id": 1, "events": list(range(6000))})
    assert parse('{"a":' * 40 + "1" + "}" * 40).facts[0].value == "1"
    assert len(parse({f"k{n}": n for n in range(5000)}, limits=Limits(max_facts=5000)).facts) == 5000


def test_shared_structure_is_no_bomb() -> None:
    bomb: Any = ["x"]
    for _ in range(30):
        bomb = [bomb, bomb, bomb, bomb]
    started = time.thread_time()
    with pytest.raises(LimitExceeded, match="5000 values"):
        parse({"a": bomb})
    assert time.thread_time() - started < 2


def test_cycle_is_named() -> None:
    cyclic: dict[str, Any] = {"a": {"b": []}}
    cyclic["a"]["b"].append(cyclic)
    with pytest.raises(InputError, match=r"a\.b\[0\]: contains itself"):
        parse(cyclic)


def test_duplicate_keys_are_all_kept_and_noted() -> None:
    alert = read_json('{"a": 1, "a": 2, "b": {"c": "x", "c": "y", "c": "z"}, "a": 3}')
    assert alert == {"a": 1, "a#2": 2, "a#3": 3, "b": {"c": "x", "c#2": "y", "c#3": "z"}}
    incident = parse(alert)  # notes travel with the alert
    assert any("'a' occurs more than once" in note for note in incident.notes)
    assert [fact.value for fact in incident.facts] == ["1", "2", "x", "y", "z", "3"]


def test_many_duplicates_are_not_quadratic() -> None:
    started = time.thread_time()
    alert = read_json("{" + ",".join('"k": 1' for _ in range(5000)) + "}")
    assert len(alert) == 5000
    with pytest.raises(LimitExceeded):
        read_json("{" + ",".join('"k": 1' for _ in range(200_000)) + "}")
    assert time.thread_time() - started < 3
    assert len(alert.notes) <= 21


def test_numbers_that_json_has_not_are_text_and_noted() -> None:
    incident = parse(
        '{"a": NaN, "b": [Infinity, -Infinity], "c": 1e999, "d": ' + "9" * 10_000 + ', "e": 1.50, "f": 12}'
    )
    values = {fact.path: fact.value for fact in incident.facts}
    assert values["a"] == "NaN"
    assert values["b[1]"] == "-Infinity"
    assert values["c"] == "1e999"
    assert values["d"].startswith("9999")
    assert (values["e"], values["f"]) == ("1.5", "12")
    assert len(incident.notes) >= 5
    by_dict = parse({"a": float("nan"), "b": 10**5000, "c": -(10**50)})
    assert by_dict.facts[0].value == "nan"
    assert by_dict.facts[1].value.startswith("0x")


def test_byte_order_marks_and_utf16() -> None:
    assert parse(b'\xef\xbb\xbf{"id": "x"}').native_id == "x"
    assert parse('\ufeff{"id": "x"}').native_id == "x"
    assert parse('{"id": "å"}'.encode("utf-16")).native_id == "å"  # what PowerShell writes


def test_python_values_become_text() -> None:
    number_as_key: dict[Any, Any] = {5: "number as key"}
    incident = parse(
        {
            "when": datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC),
            "raw": b"ab\xff",
            "tags": {"b", "a"},
            "id": uuid.UUID(int=5),
            "path": pathlib.PurePosixPath("/x"),
            "amount": decimal.Decimal("1.10"),
            "pair": (1, 2),
            "inner": number_as_key,
        }
    )
    values = {fact.path: fact.value for fact in incident.facts}
    assert values["when"] == "2026-01-02T03:04:00+00:00"
    assert values["raw"] == "ab\\xff"
    assert (values["tags[0]"], values["tags[1]"]) == ("a", "b")
    assert values["amount"] == "1.10"
    assert values["inner.5"] == "number as key"
    with pytest.raises(InputError, match=r"a\.b: has a value of type object"):
        parse({"a": {"b": object()}})


def test_hidden_characters_are_named() -> None:
    assert visible("abc\u202egpj.exe") == "abc⟦U+202E⟧gpj.exe"
    assert visible("a\u200bb\x00c\x1b[31m") == "a⟦U+200B⟧b⟦U+0000⟧c⟦U+001B⟧[31m"
    assert visible("hi" + "".join(chr(0xE0000 + ord(c)) for c in "ok")) == "hi⟦U+E006F⟧⟦U+E006B⟧"
    assert visible("\ud800x") == "⟦U+D800⟧x"
    assert visible("⟦U+202E⟧") == "⟦U+27E6⟧U+202E⟧", "a mark can't be forged"
    assert visible("tab\tline\r\nnext\rlast") == "tab\tline\nnext\nlast"
    assert visible("ünïcödé ✅ 漢字") == "ünïcödé ✅ 漢字"
    incident = parse({"cmd\u202eline": "x\u200by", "lone": "\ud83d"})
    assert [(fact.path, fact.value) for fact in incident.facts] == [
        ("cmd⟦U+202E⟧line", "x⟦U+200B⟧y"),
        ("lone", "⟦U+D83D⟧"),
    ]
    assert any("hidden characters were made visible" in note for note in incident.notes)
    incident.model_dump_json().encode("utf-8")


def test_name_with_hidden_characters_is_no_target() -> None:
    incident = parse({"user": "adm\u200bin7", "host": {"name": "srv-\u202e01"}})
    assert [entity.kind for entity in incident.entities] == ["alert"]


def test_long_values_keep_both_ends_and_say_how_much_was_cut() -> None:
    incident = parse({"cmd": "start " + "a" * 20_000 + " the-end"})
    fact = incident.facts[0]
    assert fact.value.startswith("start ")
    assert fact.value.endswith(" the-end")
    assert len(fact.value) < 8_100
    assert "cmd: 12014 of 20014 characters were cut" in incident.notes
    assert shorten("short", 10) == "short"
    long_key = parse({"k" * 5000: 1})
    assert len(long_key.facts[0].path) < 400


def test_padding_does_not_push_out_the_sensor() -> None:
    padded = {"headers": {f"X-{n}": f"text {n}" for n in range(2000)}, "severity": "high", "src_ip": "203.0.113.5"}
    incident = parse(padded)
    assert len([fact for fact in incident.facts if not fact.derived]) == 1000
    assert {"severity", "src_ip"} <= {fact.path for fact in incident.facts}
    assert "1002 of 2002 values are beyond the limit of facts and were left out" in incident.notes


def test_names_in_prose_do_not_push_out_the_fields() -> None:
    prose = " ".join(f"203.0.113.{n}" for n in range(256))
    incident = parse({"message": prose, "more": prose.replace("203.0.113", "198.51.100"), "src_ip": "192.0.2.1"})
    assert incident.has_entity("ip", "192.0.2.1")
    assert any("further entities were left out" in note for note in incident.notes)


def test_empty_is_a_fact_and_null_is_not() -> None:
    incident = parse({"deviceName": "", "gone": None, "threats": [], "blank": "  ", "x": {}})
    assert [(fact.path, fact.value) for fact in incident.facts] == [
        ("deviceName", EMPTY), ("threats", EMPTY), ("blank", EMPTY), ("x", EMPTY),
    ]  # fmt: skip


def test_lists_of_pairs_and_dotted_keys_read_well() -> None:
    incident = parse(
        {
            "tags": [{"key": "env", "value": "prod"}, {"key": "env", "value": "dev"}],
            "Data": [{"@Name": "Image", "#text": "C:\\a.exe"}],
            "xml": {"#attributes": {"Name": "P"}, "#text": "inner"},
            "a.b": 1,
            "a": {"b": 2},
            "kibana.alert": {"uuid": True},
        }
    )
    assert [(fact.path, fact.value) for fact in incident.facts] == [
        ("tags[env]", "prod"), ("tags[env]#2", "dev"), ("Data[Image]", "C:\\a.exe"), ("xml.Name", "P"),
        ("xml", "inner"), ("a.b", "1"), ("a.b#2", "2"), ("kibana.alert.uuid", "true"),
    ]  # fmt: skip


def test_an_alert_is_read_in_well_under_two_milliseconds() -> None:
    alert = {f"field_{n}": f"value number {n} of host web-{n}" for n in range(30)} | {"time": "2026-01-01T00:00:00Z"}
    parse(alert)
    best = min(_timed(alert) for _ in range(20))
    assert best < 0.004  # generous: the machine is shared; the bench has the real figure


def _timed(alert: dict[str, Any]) -> float:
    started = time.thread_time()
    parse(alert)
    return time.thread_time() - started


@pytest.mark.parametrize(
    "value",
    [
        "a." * 4000, "a@" * 4000, "1." * 4000, ":" * 8000, "a-" * 4000, "http://" * 1100, "<" * 8000,
        "1234-12-12" * 800,
        "arn:aws:" * 1000, "by a." * 1600, "host a1" * 1100, "AB-1-" * 1600, "12:00-" * 1300, "user=" * 1600,
        "0" * 8000,
        "f" * 64 + " " + "f:" * 3900, "header.d=" * 880, "x_" * 4000, "\\" * 8000, "1.1.1.1/" * 1000,
    ],
)  # fmt: skip
def test_no_text_makes_it_slow(value: str) -> None:
    alert = {"cmd": value, "labels": {"note": value}, "sender": value, "path": value, "time": "2026-01-01T00:00:00Z"}
    started = time.thread_time()
    parse(alert)
    assert time.thread_time() - started < 1
