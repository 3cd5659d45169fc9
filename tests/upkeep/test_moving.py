"""From the embedded store to PostgreSQL: nothing is lost, nothing is written where it was, killed anywhere."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import LedgerTampered, SettingsError, StoreError
from aegis_agents.inbox.postgres import PostgresDatabase as InboxTables
from aegis_agents.inbox.schema import TABLES
from aegis_agents.ledger import SqliteStore
from aegis_agents.ledger.opening import open_store
from aegis_agents.ledger.postgres_connection import Address
from aegis_agents.settings import only
from aegis_agents.tools.owners import this_process
from aegis_agents.upkeep import moving
from aegis_agents.upkeep.left import mark_done, mark_store, standing_of, unmark
from aegis_agents.upkeep.moving import Move
from tests.ledger.ledgers import incident
from tests.ledger.postgres_server import postgres_url, schema  # noqa: F401 - fixtures
from tests.people import person
from tests.upkeep.states import decide, fill, fill_inbox, open_home, signer_of, told


@pytest.fixture
def move(tmp_path: Path, postgres_url: str, schema: str) -> Callable[..., Move]:
    def build(**given: Any) -> Move:
        return Move.of(only(home=tmp_path, **({"database": postgres_url, "database_schema": schema} | given)))

    return build


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with every kind of row."""
    store = open_home(tmp_path)
    fill(store)
    store.close()
    fill_inbox(tmp_path)
    return tmp_path


@pytest.fixture
def arrived(home: Path, postgres_url: str, schema: str) -> Iterator[Callable[[], Any]]:
    opened: list[Any] = []

    def build() -> Any:
        opened.append(open_store(postgres_url, home, schema=schema, signer=signer_of(home)))
        return opened[-1]

    yield build
    for store in opened:
        store.close()


def read_source(home: Path) -> dict[str, Any]:
    """What the source says, though it was left: as it would be if the mark were not there."""
    copy = home / "copy.sqlite"
    copy.write_bytes((home / "aegis.sqlite").read_bytes())
    with sqlite3.connect(copy) as db:
        for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE name LIKE 'moved%' AND type = 'trigger'"
        ).fetchall():
            db.execute(f"DROP TRIGGER {name}")
        db.execute("UPDATE aegis_version SET moved_to = NULL, moved_at = NULL")
        db.execute("PRAGMA user_version=5")
    db.close()
    (home / "copy.sqlite.anchor").write_bytes((home / "aegis.sqlite.anchor").read_bytes())
    store = SqliteStore(copy)
    found = told(store)
    store.close()
    return found


def test_everything_arrives_as_it_was(home: Path, move: Callable[..., Move], arrived: Callable[[], Any]) -> None:
    moved = move().run()
    store = arrived()
    found = store.verify()
    assert (found.head, found.entries, found.unsigned) == (moved.head, moved.entries, 0)
    assert found.keys == signer_of(home).known()
    there = told(store)
    assert there == read_source(home)
    assert len(there["journal"]) == moved.rows["journal"] > 20
    inbox = InboxTables(store._address)
    with sqlite3.connect(home / "inbox.sqlite") as db:
        for table in TABLES:
            order = "1, 2" if table in ("inbox_seen", "inbox_marks") else "1"
            was = db.execute(f"SELECT * FROM {table} ORDER BY {order}").fetchall()
            now = [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in inbox.run(f"SELECT * FROM {table} ORDER BY {order}")]  # fmt: skip
            assert now == was
            assert was
    db.close()
    inbox.close()


def test_it_goes_on_there(move: Callable[..., Move], arrived: Callable[[], Any]) -> None:
    move().run()
    store = arrived()
    last = max(row.action_id for row in store.pending())
    store.answer(last, True, person("bob"))
    store.begin(last, owner="h:1:x")
    store.settle(last, "executed", "c", "")
    store.admit(incident("inc-new"), "n", {})
    key = decide(store, "inc-new", state="awaiting")
    orders = [row["ord"] for row in store._rows("SELECT ord FROM journal ORDER BY ord")]
    assert orders == sorted(set(orders))
    assert store._rows("SELECT ord FROM journal WHERE action_id = ?", (key,))[0][0] == orders[-1]
    assert store.verify().entries == len(store.entries())
    inbox = InboxTables(store._address)
    inbox.run(
        "INSERT INTO inbox_messages (stream, position, native, incident_id, digest, rank, fair, turn, state, attempts, copies,"
        " received_at) VALUES ('s', 'z', '', 'inc-z', 'd', 1, 0, 0, 'waiting', 0, 1, 1)"
    )
    assert inbox.run("SELECT number FROM inbox_messages WHERE incident_id = 'inc-z'")[0][0] == 59  # 58 was the last
    inbox.close()


