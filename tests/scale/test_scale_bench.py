"""What evals/bench/scale.py measures is what it says: locks, copies, tables."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from evals.bench.ledger import _incidents, investigate
from evals.bench.scale_inbox import inbox_costs
from evals.bench.scale_parts import LockMeter, quantiles
from evals.bench.scale_place import Place, grow
from evals.bench.scale_work import flush_after_lock
from tests.ledger import postgres_server
from tests.ledger.postgres_server import postgres_url, schema  # noqa: F401 - fixtures


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        return Place(tmp_path)
    return Place(tmp_path, request.getfixturevalue("postgres_url"), request.getfixturevalue("schema"))


def test_the_lock_is_held_once_a_transaction(place: Place) -> None:
    with closing(place.store()) as store:
        meter = LockMeter(store)
        (given,) = _incidents(1)
        investigate(store, given)  # type: ignore[arg-type]
        assert len(meter.held) == len(meter.waited) == 7
        assert meter.flushed == 4
        assert all(seconds > 0 for seconds in meter.held)


def test_a_store_that_was_filled_up_still_works(place: Place) -> None:
    with closing(place.store()) as store:
        for given in _incidents(4):
            investigate(store, given)  # type: ignore[arg-type]
    assert grow(place, 20) == 20
    assert grow(place, 100) == 100  # and once more, over its own copies
    with closing(place.store()) as store:
        (given,) = _incidents(1)
        incident = given.incident.model_copy(update={"id": "another"})
        store.admit(incident, given.native, {})
        assert len(store.unfinished()) == 1
        assert len(store.ready()) == 2 * 100
    rows = place.sizes()
    assert rows["intake"][0] == 101
    assert rows["ledger_entries"][0] >= 12 * 100


def test_flushing_after_the_lock_keeps_what_was_answered_for(tmp_path: Path) -> None:
    """The change that is proposed: the chain stays whole, and a server that crashes at once has all of it."""
    if why := postgres_server.why_not():
        pytest.skip(why)
    given = _incidents(10)
    with postgres_server.running() as server:
        place = Place(tmp_path, server.url, "aegis")
        with closing(place.store()) as store:
            flush_after_lock(store)
            for one in given:
                store.admit(one.incident, one.native, {})
            server.crash()
        server.start()
        with closing(place.store()) as store:
            assert [row.incident_id for row in store.unfinished()] == [one.incident.id for one in given]
            assert store.verify().entries >= len(given)


def test_the_inbox_is_measured_over_its_whole_way(place: Place) -> None:
    one, many = inbox_costs(place, 40, [1, 20])
    assert (one["messages"], many["messages"]) == (4, 40)
    for of in (one, many):
        assert all(of[way]["a second"] > 0 for way in ("put", "take and done", "put, copies of one"))


def test_quantiles_hold_their_interval() -> None:
    q: dict[str, Any] = quantiles([float(n) for n in range(100)])
    assert q["low"] < q["mean"] < q["high"]
    assert json.loads(json.dumps(q)) == q
