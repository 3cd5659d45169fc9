"""Many alerts: a bad one is reported with its line, the rest goes on."""

from __future__ import annotations

import io
import json

import pytest

from aegis_agents.errors import InputError, LimitExceeded
from aegis_agents.sources import Limits, parse, read_documents, read_lines


def outcome(read: object) -> object:
    return str(read) if isinstance(read, InputError) else read


def test_bad_lines_are_reported_in_their_place() -> None:
    stream = io.BytesIO(
        b'\xef\xbb\xbf{"a": 1}\n\n  \r\n{"b": \n{"c": "\xff"}\n[1]\n{"d": 4}\r\n' + b'{"e":' * 99_000 + b"\n"
    )
    results = list(read_lines(stream))
    assert [number for number, _ in results] == [1, 4, 5, 6, 7, 8]
    assert results[0][1] == {"a": 1}
    assert results[4][1] == {"d": 4}
    errors = {number: read for number, read in results if isinstance(read, InputError)}
    assert set(errors) == {4, 5, 6, 8}
    assert all(error.line == number and str(error).startswith(f"line {number}: ") for number, error in errors.items())
    assert "byte 7" in str(errors[5])
    assert "an array, not a JSON object" in str(errors[6])
    assert isinstance(errors[8], LimitExceeded)


def test_text_streams_work_and_reading_is_lazy() -> None:
    def endless() -> object:
        number = 0
        while True:
            number += 1
            yield f'{{"n": {number}}}\n'

    lines = read_lines(endless())  # type: ignore[arg-type]
    assert [next(lines) for _ in range(3)] == [(1, {"n": 1}), (2, {"n": 2}), (3, {"n": 3})]


def test_notes_of_a_line_reach_its_incident() -> None:
    ((_, alert),) = read_lines(['{"a": 1, "a": 2}'])
    assert isinstance(alert, dict)
    assert parse(alert).notes == ("key 'a' occurs more than once; kept as 'a#2'",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}', [(1, {"a": 1})]),
        ('{\n  "a": 1\n}\n', [(1, {"a": 1})]),
        ('[{"a": 1}, {"b": 2}]', [(1, {"a": 1}), (2, {"b": 2})]),
        ('{"a": 1}\n{"b": 2}\n', [(1, {"a": 1}), (2, {"b": 2})]),
        ('\n{"a": 1}\n\n{"b": 2}', [(2, {"a": 1}), (4, {"b": 2})]),
        ('{"Records": [{"a": 1}, {"b": 2}]}', [(1, {"a": 1}), (2, {"b": 2})]),
        ('{"Records": [1]}', [(1, {"Records": [1]})]),
        ("[]", []),
    ],
)
def test_documents(text: str, expected: list[object]) -> None:
    assert [(number, outcome(read)) for number, read in read_documents(text)] == expected
    assert [(number, outcome(read)) for number, read in read_documents(text.encode())] == expected


def test_documents_with_bad_parts_go_on() -> None:
    lines = list(read_documents('{"a": 1}\n{"b": \n{"c": 3}'))
    assert [number for number, _ in lines] == [1, 2, 3]
    assert isinstance(lines[1][1], InputError)
    assert lines[2][1] == {"c": 3}
    first_bad = list(read_documents('{"a": oops}\n{"c": 3}\n'))
    assert isinstance(first_bad[0][1], InputError)
    assert first_bad[1] == (2, {"c": 3})
    array = list(read_documents('[{"a": 1}, 7, {"b": 2}]'))
    assert "line 2: the alert is a number" in str(array[1][1])
    assert array[2][1] == {"b": 2}
    broken = list(read_documents('{\n "a": 1,\n "b": \n}'))
    assert len(broken) == 1
    assert "line 4 column" in str(broken[0][1])
    invalid = list(read_documents(b'{"a": 1}\n{"b": "\xff"}\n{"c": 3}\n'))
    assert [isinstance(read, InputError) for _, read in invalid] == [False, True, False]


def test_limits_hold_for_each_alert_of_a_file() -> None:
    many = [{"id": n, "list": list(range(50))} for n in range(30)]
    results = list(read_documents(json.dumps(many), limits=Limits(max_values=100)))
    assert all(not isinstance(read, InputError) for _, read in results)
    results = list(read_documents(json.dumps([*many, {"big": list(range(200))}]), limits=Limits(max_values=100)))
    assert [isinstance(read, LimitExceeded) for _, read in results] == [False] * 30 + [True]
    with pytest.raises(LimitExceeded, match="the file: is longer than 10 bytes"):
        list(read_documents("x" * 11, max_bytes=10))


@pytest.mark.parametrize(
    "first",
    ['{"id": "x', "2026-01-01 10:00:00 service started", '{"a":' * 3000 + "1" + "}" * 3000, '{"a": 1,', "x" * 100],
    ids=["cut off", "a log line", "nested", "half", "noise"],
)
def test_a_bad_first_line_takes_no_other_along(first: str) -> None:
    text = first + '\n{"id": "a"}\r\n{"id": "b"}\n'
    for given in (text, text.encode()):
        results = list(read_documents(given))
        assert [number for number, _ in results] == [1, 2, 3]
        assert isinstance(results[0][1], InputError)
        assert [read for _, read in results[1:]] == [{"id": "a"}, {"id": "b"}]


def test_lines_break_at_line_ends_alone() -> None:
    lines = '{"id": "a", "agent": "x\u2028y\u0085z"}\n{"id": "b"}\n{'
    results = list(read_documents(lines))
    assert results[0][1] == {"id": "a", "agent": "x\u2028y\u0085z"}
    assert [number for number, _ in results] == [1, 2, 3]


def test_a_broken_object_over_several_lines_is_one_error() -> None:
    for text in ('{\n "a": {},\n "b": \n}', '[\n  {"a": 1},\n  {"b": 2}\n', '{"a":' * 3000 + "\n1" + "}" * 3000):
        assert [isinstance(read, InputError) for _, read in read_documents(text)] == [True]
