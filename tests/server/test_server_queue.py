"""The queue and the server's own tables, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import InputError
from aegis_agents.ledger import SqliteStore
from aegis_agents.ledger.queue import count_waiting, read_queue, read_waiting
from aegis_agents.ledger.served import Answered, Served
from tests.ledger.ledgers import Clock, incident
from tests.ledger.postgres_server import open_pg, postgres_url, schema

__all__ = ["open_pg", "postgres_url", "schema"]


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "postgres":
        build: Callable[..., Any] = request.getfixturevalue("open_pg")
        yield build(clock=Clock())
        return
    made = SqliteStore(tmp_path / "aegis.sqlite", clock=Clock())
    yield made
    made.close()


def _case(name: str, verdict: str) -> Any:
    from aegis_agents.records import Case

    return Case(
        incident_id=name, source="generic", native_id="n", title='say "verdict":"true_positive"', verdict=verdict,
        confidence=0.9, severity="low", techniques=(), evidence=(), actions=(), summary="", probabilities={}, versions={},
    )  # fmt: skip


def test_pages_go_on_where_the_last_one_ended(store: Any) -> None:
    for number in range(9):
        store.admit(incident(f"inc-{number}"), "n", {})
        if number != 8:
            store.finish(f"inc-{number}", _case(f"inc-{number}", "true_positive" if number < 3 else "false_positive"))
    first = read_queue(store, limit=4)
    assert [row.incident_id for row in first.items] == ["inc-8", "inc-7", "inc-6", "inc-5"]
    store.admit(incident("inc-9"), "n", {})
    second = read_queue(store, limit=4, after=first.next)
    assert [row.incident_id for row in second.items] == ["inc-4", "inc-3", "inc-2", "inc-1"]
    last = read_queue(store, limit=4, after=second.next)
    assert ([row.incident_id for row in last.items], last.next) == (["inc-0"], None)
    attacks = read_queue(store, verdict="true_positive")
    assert [row.incident_id for row in attacks.items] == ["inc-2", "inc-1", "inc-0"]
    assert [row.incident_id for row in read_queue(store, state="open").items] == ["inc-9", "inc-8"]
    assert len(read_queue(store, state="decided").items) == 8
    assert read_queue(store, state="waiting").items == ()
    assert read_queue(store, state="open").items[0].title == "a secret title"
    with pytest.raises(InputError, match="cursor"):
        read_queue(store, after="bm90IGEgY3Vyc29y")


def test_answers_and_how_far_receivers_were_told_are_kept(store: Any) -> None:
    served, again = Served(store), Served(store)
    served.keep("d", Answered("r", 201, '{"a": "\u00e9"}'))
    served.keep("d", Answered("other", 200, "{}"))
    assert again.answered("d") == Answered("r", 201, '{"a": "\u00e9"}')
    assert served.told("siem", 7) == 7
    served.tell("siem", 9)
    served.tell("siem", 8)
    assert again.told("siem", 100) == 9
    before = served.newest()
    store.append("test", None, {"a": 1})
    assert served.newest() == before + 1
    assert served.origin().startswith("aegis-agents/ledger/")
    assert served.forget(timedelta(seconds=-5)) >= 0
    store.verify()


def test_pruning_takes_what_was_answered_and_the_verdict_along(store: Any) -> None:
    from datetime import UTC, datetime

    from aegis_agents.records import AEGIS

    served = Served(store)
    served.keep("old", Answered("r", 201, "what the alert said"))
    store.admit(incident("inc-1"), "n", {})
    store.finish("inc-1", _case("inc-1", "true_positive"))
    assert count_waiting(store) == len(read_waiting(store, limit=5)) == 0
    store._clock = lambda: datetime.now(UTC) + timedelta(seconds=5)
    done = store.prune(datetime.now(UTC) + timedelta(seconds=1), AEGIS)
    assert done.incidents == ("inc-1",)
    assert served.answered("old") is None
    assert read_queue(store, verdict="true_positive").items == ()
    served.keep("new", Answered("r", 201, "{}"))
    store.prune(datetime.now(UTC) - timedelta(hours=1), AEGIS)
    assert served.answered("new") is not None
    store.verify()


def test_a_page_of_one_verdict_reads_its_index(tmp_path: Path) -> None:
    import sqlite3

    SqliteStore(tmp_path / "aegis.sqlite").close()
    with sqlite3.connect(tmp_path / "aegis.sqlite") as db:
        asked = "SELECT incident_id FROM intake i WHERE {} ORDER BY at DESC, incident_id DESC LIMIT 5"
        plans = {
            where: str(db.execute("EXPLAIN QUERY PLAN " + asked.format(where)).fetchall())
            for where in ("verdict = 'true_positive'", "finished_at IS NULL", "1")
        }
    db.close()
    for plan, index in zip(plans.values(), ("intake_verdict", "intake_open", "intake_queue"), strict=True):
        assert index in plan
        assert "TEMP B-TREE" not in plan