def test_nobody_goes_on_writing_where_it_was(home: Path, move: Callable[..., Move]) -> None:
    still_open = SqliteStore(home / "aegis.sqlite")
    pending = still_open.pending()[0].action_id
    move().run()
    for attempt in (lambda: open_home(home), lambda: still_open.answer(pending, True, person("bob"))):
        with pytest.raises(StoreError, match=r"moved to postgresql://127\.0\.0\.1.*AEGIS_DATABASE"):
            attempt()
    with pytest.raises(StoreError, match="everything was moved to postgresql"):
        still_open._run("INSERT INTO served_hooks VALUES ('x', 1)")
    still_open.close()
    with (
        sqlite3.connect(home / "inbox.sqlite") as db,
        pytest.raises(sqlite3.IntegrityError, match="was moved to postgresql"),
    ):
        db.execute("UPDATE inbox_messages SET state = 'held'")
    db.close()
    with pytest.raises(StoreError, match="before, at"):
        move().run()
    with pytest.raises(StoreError, match="can't be given up"):
        move().abandon()


def test_a_dry_run_changes_nothing(home: Path, move: Callable[..., Move], postgres_url: str, schema: str) -> None:
    before = {file.name: file.read_bytes() for file in home.iterdir() if file.suffix == ".sqlite"}
    planned = move().plan()
    assert {file.name: file.read_bytes() for file in home.iterdir() if file.suffix == ".sqlite"} == before
    with Address(postgres_url, schema).connect() as db:
        assert db.execute("SELECT to_regnamespace(%s)", (schema,)).fetchone() == (None,)
    moved = move().run()
    assert moved.rows == planned.rows | {table: moved.rows[table] for table in ("ledger_entries", "ledger_checkpoints")}


@pytest.mark.parametrize("table", ["CREATE TABLE mine (a INT)", "CREATE TABLE ledger_meta (origin TEXT)", None])
def test_a_target_that_is_not_empty_is_refused_and_the_source_is_not_touched(
    home: Path, move: Callable[..., Move], postgres_url: str, schema: str, tmp_path: Path, table: str | None
) -> None:
    if table is None:
        open_store(postgres_url, tmp_path / "other", schema=schema).close()
    else:
        with Address(postgres_url, schema).connect() as db:
            db.execute(f"CREATE SCHEMA {schema}; {table}")
    for attempt in (move().plan, move().run):
        with pytest.raises(StoreError, match="is not empty"):
            attempt()
    store = open_home(home)
    assert not store.entries(kind="ledger.moved")
    store.close()


def test_a_ledger_that_is_not_whole_is_not_moved(home: Path, move: Callable[..., Move]) -> None:
    with sqlite3.connect(home / "aegis.sqlite") as db:
        db.execute("DROP TRIGGER ledger_no_delete")
    db.close()
    with pytest.raises(LedgerTampered, match="append-only"):
        move().run()
    with sqlite3.connect(home / "aegis.sqlite") as db:
        assert db.execute("SELECT moved_to FROM aegis_version").fetchall() == [(None,)]
    db.close()


def test_an_action_under_way_in_a_living_process_is_waited_for(
    home: Path, move: Callable[..., Move], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_home(home)
    key = store.approved()[0].action_id
    store.begin(key, owner=this_process())
    monkeypatch.setattr(moving, "this_process", lambda: "somebody else")
    with pytest.raises(StoreError, match="under way in a living process"):
        move().run()
    store.settle(key, "executed", "c", "")
    move().run()
    store.close()


def test_a_password_does_not_belong_on_a_command_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="has a password") as caught:
        Move.of(only(home=tmp_path), "postgresql://a:hunter2@h/d")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SettingsError, match="AEGIS_DATABASE"):
        Move.of(only(home=tmp_path))
    with pytest.raises(StoreError, match="no embedded store"):
        Move.of(only(home=tmp_path), "postgresql://a@127.0.0.1:1/d").plan()


