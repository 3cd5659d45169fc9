"""The development data, where AEGIS_DEV_DATA names its folder; skipped, and said so, where it does not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.sources import detect_format, parse, read_lines

DATA = os.environ.get("AEGIS_DEV_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="AEGIS_DEV_DATA is not set: the development data is not tested")

KINDS = {
    "hosts": {"host", "pod", "resource", "ip"},
    "users": {"user", "email"},
    "ips": {"ip"},
    "domains": {"domain"},
    "hashes": {"hash"},
}
"""The cases name clusters, pods and bare addresses as hosts, and recipients as users."""


def lines(name: str) -> Iterator[dict[str, Any]]:
    assert DATA
    with (Path(DATA) / name).open(encoding="utf-8") as stream:
        for _, read in read_lines(stream):
            assert isinstance(read, dict), read
            yield read


def test_cases_are_detected_and_their_entities_found() -> None:
    missed, total = [], 0
    for case in lines("dev_cases/tune/cases.jsonl"):
        expected = {"webhook": "generic"}.get(case["source_format"], case["source_format"])
        assert detect_format(case["alert"]) == expected, case["id"]
        incident = parse(case["alert"])
        assert incident.observed_at is not None, case["id"]
        named = {(entity.kind, entity.value) for entity in incident.entities}
        for group, values in case["truth"]["entities"].items():
            for value in values:
                total += 1
                if not any((kind, value) in named for kind in KINDS[group]):
                    missed.append((case["id"], group, value))
    recall = 1 - len(missed) / total
    print(f"entity recall on {total} named entities: {recall:.3f}; missed: {missed}")
    assert recall >= 0.9


def test_every_deciding_fact_is_in_a_fact() -> None:
    for case in lines("dev_cases/tune/cases.jsonl"):
        values = [fact.value for fact in parse(case["alert"]).facts]
        for deciding in case["truth"]["key_facts"]:
            assert any(deciding in value for value in values), (case["id"], deciding)


def test_real_windows_events() -> None:
    events = [event for case in lines("sigma/regression.jsonl") for event in case["events"]]
    events += [case["event"] for case in lines("otrf/sigma_alerts.jsonl")]
    assert len(events) > 400
    for event in events:
        incident = parse(event)
        assert incident.source == "windows_event"
        assert incident.observed_at is not None
        assert any(entity.kind == "host" for entity in incident.entities)


def test_real_alert_windows_as_unknown_product() -> None:
    for number, window in enumerate(lines("ait_ads/windows.jsonl")):
        if number % 5 == 0:
            incident = parse(window)
            assert incident.source == "generic"
            assert incident.native_id == window["id"]
