"""What is looked up at each incident and each recovery is found by an index: history may grow, what it costs does not.

Plans are held against, not times: on both databases, just filled (no statistics yet) and with statistics.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aegis_agents.ledger import SqliteStore, queue
from aegis_agents.ledger.intake import _Compared, _End
from aegis_agents.records import Decision, ProposedAction, Target
from tests.ledger.ledgers import Clock, case_of, decided, incident
from tests.ledger.postgres_server import open_pg, postgres_url, schema  # noqa: F401 - fixtures
from tests.people import person

INCIDENTS, DAYS = 4000, 60


def fill(store: Any, postgres: bool) -> None:
    """A history by SQL: two actions an incident, evenly over DAYS; one in fifty waits, and nothing has a timer any more."""
    target = Target(kind="ip", value="203.0.113.9")
    proposal = ProposedAction(action_id="act-x", action="block_ip", target=target, reason="r", cites=("f1",))
    decision = Decision(action_id="act-x", verb="ask", rule="t", reason="t", inputs={"filler": "x" * 700})
    texts = {
        "incident": incident("inc-1").model_dump_json(), "proposal": proposal.model_dump_json(),
        "case": case_of("inc-1").model_dump_json(exclude={"incident"}), "decision": decision.model_dump_json(),
    }  # fmt: skip
    case, alert, wanted, said = (f"'{texts[name]}'" for name in ("case", "incident", "proposal", "decision"))
    numbers = (
        f"(SELECT generate_series(0, {INCIDENTS - 1}) AS n) s" if postgres
        else f"(WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < {INCIDENTS - 1}) SELECT n FROM s) s"
    )  # fmt: skip

    def at(later: float) -> str:
        """So many minutes after the incident came in."""
        ago = f"(({INCIDENTS} - s.n) * {DAYS * 1440.0 / INCIDENTS} + 5 - {later})"
        if postgres:
            moment = f"(now() AT TIME ZONE 'UTC') - {ago} * interval '1 minute'"
            return f"to_char({moment}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '+00:00'"
        return f"strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now', '-' || {ago} || ' minutes')"

    native = "'n'::bytea" if postgres else "x'6e'"
    with store.transaction():
        store._run(
            "INSERT INTO intake (incident_id, at, incident, native, pins, finished_at, case_json, verdict)"
            f" SELECT 'inc-' || s.n, {at(0)}, {alert}, {native}, '{{}}', {at(1)}, {case}, 'true_positive' FROM {numbers}"
        )
        waits = "s.n % 50 = 3"
        ended = "CASE s.n % 10 WHEN 5 THEN 'failed' WHEN 6 THEN 'undone' WHEN 7 THEN 'executed' ELSE 'expired' END"
        for action, effect, state, begun, until in (
            ("block_ip", "contain", f"CASE WHEN {waits} THEN 'awaiting' ELSE {ended} END",
             f"CASE WHEN {waits} THEN NULL ELSE {at(0.5)} END", f"CASE WHEN s.n % 10 IN (3, 7) THEN NULL ELSE {at(240)} END"),
            ("close_alert", "record", "'executed'", at(0.5), "NULL"),
        ):  # fmt: skip
            store._run(
                "INSERT INTO journal (action_id, incident_id, key, action, target_kind, target_value, generation, effect,"
                " tier, groups, proposal, decision, state, created_at, updated_at, begun_at, expires_at)"
                f" SELECT '{action}-' || s.n, 'inc-' || s.n, '{action}-' || s.n, '{action}', 'ip', '10.0.' || (s.n % 200), 0,"
                f" '{effect}', 'standard', 'dmz', {wanted}, {said}, {state}, {at(0)}, {at(0.5)}, {begun}, {until} FROM {numbers}"
            )
    for _ in range(300):
        store.append("test", None, {})


class Asked(NamedTuple):
    """A statement and how the database would go about it."""

    sql: str
    plan: str


class History(NamedTuple):
    """A store with a history."""

    store: Any
    postgres: bool

    def asked(self, look: Callable[[Any], object]) -> list[Asked]:
        """The plans of what a look-up asks, and for SQLite those of its sub-queries."""
        store, said = self.store, list[tuple[str, Any]]()
        read = store._rows

        def noting(sql: str, values: Any = ()) -> Any:
            said.append((sql, values))
            return read(sql, values)

        store._rows = noting
        try:
            look(store)
        finally:
            del store._rows
        explain, column = ("EXPLAIN ", 0) if self.postgres else ("EXPLAIN QUERY PLAN ", 3)
        plans = (store._rows(explain + sql, values) for sql, values in said)
        return [Asked(sql, "\n".join(row[column] for row in plan)) for (sql, _), plan in zip(said, plans, strict=True)]


@pytest.fixture(scope="module", params=["sqlite", "sqlite analysed", "postgres", "postgres analysed"])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    home, postgres = tmp_path_factory.mktemp("history"), request.param.startswith("postgres")
    if postgres:
        from aegis_agents.ledger.postgres import PostgresStore

        url = request.getfixturevalue("postgres_url")
        store: Any = PostgresStore(url, anchor=home / "anchor", schema=f"t_{secrets.token_hex(6)}")
    else:
        store = SqliteStore(home / "aegis.sqlite")
    fill(store, postgres)
    if "analysed" in request.param:
        store._run("ANALYZE")
    yield History(store, postgres)
    store.close()


def once_more(store: Any) -> None:
    """What a later recovery looks at: cases were held against the journal before, and something was written since."""
    store.outdated_cases()
    store.append("test", "inc-7", {})


AN_HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)
LOOKS: dict[str, tuple[Callable[[Any], object], list[tuple[str, str]]]] = {
    "due": (lambda store: store.due(datetime.now(UTC)), [("journal_timers", "expires_at")]),
    "timers": (lambda store: store.timers(), [("journal_timers", "expires_at")]),
    "usage": (
        lambda store: store.usage(AN_HOUR_AGO),
        [("journal_begun", "begun_at"), ("journal_begun", "begun_at"), ("journal_ended", "updated_at"), ("journal_state", "state")],
    ),
    "queue": (lambda store: store.queue(), [("intake_queue", "")]),
    "next page": (lambda store: store.queue(after=store.queue(limit=3).next), [("intake_queue", ""), ("intake_queue", "at")]),
    "verdict": (lambda store: store.queue(verdict="true_positive"), [("intake_", "")]),
    "open": (lambda store: store.queue(state="open"), [("intake_open", "")]),
    "waiting": (lambda store: store.queue(state="waiting"), [("journal_", ""), ("intake", "incident_id")]),
    "pending": (lambda store: store.pending(limit=3), [("journal_state", "state")]),
}  # fmt: skip
WHOLE = ("Seq Scan on", "SCAN journal\n", "SCAN i\n", "SCAN ledger_entries")


def read_whole(one: Asked) -> bool:
    """Whether a table is read from end to end, or an index that holds all of it."""
    plan = one.plan + "\n"
    return "ledger_meta" not in one.sql and any(words in plan for words in WHOLE)


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_up_is_by_index(history: History, name: str) -> None:
    look, expected = LOOKS[name]
    asked = history.asked(look)
    assert len(asked) == len(expected)
    for one, (index, by) in zip(asked, expected, strict=True):
        assert not read_whole(one), one
        assert index in one.plan, one
        cond = [line for line in one.plan.split("\n") if "Index Cond" in line or "SEARCH" in line]
        assert not by or any(by in line for line in cond), one


def test_how_many_of_an_incident_wait_is_looked_up_for_those_of_the_page_alone(history: History) -> None:
    (one,) = history.asked(lambda store: store.queue())
    assert "journal_waiting" in one.plan or "journal_incident" in one.plan
    assert "Sort" not in one.plan
    assert "TEMP B-TREE" not in one.plan
    assert sum(row.waiting for row in history.store.queue(limit=500).items) == 10


def test_a_later_look_for_outdated_cases_is_at_what_was_written_since(history: History) -> None:
    once_more(history.store)
    asked = history.asked(lambda store: store.outdated_cases())
    assert len(asked) == 4  # the ledger's end, where it was before, what was written since, and one incident
    assert not any(read_whole(one) for one in asked), asked
    assert not any("JOIN" in one.sql for one in asked)
    assert "ledger_entries_pkey" in asked[2].plan or "INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in asked[2].plan
    assert "journal_incident" in asked[3].plan


def test_what_waits_is_found_alike_on_both_ways(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    def all_of_it() -> list[Any]:
        pages = [history.store.queue(state="waiting", limit=30)]
        while pages[-1].next:
            pages.append(history.store.queue(state="waiting", limit=30, after=pages[-1].next))
        return [row for page in pages for row in page.items]

    few = all_of_it()
    assert len(few) == INCIDENTS // 50
    assert [row.at for row in few] == sorted((row.at for row in few), reverse=True)
    assert {row.waiting for row in few} == {1}
    assert len(history.store.queue(state="waiting", verdict="true_positive", limit=7).items) == 7
    monkeypatch.setattr(queue, "_FEW", 5)
    assert all_of_it() == few
    assert history.store.queue(state="waiting", verdict="benign_positive").items == ()
    walked = history.asked(lambda store: store.queue(state="waiting", limit=3))[-1]
    assert "intake_queue" in walked.plan
    assert not read_whole(walked)


def test_the_first_that_wait_are_read_alone(history: History) -> None:
    whole = history.store.pending()
    assert len(whole) == INCIDENTS // 50
    assert history.store.pending(limit=3) == whole[:3]
    assert history.store.pending(limit=0) == []
    assert queue.count_waiting(history.store) == len(whole)
    assert queue.count_waiting(history.store, most=7) == 7


def test_budgets_count_an_hour_of_a_long_history(history: History) -> None:
    used = history.store.usage(AN_HOUR_AGO)
    assert used.records == used.closed >= 2
    assert 1 <= used.actions <= used.records
    assert used.failed + used.undone <= used.actions + 1


# what a crash leaves is never missed


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Clock], Any]]:
    """Opens the test's store once more: another process."""
    made: list[Any] = []

    def build(clock: Clock) -> Any:
        if request.param == "postgres":
            return request.getfixturevalue("open_pg")(clock=clock)
        made.append(SqliteStore(tmp_path / "aegis.sqlite", clock=clock))
        return made[-1]

    yield build
    for store in made:
        store.close()


