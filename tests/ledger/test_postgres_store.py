"""The store on PostgreSQL: the same answers as SQLite, however many write and wherever it is opened."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import AlreadyDecided, LedgerError, SettingsError, StoreError
from aegis_agents.ledger import SqliteStore, action_id
from aegis_agents.ledger.opening import open_store
from aegis_agents.ledger.postgres import PostgresStore
from aegis_agents.records import Decision, Entity, ProposedAction, Target
from tests.ledger.ledgers import case_of, decided, incident
from tests.ledger.postgres_server import cut, open_pg, pg, postgres_url, schema  # noqa: F401 - fixtures
from tests.people import person

Open = Callable[..., PostgresStore]


def test_it_answers_what_sqlite_answers(pg: PostgresStore, tmp_path: Path) -> None:
    """The same calls, hostile text in each place that takes text, give the same rows, ids and entries."""
    hostile = "x\x00y \x1a %s ? ' -- \u202e 🦊"
    answers = []
    lite = SqliteStore(tmp_path / "aegis.sqlite")
    for one in (pg, lite):
        given = incident("inc-1").model_copy(
            update={"title": hostile, "entities": (Entity(kind="user", value=hostile),), "native_id": hostile}
        )
        one.admit(given, hostile + "\ud800", {"model": hostile}, owner="h:1:x")
        target = Target(kind="user", value=hostile)
        key = action_id("inc-1", "disable_user", target)
        proposal = ProposedAction(action_id=key, action="disable_user", target=target, reason=hostile, cites=("f1",))
        decision = Decision(
            action_id=key,
            verb="ask",
            rule="t",
            reason=hostile,
            inputs={"asset.tier": "standard", "asset.groups": "a b"},
        )
        one.record_decision("inc-1", proposal, decision, "awaiting")
        one.answer(key, True, person("alice"), hostile)
        one.begin(key, owner="h:1:x")
        one.settle(key, "executed", "c", hostile)
        one.finish("inc-1", case_of("inc-1"))
        assert one.holders("disable_user", target) == [key]
        usage = one.usage(one.action(key).created_at)
        row = one.action(key).model_dump(exclude={"created_at", "updated_at", "begun_at", "answered_at"})
        entries = [(e.kind, e.incident_id, e.body) for e in one.entries() if e.kind != "ledger.anchored"]
        taken = one.intake("inc-1")
        assert taken is not None
        answers.append((row, entries, taken.native, taken.incident, taken.pins, usage.model_dump(exclude={"since"})))
    lite.close()
    assert answers[0] == answers[1]
    assert answers[0][0]["proposal"]["target"]["value"] == hostile
    assert pg.verify().entries == len(pg.entries())


def test_an_incident_that_is_nobodys_is_claimed_once(pg: PostgresStore) -> None:
    pg.admit(incident(), "{}", {}, owner="a:1:x")
    assert pg.claim("inc-1", "b:2:y", "nobody") is False
    assert pg.claim("inc-1", "b:2:y", "a:1:x") is True
    assert pg.claim("inc-1", "c:3:z", "a:1:x") is False
    assert pg.entries(kind="intake.taken_over")[0].body == {"owner": "b:2:y", "held_by": "a:1:x"}
    pg.finish("inc-1", case_of("inc-1"))
    assert pg.claim("inc-1", "c:3:z", "b:2:y") is False


# many writers


def test_many_threads_and_stores_keep_one_chain(open_pg: Open) -> None:
    stores = [open_pg(), open_pg(), open_pg("another-machine")]

    def write(one: PostgresStore) -> None:
        for number in range(15):
            with one.transaction():
                one.append("test", None, {"number": number})
                one.append("test", None, {"number": number})

    threads = [threading.Thread(target=write, args=(one,)) for one in stores for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in stores:
        assert one.verify().entries == 6 * 15 * 2 + 1  # and one that the second machine came


_WRITER = """
import sys
from aegis_agents.ledger.postgres import PostgresStore
store = PostgresStore(sys.argv[1], anchor=sys.argv[3], schema=sys.argv[2])
print("ready", flush=True)
for number in range(int(sys.argv[4])):
    with store.transaction():
        store.append("from-another-process", None, {"number": number})
        store.append("from-another-process", None, {"number": number})
