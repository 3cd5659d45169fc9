"""The capacity model: each assumption matters, wrong ones are named, and the page says what the command computes."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from evals import capacity as model
from evals.capacity import PAGE, REPORTS, Assumed, assumed, capacity, into_page, need, to_markdown

Q = {"n": 9, "mean": 10.0, "low": 9.0, "high": 11.0, "p50": 10.0, "p95": 12.0}
FOUND: dict[str, Any] = {
    "machine": {"cpus": 2},
    "one incident": {"figures": {"PostgreSQL": {
        "processor ms, worker": Q | {"mean": 50.0, "low": 40.0, "high": 60.0}, "processor ms, database (blocks)": Q,
        "processor ms, worker, under the lock": Q, "statements under the lock": 20.0, "of them flushed": 2.0,
    }}},
    "writes": {"figures": {"PostgreSQL": {
        "rows and bytes": {"intake": [1.0, 10_240.0], "checkpoints": [3.0, 30_720.0]},
        "log": {"WAL bytes": 51_200.0, "commits": 50.0, "flushes": 3.0},
    }}},
    "workers": {"figures": {"PostgreSQL": {"1": {"MB": [{"peak": 512.0, "Pss": 400.0}]}}}},
}  # fmt: skip


def test_it_computes_what_can_be_reckoned_by_hand() -> None:
    found = capacity(FOUND, Assumed(per_day=864_000, peak=2.0, load=0.5, burst=100, round_trip_ms=0.5, flush_ms=2.0))
    day = found["day"][0]
    assert day["rate"] == pytest.approx(20.0)
    assert day["worker_cores"] == pytest.approx(20 * 0.050 / 0.5)
    assert day["database_cores"] == pytest.approx(20 * 0.010 / 0.5)
    assert day["worker_gb"] == pytest.approx(2 * 0.5)
    assert day["ledgers"] == 1
    assert found["one ledger"]["held ms"][0] == pytest.approx(10 + 20 * 0.5 + 2 * 2)
    assert found["burst"][0]["ledgers"] == 5  # a hundred times 24 ms, half the time
    assert found["one ledger"]["most a second"] == pytest.approx([1000 / 24, 1000 / 25, 1000 / 23])
    assert found["database"]["GB a day"] == pytest.approx(864_000 * 40 / 2**20)
    assert found["database"]["GB without checkpoints of the graph"] == pytest.approx(found["database"]["GB kept"] / 4)


@pytest.mark.parametrize("name", [f.name for f in fields(Assumed)])
def test_every_assumption_changes_the_answer(name: str) -> None:
    one = Assumed()
    more = capacity(FOUND, replace(one, **{name: 1.7 * getattr(one, name)}))
    less = capacity(FOUND, one)
    assert {k: v for k, v in more.items() if k != "assumed"} != {k: v for k, v in less.items() if k != "assumed"}


@pytest.mark.parametrize("text", ["peek=3", "peak=much", "peak=0", "peak=-1", "peak=nan", "peak=inf", "peak", ""])
def test_a_wrong_assumption_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"^--set"):
        assumed([text])


def test_an_interval_lies_around_its_mean() -> None:
    m = model.measured(FOUND)
    mean, low, high = (need(100.0, m, Assumed(), at).worker_cores for at in range(3))
    assert low < mean < high


def test_a_page_without_markers_is_not_written() -> None:
    with pytest.raises(ValueError, match="begin"):
        into_page("# Capacity\n", "| |")
    assert into_page("a\n<!-- begin: python -m evals.capacity -->\nold\n<!-- end -->\nb", "new").count("old") == 0


def test_page_and_report_say_what_was_measured() -> None:
    """Whoever measures anew runs the command too."""
    found = capacity(json.loads((REPORTS / "scale.json").read_text("utf-8")), Assumed())
    tables = to_markdown(found)
    assert tables in (REPORTS / "capacity.md").read_text("utf-8")
    page = Path(PAGE).read_text("utf-8")
    assert into_page(page, tables) == page
