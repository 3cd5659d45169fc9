"""Which side a fact is on, as training is told."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_agents.sources import parse
from aegis_agents.training.corpus import stances_of


def stance_of_range(sides: dict[str, int], sender: str) -> int:
    alert: dict[str, Any] = {
        "title": "Mail to many", "sender_ip": sender, "notes": {"vendor_range": "192.0.2.56/29"}, "queue": "q7",
    }  # fmt: skip
    facts = parse(alert, format="webhook").facts
    found = stances_of(facts, lambda f: sides.get(f.path, 0))
    assert len(found) == len(facts)
    (at,) = [i for i, f in enumerate(facts) if f.path == "derived.address_in_range"]
    assert {f.path for f in facts if f.id in facts[at].inputs} == {"sender_ip", "notes.vendor_range"}
    return found[at]


OUTSIDE, INSIDE = "198.51.100.61", "192.0.2.60"


@pytest.mark.parametrize(
    ("sides", "sender", "expected"),
    [
        ({"sender_ip": 1}, OUTSIDE, 1),
        ({"notes.vendor_range": 1}, OUTSIDE, 1),
        ({"sender_ip": 2, "notes.vendor_range": 2}, OUTSIDE, 2),
        ({"sender_ip": 1, "notes.vendor_range": 2}, OUTSIDE, -1),
        ({"notes.vendor_range": 2}, OUTSIDE, -1),  # it exonerates another address
        ({"notes.vendor_range": 3}, OUTSIDE, -1),
        ({"notes.vendor_range": 2}, INSIDE, 2),
        ({"queue": 1}, OUTSIDE, -1),
    ],
)
def test_a_comparison_speaks_for_what_it_compares_and_for_nothing_where_that_is_split(
    sides: dict[str, int], sender: str, expected: int
) -> None:
    assert stance_of_range(sides, sender) == expected


@pytest.mark.parametrize(
    ("relation", "alert", "exonerating"),
    [
        ("event_in_window", {"notes": {"window": "2026-04-15T08:00Z/2026-04-15T09:00Z"}}, "notes.window"),
        ("event_in_window", {"notes": {"window": "2026-04-13T08:00Z/2026-04-13T09:00Z"}}, "notes.window"),
        ("event_in_window", {"notes": {"hours": "22:00-23:00"}}, "notes.hours"),
        ("address_listed", {"src_ip": "10.3.41.19", "notes": {"scanners": "10.3.250.10, 10.3.250.12"}}, "notes.scanners"),
        ("host_in_pattern", {"host": {"name": "srv-01"}, "notes": {"scope": "paw-*"}}, "notes.scope"),
        ("identifier_named", {"serial_seen": "SN-4417-A2", "serial_expected": "SN-4418-B7"}, "serial_expected"),
        ("four_eyes", {"change": {"requester": "j.moss", "approver": "j.moss"}}, "change.approver"),
        ("mail_domains", {"sender": "a@one.example", "headers": {"Reply-To": "b@two.example"}}, "sender"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_teaches_no_exoneration_by_one_half(
    relation: str, alert: dict[str, Any], exonerating: str
) -> None:
    facts = parse({"time": "2026-04-14T08:30:00Z", **alert}).facts
    told = {f.path: s for f, s in zip(facts, stances_of(facts, lambda f: 2 * (f.path == exonerating)), strict=True)}
    assert told[exonerating] == 2
    assert told[f"derived.{relation}"] == -1
