"""Upgrading the tables on PostgreSQL: by alembic, by hand, and beside workers of the version before."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import StoreError
from aegis_agents.inbox.postgres import PostgresDatabase as InboxTables
from aegis_agents.ledger.postgres import PostgresStore, revision_of
from aegis_agents.ledger.postgres_connection import Address
from aegis_agents.ledger.schema import VERSION
from aegis_agents.ledger.served import Served
from aegis_agents.upkeep.revisions import Revisions
from tests.ledger.ledgers import decided
from tests.ledger.postgres_server import open_pg, postgres_url, schema  # noqa: F401 - fixtures
from tests.ledger.version_4 import OldPostgres
from tests.people import person

Open = Callable[..., PostgresStore]

_SHAPE = {
    "columns": "SELECT table_name, column_name, ordinal_position, column_default, is_nullable, data_type, collation_name,"
    " is_identity, identity_generation FROM information_schema.columns WHERE table_schema = %s ORDER BY 1, 3",
    "constraints": "SELECT c.conrelid::regclass::text, c.conname, pg_get_constraintdef(c.oid) FROM pg_constraint c"
    " WHERE c.connamespace = %s::regnamespace AND c.contype <> 'n' ORDER BY 1, 2",
    "indexes": "SELECT indexname, replace(indexdef, schemaname || '.', '') FROM pg_indexes WHERE schemaname = %s ORDER BY 1",
    "triggers": "SELECT t.tgname, t.tgenabled::text, t.tgtype, p.prosrc FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
    " JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal AND c.relnamespace = %s::regnamespace ORDER BY 1",
    "version": None,
}  # fmt: skip


@pytest.fixture
def address(postgres_url: str, schema: str) -> Address:
    return Address(postgres_url, schema)


@pytest.fixture
def old(address: Address, postgres_url: str, schema: str, tmp_path: Path) -> Iterator[OldPostgres]:
    """A store that code of version 4 made and has open."""
    store = OldPostgres(postgres_url, anchor=tmp_path / "old.anchor", schema=schema)
    store.append("test", None, {})
    yield store
    store.close()


def shape(address: Address) -> dict[str, Any]:
    """All that can be seen of the tables of a schema."""
    with address.connect() as db:
        db.execute(f"SET search_path TO {address.schema}")
        found = {what: db.execute(sql, (address.schema,)).fetchall() for what, sql in _SHAPE.items() if sql}
        found["version"] = db.execute("SELECT version, oldest FROM aegis_version").fetchall()
        found["stamp"] = db.execute("SELECT version_num FROM alembic_version").fetchall()
    return found


def with_all_tables(address: Address, store: PostgresStore) -> dict[str, Any]:
    Served(store)
    InboxTables(address).close()
    return shape(address)


def test_tables_that_were_upgraded_are_those_that_are_made_new(
    address: Address, old: OldPostgres, open_pg: Open, schema: str, postgres_url: str
) -> None:
    assert Revisions(address).upgrade() == ("0004", "0005")
    new = open_pg("elsewhere", schema=f"{schema}_new")
    made = with_all_tables(Address(postgres_url, f"{schema}_new"), new)
    assert with_all_tables(address, old) == made
    assert made["stamp"] == [(revision_of(VERSION),)]
    assert open_pg().verify().entries > 0


def test_the_newest_revision_is_the_version_of_the_code(address: Address, open_pg: Open) -> None:
    open_pg()
    steps = Revisions(address).history()
    assert [step.number for step in steps] == ["0004", "0005"]
    assert steps[-1].number == revision_of(VERSION)
    assert all(step.taken for step in steps)
    assert Revisions(address).upgrade() == ("0005", "0005")


def test_a_schema_that_is_behind_is_refused_with_the_command_and_left_as_it_is(old: OldPostgres, open_pg: Open) -> None:
    before = old.verify()
    with pytest.raises(StoreError, match=r"version 4.*aegis database upgrade.*nothing was changed"):
        open_pg()
    assert old.verify() == before


def test_the_sql_for_a_dba_makes_the_same(address: Address, old: OldPostgres, open_pg: Open, postgres_url: str) -> None:
    out = io.StringIO()
    Revisions(address).sql(out, "0004:0005")
    assert "aegis@" not in out.getvalue()  # no address, and so no password
    with address.connect() as db:
        db.execute(out.getvalue())
    with pytest.raises(StoreError, match="not 0004"):
        Revisions(address).stamp("0004")
    Revisions(address).stamp("0005")
    by_hand = shape(address)
    whole = io.StringIO()
    other = Address(postgres_url, f"{address.schema}_whole")
    Revisions(other).sql(whole, "head")
    with other.connect() as db:
        db.execute(whole.getvalue())
    assert shape(other) == by_hand
    assert open_pg().verify().entries > 0


def test_an_upgrade_that_fails_in_the_middle_changes_nothing(
    address: Address, old: OldPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(dialect: str) -> Iterator[str]:
        yield "CREATE TABLE inbox_messages (number BIGINT)"
        yield "CREATE TABLE inbox_messages (number BIGINT)"

    monkeypatch.setattr("aegis_agents.inbox.schema.statements", broken)
    with pytest.raises(StoreError, match="inbox_messages"):
        Revisions(address).upgrade()
    monkeypatch.undo()
    assert Revisions(address).current() == "0004"
    assert old.verify().entries > 0
    assert Revisions(address).upgrade() == ("0004", "0005")


def test_there_is_nothing_to_upgrade_where_there_are_no_tables(address: Address) -> None:
    assert Revisions(address).current() is None
    with pytest.raises(StoreError, match="no tables"):
        Revisions(address).upgrade()


def test_a_wrong_address_is_named_without_its_password() -> None:
    with pytest.raises(StoreError) as caught:
        Revisions(Address("postgresql://aegis:hunter2hunter2@127.0.0.1:1/x")).current()
    assert "127.0.0.1:1" in str(caught.value)
    assert "hunter2" not in str(caught.value)


# workers of two versions


def test_an_approval_that_waits_survives_an_upgrade_beneath_an_old_worker(
    address: Address, old: OldPostgres, open_pg: Open
) -> None:
    first, second = decided(old, "inc-1"), decided(old, "inc-2")
    Revisions(address).upgrade()
    third = decided(old, "inc-3")  # the old worker goes on: the change only added
    new = open_pg()
    assert {row.action_id for row in new.pending()} == {first, second, third}
    new.answer(first, True, person("alice"))
    assert new.begin(first, owner="h:1:x").row.state == "intent"
    with pytest.raises(Exception, match="begun before"):
        old.begin(first, owner="h:2:x")
    new.settle(first, "executed", "c", "")
    old.answer(second, False, person("bob"))
    assert new.action(second).state == "denied"
    assert new.verify().head == old.verify().head


def test_an_old_worker_that_starts_after_the_upgrade_refuses(
    address: Address, old: OldPostgres, postgres_url: str, schema: str, tmp_path: Path
) -> None:
    Revisions(address).upgrade()
    with pytest.raises(StoreError, match="newer version"):
        OldPostgres(postgres_url, anchor=tmp_path / "third", schema=schema)


def test_a_worker_meets_tables_of_a_later_version(open_pg: Open) -> None:
    store, other = open_pg(), open_pg()
    key = decided(store, "inc-1")
    other._run("UPDATE aegis_version SET version = 6, oldest = 5")  # an upgrade that only added
    assert store.answer(key, True, person("alice")).state == "approved"
    assert open_pg().verify().entries == store.verify().entries  # and this version may still start
    other._run("UPDATE aegis_version SET version = 7, oldest = 6")  # one that did not
    before = store.verify()
    with pytest.raises(StoreError, match=r"newer version \(7.*upgrade Aegis here; nothing was changed"):
        store.begin(key, owner="h:1:x")
    with pytest.raises(StoreError, match="newer version"):
        open_pg()
    assert store.verify() == before
    assert store.action(key).state == "approved"


def test_two_upgrades_at_once_are_one(address: Address, old: OldPostgres) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        done = sorted(pool.map(lambda _: Revisions(address).upgrade(), range(2)))
    assert done == [("0004", "0005"), ("0005", "0005")]
    assert old.verify().entries > 0
