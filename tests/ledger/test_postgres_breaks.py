"""PostgreSQL's transactions, and connections that break before, in and after one."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import StoreError
from aegis_agents.ledger.postgres import PostgresStore
from tests.ledger.ledgers import decided
from tests.ledger.postgres_server import cut, open_pg, pg, postgres_url, running, schema  # noqa: F401 - fixtures
from tests.people import person

Open = Callable[..., PostgresStore]


def test_an_inner_transaction_goes_alone_and_an_outer_one_takes_all(pg: PostgresStore) -> None:
    def gone() -> None:
        with pg.transaction():
            pg.append("gone", None, {})
            raise ValueError("wrong")

    with pg.transaction():
        pg.append("kept", None, {})
        with pytest.raises(ValueError, match="wrong"):
            gone()
        with pg.transaction():
            pg.append("kept", None, {})
    with pytest.raises(ValueError, match="wrong"):
        gone()
    assert [e.kind for e in pg.entries()] == ["kept", "kept"]
    assert pg.verify().entries == 2


def test_a_failed_statement_that_was_ignored_does_not_pass_for_a_commit(pg: PostgresStore) -> None:
    """PostgreSQL answers COMMIT of a failed transaction with a ROLLBACK, and no error."""

    def careless() -> None:
        with pg.transaction():
            pg.append("gone", None, {})
            with pytest.raises(StoreError):
                pg._run("SELECT no_such_function()")

    with pytest.raises(StoreError, match="nothing was kept"):
        careless()
    pg.append("kept", None, {})
    assert [e.kind for e in pg.entries()] == ["kept"]


# what breaks


def test_a_connection_that_broke_between_transactions_is_made_anew(pg: PostgresStore) -> None:
    pg.append("one", None, {})
    cut(pg)
    assert [e.kind for e in pg.entries()] == ["one"]
    cut(pg)
    pg.append("two", None, {})
    assert pg.verify().entries == 2


def test_one_that_broke_inside_a_transaction_is_an_error_and_nothing_is_kept(pg: PostgresStore) -> None:
    def interrupted() -> None:
        with pg.transaction():
            pg.append("gone", None, {})
            cut(pg)
            with pytest.raises(StoreError):
                pg.append("gone", None, {})
            # Whoever ignores that must not go on outside of any transaction.
            with pytest.raises(StoreError, match=r"nothing of it was kept|nothing was kept"):
                pg.append("gone", None, {})

    with pytest.raises(StoreError):
        interrupted()
    pg.append("kept", None, {})
    assert [e.kind for e in pg.entries()] == ["kept"]
    assert pg.verify().entries == 1


def test_a_commit_whose_answer_is_lost_is_not_called_kept(pg: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real = pg._send

    def lose(sql: str, values: Any) -> Any:
        if sql == "COMMIT":
            cut(pg)
        return real(sql, values)

    monkeypatch.setattr(pg, "_send", lose)
    with pytest.raises(StoreError, match="whether it was kept is not known"):
        pg.append("test", None, {})
    monkeypatch.undo()
    assert pg.entries() == []


def test_what_was_committed_stays_committed_though_the_connection_breaks_after_it(
    pg: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pg._send

    def lose_after(sql: str, values: Any) -> Any:
        done = real(sql, values)
        if sql == "COMMIT":
            cut(pg)
            monkeypatch.setattr(pg._address, "connect", unreachable)
        return done

    def unreachable(**_: Any) -> Any:
        raise StoreError("gone")

    monkeypatch.setattr(pg, "_send", lose_after)
    pg.append("kept", None, {})
    monkeypatch.undo()
    assert pg.verify().entries == 1  # the anchor lags behind, and that verifies


def test_a_machine_that_went_dark_lets_go_of_the_lock(pg: PostgresStore) -> None:
    assert pg._rows("SHOW idle_in_transaction_session_timeout")[0][0] == "1min"


def test_a_commit_is_flushed_whatever_the_server_was_told(open_pg: Open, postgres_url: str) -> None:
    lax = f"{postgres_url}?options=-c%20synchronous_commit%3Doff%20-c%20default_transaction_read_only%3Don"
    pg = open_pg(url=lax)
    assert pg._rows("SHOW synchronous_commit")[0][0] == "on"
    pg.append("test", None, {})


def test_what_was_answered_survives_a_crash_of_the_server(tmp_path: Path, postgres_url: str) -> None:
    with running() as server:
        store = PostgresStore(server.url, anchor=tmp_path / "anchor")
        key = decided(store, "inc-1")
        store.answer(key, True, person("alice"))
        with pytest.raises(StoreError), store.transaction():  # noqa: PT012 - the crash comes in the middle
            store.begin(key, owner="h:1:x")
            server.crash()
            store.append("gone", None, {})
        with pytest.raises(StoreError, match="can't be opened"):
            store.action(key)
        server.start()
        assert store.action(key).state == "approved"
        assert store.verify().entries == len(store.entries())
        assert store.begin(key, owner="h:1:x").row.state == "intent"
        store.close()


@pytest.mark.parametrize("reads_alone", [True, False])
def test_an_outcome_that_a_crash_forgets_was_not_anchored_by_another_worker(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, reads_alone: bool
) -> None:
    with running() as server:
        ours, other = (PostgresStore(server.url, anchor=tmp_path / "anchor") for _ in range(2))
        keys = [decided(other, name) for name in ("inc-1", "inc-2")]
        for key in keys:
            other.answer(key, True, person("alice"))
        other.begin(keys[0], owner="h:1:x")
        if reads_alone:
            other.settle(keys[0], "executed", None, "")
            with ours.transaction():
                assert ours.action(keys[0]).state == "executed"
        else:
            move = ours._committed

            def settled_in_between(left: Any) -> None:
                other.settle(keys[0], "executed", None, "")
                move(left)

            monkeypatch.setattr(ours, "_committed", settled_in_between)
            ours.append("test", None, {})
            monkeypatch.undo()
        server.crash()
        server.start()
        assert ours.action(keys[0]).state == "intent", "the outcome was not flushed, and is settled by looking"
        assert ours._anchor.read().entries <= ours.verify().entries
        assert ours.begin(keys[1], owner="h:1:x").row.state == "intent", "nothing was set back"
        for store in (ours, other):
            store.close()


def test_a_commit_that_need_not_be_flushed_does_not_wait_and_the_next_one_does(pg: PostgresStore) -> None:
    for flush, expected in ((False, "off"), (True, "on"), (False, "off")):
        with pg.transaction(flush=flush):
            assert pg._rows("SHOW synchronous_commit")[0][0] == expected
        assert pg._rows("SHOW synchronous_commit")[0][0] == "on"