def waits(store: Any, name: str) -> str:
    """An incident with a case, whose action waits; answers the action's id."""
    key = decided(store, name)
    store.finish(name, case_of(name))
    return key


def test_what_was_left_before_and_since_is_found_until_it_is_mended(opened: Callable[[Clock], Any]) -> None:
    clock = Clock()
    one, other = opened(clock), opened(clock)
    first, second, _ = waits(one, "inc-1"), waits(one, "inc-2"), waits(one, "inc-3")
    other.answer(first, False, person("alice"))
    assert one.outdated_cases() == ["inc-1"]
    assert one.outdated_cases() == ["inc-1"]  # nobody has mended it yet
    other.answer(second, False, person("alice"))
    assert one.outdated_cases() == other.outdated_cases() == ["inc-1", "inc-2"]
    one.finish("inc-1", case_of("inc-1"))
    assert one.outdated_cases() == other.outdated_cases() == ["inc-2"]
    other.finish("inc-2", case_of("inc-2"))
    assert one.outdated_cases() == other.outdated_cases() == opened(clock).outdated_cases() == []


def test_a_clock_that_was_set_back_hides_nothing(opened: Callable[[Clock], Any]) -> None:
    clock = Clock()
    store = opened(clock)
    waits(store, "inc-1")
    assert store.outdated_cases() == []
    clock.now -= timedelta(days=3)
    store.answer(waits(store, "inc-2"), False, person("alice"))
    assert store.outdated_cases() == ["inc-2"]


