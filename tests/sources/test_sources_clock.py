"""Times as products write them. What is not understood whole is no time: half of it would be another hour."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aegis_agents.sources import parse
from aegis_agents.sources.clock import parse_time

TEN = datetime(2026, 1, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T10:00:00Z", "2026-01-01t10:00:00z", "2026-01-01 10:00", "2026-01-01T10:00:00.000000000Z",
        "2026-01-01T10:00:00,0 UTC", "2026-01-01 10:00:00 GMT", "2026-01-01T12:00:00+02:00", "2026-01-01T12:00:00+0200",
        "2026-01-01T12:00:00+02", "2026-01-01T05:00:00-05", "2026-01-01T15:30:00+05:30",
        "2026-01-01T11:00:00+01:00[Europe/Berlin]", "1767261600", "1767261600000", 1767261600,
    ],
)  # fmt: skip
def test_one_moment(text: object) -> None:
    assert parse_time(text) == TEN


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T10:00:00 PM", "2026-01-01 10:00:00 EST", "2026-01-01T10", "2026-01-01T10:00:00+2", "2026-01-01T10:00:00 or so",
        "2026-13-01", "2026-01-01T25:00:00Z", "1889-01-01", "10:00", "", "2026-01-01T10:00:00+99:99",
    ],
)  # fmt: skip
def test_what_is_not_understood_whole_is_no_time(text: str) -> None:
    assert parse_time(text) is None


@pytest.mark.parametrize("zone", ["+02", "+0200", "+02:00"])
def test_a_window_is_compared_in_the_zone_that_is_written(zone: str) -> None:
    alert = {
        "timestamp": f"2026-01-01T23:30:00{zone}",
        "change": {"window": "2026-01-01T22:00:00Z/2026-01-01T23:59:00Z"},
    }
    (derived,) = [f.value for f in parse(alert).facts if f.derived and "window" in f.value]
    assert "before" in derived