"""


def test_processes_keep_one_chain_and_a_killed_one_leaves_whole_commits(
    open_pg: Open, postgres_url: str, schema: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", _WRITER, postgres_url, schema, str(tmp_path / "anchor"), "100000"]
    pg = open_pg()
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]

    def count() -> int:
        return int(pg._rows("SELECT count FROM ledger_meta")[0][0])

    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
        for writer in writers:
            before = count()
            while count() < before + 10:
                assert writer.poll() is None
            writer.kill()
            writer.wait()
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    found = pg.verify().entries
    assert found > 0
    assert found % 2 == 0
    pg.append("after", None, {})
    assert pg.verify().entries == found + 1


def test_of_two_answers_one_wins(open_pg: Open) -> None:
    stores = [open_pg() for _ in range(4)]
    key = decided(stores[0], "inc-1")
    won, lost = [], []

    def answer(one: PostgresStore, name: str) -> None:
        try:
            won.append(one.answer(key, True, person(name)))
        except AlreadyDecided:
            lost.append(name)

    threads = [threading.Thread(target=answer, args=(one, f"p{n}")) for n, one in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 3)


def test_a_writer_that_waits_too_long_says_so_and_changes_nothing(open_pg: Open) -> None:
    one, other = open_pg(), open_pg(busy_timeout_s=0.1)
    with one.transaction():
        one.append("test", None, {})
        with pytest.raises(StoreError, match="lock timeout"):
            other.append("test", None, {})
        assert other.entries() == []  # readers wait for nobody
    other.append("test", None, {})
    assert one.verify().entries == 2


def test_ledgers_in_one_database_do_not_wait_for_each_other(open_pg: Open, schema: str) -> None:
    one, other = open_pg(), open_pg("other", schema=f"{schema}_b", busy_timeout_s=0.1)
    with one.transaction():
        one.append("one", None, {})
        other.append("other", None, {})
    assert [e.kind for e in one.entries()] == ["one"]
    assert [e.kind for e in other.entries()] == ["other"]


# opening


def test_no_address_is_sqlite_and_an_address_is_postgres(postgres_url: str, schema: str, tmp_path: Path) -> None:
    lite, pg = open_store(None, tmp_path), open_store(postgres_url, tmp_path, schema=schema)
    pg.append("test", None, {})
    assert (type(lite).__name__, type(pg).__name__) == ("SqliteStore", "PostgresStore")
    assert (tmp_path / "aegis.sqlite").exists()
    assert len(list(tmp_path.glob("postgres-*.anchor"))) == 1
    assert pg.verify().entries == 1
    lite.close()
    pg.close()
    pg.close()


@pytest.mark.parametrize(
    "url", ["", "aegis.sqlite", "mysql://me:hunter2@h/d", "postgresql://me:hunter2@h:port/d", "postgresql://h/d?hunter2=1",
            "host=h password=hunter2", "postgresql://me:hunter2@[::/d"],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_repeating_it(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^database: not an address") as refused:
        open_store(url, tmp_path)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_errors_name_the_place_and_never_the_password(tmp_path: Path) -> None:
    url = "postgresql://me:hunter%202@127.0.0.1:1/d"
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/d") as refused:
        PostgresStore(url, anchor=tmp_path / "a")
    assert "hunter" not in f"{refused.value!r} {refused.value.__cause__!r}"


@pytest.mark.parametrize("name", ["", "Aegis", "a b", 'a"; DROP TABLE x; --', "pg_mine", "a" * 64, "1a"])
def test_a_schema_is_a_plain_name(name: str, postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="database_schema"):
        open_store(postgres_url, tmp_path, schema=name)


@pytest.mark.parametrize("name", ["order", "_x", "user", "schema"])
def test_a_schema_may_be_a_word_of_sql(name: str, open_pg: Open) -> None:
    pg = open_pg(name, schema=name)
    pg.append("test", None, {})
    assert pg.verify().entries >= 1


def test_without_the_extra_it_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r"aegis-soc-agents\[postgres\]"):
        open_store("postgresql://h/d", tmp_path)


def test_a_newer_version_is_refused(pg: PostgresStore, open_pg: Open) -> None:
    pg._run("UPDATE aegis_version SET version = 99, oldest = 6")
    with pytest.raises(StoreError, match="newer version"):
        open_pg()


def test_a_database_that_can_not_hold_every_text_is_refused(postgres_url: str, tmp_path: Path) -> None:
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS latin")
        admin.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(StoreError, match="LATIN1"):
        PostgresStore(postgres_url.rsplit("/", 1)[0] + "/latin", anchor=tmp_path / "a")


def test_a_closed_store_verifies_no_more_and_says_so(pg: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(**_: Any) -> Any:
        raise StoreError("the server is down")

    monkeypatch.setattr(pg._address, "connect", unreachable)
    with pytest.raises(LedgerError, match="the server is down"):
        pg.verify()


def test_a_fork_must_open_its_own(pg: PostgresStore) -> None:
    pg._process = -1  # as a forked child sees it
    with pytest.raises(StoreError, match="fork"):
        pg.append("test", None, {})
    pg._process = os.getpid()


def test_reading_a_long_ledger_holds_a_window_of_it(pg: PostgresStore) -> None:
    """More than the server hands out at once."""
    with pg.transaction():
        for number in range(1100):
            pg.append("test", None, {"number": number})
    assert pg.verify().entries == 1100
