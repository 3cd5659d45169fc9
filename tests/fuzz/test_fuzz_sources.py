"""Whatever comes in, parse answers an Incident or raises InputError, soon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aegis_agents.errors import InputError
from aegis_agents.records import Incident
from aegis_agents.sources import FORMATS, parse, read_documents, read_lines

_FILE = Path(__file__).parents[1] / "sources" / "examples.jsonl"
EXAMPLES: dict[str, dict[str, Any]] = {
    example["format"]: example["alert"] for example in map(json.loads, _FILE.read_text("utf-8").splitlines())
}
_PATHS = sorted({key for alert in EXAMPLES.values() for key in alert} | {"Event", "detail", "result", "#attributes"})
_TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=40),
    st.sampled_from(
        ["", "203.0.113.9", "2001:db8::1/129", "2026-02-30T25:61Z/..", "9999-12-31T23:59:59-23:59", "0001-01-01", "a@b",
         "arn:aws:iam::1:user/", "xn--.example", "CORP\\", "\\\\", "[.]", "hxxp://[", "<@>", "10.0.0.0/0-10.0.0.1",
         "T1059.", "00:00-00:00", "24:00-23:59", "::", "⟦U+0⟧", "\ud800", "1e400",
         "2026-01-01..99-99", "*", "host a-1*", "#text"]
    ),
)  # fmt: skip
_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.just(10**50), _TEXTS, st.binary(max_size=8), st.dates()
)
_KEYS = st.one_of(
    st.sampled_from(_PATHS), st.sampled_from(["user", "ip", "name", "window", "sender", "a.b", "$", ""]), _TEXTS
)
_TREES = st.recursive(
    _LEAVES,
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(_KEYS, below, max_size=4)),
    max_leaves=12,
)
quick = settings(max_examples=40, deadline=2000, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def check(alert: Any, name: str | None) -> None:
    try:
        incident = parse(alert, format=name)
    except InputError:
        return
    assert isinstance(incident, Incident)
    ids = {fact.id for fact in incident.facts}
    assert len(ids) == len(incident.facts)
    assert all(set(entity.facts) <= ids for entity in incident.entities)
    assert incident.id == parse(alert, format=name).id
    incident.model_dump_json().encode("utf-8")


@pytest.mark.parametrize("name", sorted(FORMATS))
@quick
@given(merged=st.dictionaries(_KEYS, _TREES, max_size=4), data=st.data())
def test_any_tree_merged_into_an_alert(name: str, merged: dict[str, Any], data: st.DataObject) -> None:
    alert = {**EXAMPLES[name], **merged}
    key = data.draw(st.sampled_from(sorted(EXAMPLES[name])))
    alert[key] = data.draw(_TREES)
    check(alert, data.draw(st.sampled_from([name, None])))


@settings(quick, max_examples=150)
@given(st.binary(max_size=300))
def test_any_bytes(raw: bytes) -> None:
    check(raw, None)
    for _, read in read_documents(raw):
        assert isinstance(read, dict | InputError)
    for _, read in read_lines(raw.splitlines(keepends=True)):
        assert isinstance(read, dict | InputError)


@settings(quick, max_examples=150)
@given(st.data())
def test_damaged_json(data: st.DataObject) -> None:
    raw = bytearray(json.dumps(EXAMPLES[data.draw(st.sampled_from(sorted(EXAMPLES)))]).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from([b"", b'"', b"{", b"\xff", b"\\u", b"NaN", b"1e9"])
        )
    check(bytes(raw), None)


@settings(quick, max_examples=100)
@given(_TREES)
def test_any_value_at_the_top(tree: Any) -> None:
    check(tree, None)
