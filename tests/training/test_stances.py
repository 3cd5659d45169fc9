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
