"""Any JSON object: its time is found wherever products put it, and nothing else is taken for it."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from aegis_agents.sources import parse

AT = "2026-03-04T05:06:07Z"


@pytest.mark.parametrize(
    "alert",
    [
        {"_time": AT}, {"@timestamp": AT}, {"event_time": AT}, {"TimeGenerated": AT}, {"CreatedAt": AT},
        {"properties": {"createdTimeUtc": AT}}, {"Event": {"System": {"TimeCreated": {"SystemTime": AT}}}},
        {"published": AT, "debug": {"time": "2020-01-01T00:00:00Z"}},
        {"created": AT, "comments": [{"time": "2020-01-01T00:00:00Z"}]},
        {"ts": AT, "first_seen": "2020-01-01T00:00:00Z"},
        {"time": "later", "createdAt": AT},
    ],
)  # fmt: skip
def test_the_time_of_an_unknown_product_is_found(alert: dict[str, Any]) -> None:
    assert parse({"title": "x y", **alert}, format="generic").observed_at == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def test_the_order_of_fields_does_not_choose_the_time() -> None:
    alert = {"a": {"time": AT}, "b": {"time": "2026-03-05T00:00:00Z"}, "c": {"created": "2020-01-01T00:00:00Z"}}
    found = set()
    for seed in range(10):
        keys = random.Random(seed).sample(list(alert), 3)
        found.add(parse({key: alert[key] for key in keys}, format="generic").observed_at)
    assert found == {datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)}


def test_an_alert_without_a_time_has_none() -> None:
    assert (
        parse({"title": "x", "expires": AT, "n": {"m": {"o": {"p": {"time": AT}}}}}, format="generic").observed_at
        is None
    )


def test_two_words_joined_are_no_host() -> None:
    found = parse({"source": "k8s_audit", "host": "k8s-node-4"}, format="generic").entities
    assert [e.value for e in found if e.kind == "host"] == ["k8s-node-4"]
