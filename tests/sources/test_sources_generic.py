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
        {"properties": {"createdTimeUtc": AT}}, {"alert.time": AT}, {"detection_time": AT}, {"Event": {"System": {"TimeCreated": {"SystemTime": AT}}}},
        {"created_at": AT, "published": "2021-12-10T00:00:00Z"}, {"ts": AT, "updated_at": "2026-03-06T00:00:00Z"},
        {"ts": AT, "first_seen": "2020-01-01T00:00:00Z"},
        {"time": "later", "createdAt": AT},
    ],
)  # fmt: skip
def test_the_time_of_an_unknown_product_is_found(alert: dict[str, Any]) -> None:
    assert parse({"title": "x y", **alert}, format="generic").observed_at == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def test_the_order_of_fields_does_not_choose_the_time() -> None:
    alert = {"event": {"time": AT}, "finding": {"time": "2026-03-05T00:00:00Z"}, "alert": {"created": "2020-01-01"}}
    found = set()
    for seed in range(10):
        keys = random.Random(seed).sample(list(alert), 3)
        found.add(parse({key: alert[key] for key in keys}, format="generic").observed_at)
    assert found == {datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)}


RECORD = {"start": "2026-03-01T00:00:00Z", "time": "2026-03-01T01:00:00Z", "createdAt": "2026-03-01T02:00:00Z"}


@pytest.mark.parametrize("holder", ["change", "user", "params", "request", "comments", "data", "range", "ticket"])
def test_the_time_of_a_record_or_a_request_is_not_the_events(holder: str) -> None:
    assert parse({"title": "x y", holder: RECORD}, format="generic").observed_at is None
    both = parse({"title": "x y", holder: RECORD, "event": {"createdAt": AT}}, format="generic")
    assert both.observed_at == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def test_a_second_field_of_the_same_name_does_not_set_the_clock() -> None:
    twice = f'{{"title": "x y", "time": "{AT}", "time": "2026-02-01T00:00:00Z", "time1": "2026-01-01T00:00:00Z"}}'
    assert parse(twice, format="generic").observed_at == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def test_padding_does_not_hide_the_time() -> None:
    padded = {f"form.k{n}": "x" for n in range(2500)} | {"time": AT}
    assert parse(padded, format="generic").observed_at == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def test_an_alert_without_a_time_has_none() -> None:
    assert (
        parse({"title": "x", "expires": AT, "n": {"m": {"o": {"p": {"time": AT}}}}}, format="generic").observed_at
        is None
    )


def test_two_words_joined_are_no_host_and_a_numbered_one_is() -> None:
    found = parse({"source": "k8s_audit", "device": "dc_prod_01", "host": "k8s-node-4"}, format="generic").entities
    assert {e.value for e in found if e.kind == "host"} == {"k8s-node-4", "dc_prod_01"}


def test_what_thousands_of_alerts_share_is_no_id_of_one() -> None:
    """4625 is a kind of event, and 2019401 a signature: alerts that share one would share a ticket, and be closed together."""
    for one, other in (
        ({"event_id": 4625, "title": "Brute force", "host": "dc-1"}, {"event_id": 4625, "title": "Spray", "host": "fin-7"}),
        *(({"event_type": "alert", "alert": {"signature_id": 2019401, "signature": "x"}, "src_ip": ip}, {"event_type": "alert", "alert": {"signature_id": 2019401, "signature": "x"}, "src_ip": "10.0.0.9"}) for ip in ("10.0.0.8",)),
    ):  # fmt: skip
        assert parse(one).native_id != parse(other).native_id
    assert parse({"event_id": "a-4625"}).native_id == "a-4625"
    assert parse({"id": 17}).native_id == "17"
    assert parse({"event_id": 4625, "id": "x-1"}).native_id == "x-1"