def test_what_was_looked_at_in_a_transaction_that_was_taken_back_is_looked_at_again(
    opened: Callable[[Clock], Any],
) -> None:
    clock = Clock()
    one, other = opened(clock), opened(clock)
    key = waits(one, "inc-1")
    assert one.outdated_cases() == []
    with suppress(RuntimeError), one.transaction():
        one.append("test", None, {})
        assert one.outdated_cases() == []
        raise RuntimeError
    other.answer(key, False, person("alice"))  # takes the number that was given back
    assert one.outdated_cases() == ["inc-1"]


def test_a_ledger_that_was_set_back_beneath_is_looked_through_again(opened: Callable[[Clock], Any]) -> None:
    store = opened(Clock())
    store.answer(waits(store, "inc-1"), False, person("alice"))
    end = store._end()
    for other in (_End(end.seq + 5, end.hash), _End(end.seq, "f" * 64)):
        store._compared = _Compared(other, frozenset())
        assert store.outdated_cases() == ["inc-1"]


def test_many_entries_and_incidents_are_taken_in_turns(
    opened: Callable[[Clock], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_agents.ledger.intake._AT_ONCE", 2)
    monkeypatch.setattr("aegis_agents.ledger.intake._ENTRIES", 3)
    store = opened(Clock())
    assert store.outdated_cases() == []
    store.append("test", None, {})
    assert store.outdated_cases() == []
    names = [f"inc-{number}" for number in range(7)]
    for name in names:
        store.answer(waits(store, name), False, person("alice"))
    store.finish("inc-3", case_of("inc-3"))
    assert store.outdated_cases() == [name for name in names if name != "inc-3"]


def test_an_incident_whose_case_was_removed_has_none_that_says_too_little(opened: Callable[[Clock], Any]) -> None:
    store = opened(Clock())
    store.answer(waits(store, "inc-1"), False, person("alice"))
    assert store.outdated_cases() == ["inc-1"]
    store._run("UPDATE intake SET case_json = NULL WHERE incident_id = 'inc-1'")
    assert store.outdated_cases() == opened(Clock()).outdated_cases() == []