def killed_at(point: str, move: Move) -> int:
    """Run it in a process of its own that is killed there; answers how it ended."""
    child = os.fork()
    if child == 0:
        try:
            _kill_at(point)
            move.run()
        finally:
            os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _kill_at(point: str) -> None:
    from aegis_agents.upkeep import copying, filling

    def die(*_: Any, **__: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    def after(real: Any) -> Any:
        def run(*given: Any, **named: Any) -> None:
            real(*given, **named)
            die()

        return run

    if point == "marked":
        moving.mark_inbox = die
    elif point == "threads":
        moving.Move._copy_threads = after(moving.Move._copy_threads)  # type: ignore[method-assign]
    elif point == "half":
        real = copying._counted

        def some(rows: Any, table: str, done: Any) -> Any:
            for row in real(rows, table, done):
                if table == "ledger_entries" and done[table] == 40:
                    die()
                yield row

        copying._counted = some
    elif point == "inbox":
        filling.statements = die  # type: ignore[assignment]
    elif point == "committed":
        filling.Filled._anchor_here = die  # type: ignore[method-assign]
    elif point == "verified":
        moving.mark_done = die  # type: ignore[assignment]


@pytest.mark.parametrize("point", ["marked", "threads", "half", "inbox", "committed", "verified"])
def test_killed_at_any_point_it_can_be_given_again(
    home: Path, move: Callable[..., Move], arrived: Callable[[], Any], point: str
) -> None:
    assert killed_at(point, move()) == -signal.SIGKILL
    with pytest.raises(StoreError, match=r"being moved to postgresql.*aegis migrate"):
        open_home(home)
    moved = move().run()
    store = arrived()
    assert (store.verify().head, store.verify().entries) == (moved.head, moved.entries)
    assert told(store) == read_source(home)
    assert len(store.entries(kind="ledger.moved")) == 1


def test_one_that_was_cut_off_can_be_given_up_while_nothing_arrived(home: Path, move: Callable[..., Move]) -> None:
    assert killed_at("half", move()) == -signal.SIGKILL
    with pytest.raises(StoreError, match="is being moved to"):
        move(database_schema="another").abandon()
    move().abandon()
    store = open_home(home)
    store.answer(store.pending()[0].action_id, True, person("bob"))
    assert [e.kind for e in store.entries() if e.kind.startswith("ledger.move")] == [
        "ledger.moved",
        "ledger.move_abandoned",
    ]
    store.verify()
    store.close()
    assert killed_at("verified", move()) == -signal.SIGKILL
    with pytest.raises(StoreError, match="finish with"):
        move().abandon()
    move().run()


def test_two_thousand_incidents(
    tmp_path: Path, move: Callable[..., Move], arrived: Callable[[], Any], home: Path
) -> None:
    store = open_home(home)
    with store.transaction(flush=False):
        for number in range(2000):
            store.admit(incident(f"inc-more-{number}"), "n" * 500, {})
    store.close()
    moved = move().run()
    assert moved.rows["intake"] == 2030
    assert arrived().verify().head == moved.head


def test_two_at_once_move_it_once(home: Path, move: Callable[..., Move], arrived: Callable[[], Any]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def run(_: int) -> str:
        try:
            move().run()
        except StoreError as error:
            return str(error)
        return "moved"

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(run, range(2)))
    if "moved" not in said:  # each stood in the other's way: given again, it is done
        assert run(0) == "moved"
    store = arrived()
    assert store.verify().entries == len(store.entries())
    assert told(store) == read_source(home)


def test_text_that_the_target_can_not_hold_is_an_error_of_ours_and_can_be_given_up(
    home: Path, move: Callable[..., Move]
) -> None:
    with sqlite3.connect(home / "inbox.sqlite") as db:
        db.execute("UPDATE inbox_messages SET stream = 'a' || char(0) || 'b' WHERE number = 1")
    db.close()
    with pytest.raises(StoreError, match="inbox_messages can't be copied there"):
        move().run()
    move().abandon()
    open_home(home).close()


def test_one_that_was_given_up_while_it_ran_does_not_say_that_it_is_done(home: Path) -> None:
    """Whoever gave up uses the source again: a copy that counted as well would be a second truth."""
    store = open_home(home)
    with store.transaction():
        mark_store(store._db, "there")
    store._wrote = False
    store.close()
    unmark(home / "aegis.sqlite")
    with pytest.raises(StoreError, match="was given up"):
        mark_done(home / "aegis.sqlite", "there", "now")
    assert standing_of(home / "aegis.sqlite").moved_at is None
    open_home(home).close()
