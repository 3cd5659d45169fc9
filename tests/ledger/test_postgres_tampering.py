"""Tampering on PostgreSQL is refused, or found."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from aegis_agents.errors import LedgerTampered, StoreError
from aegis_agents.ledger.postgres import PostgresStore
from aegis_agents.ledger.postgres_guards import POSTGRES_GUARDS
from tests.ledger.ledgers import START, Clock, finished, signer_in
from tests.ledger.postgres_server import postgres_url, schema  # noqa: F401 - fixtures
from tests.people import person


@pytest.fixture
def store(postgres_url: str, schema: str, tmp_path: Path) -> Iterator[PostgresStore]:
    found = PostgresStore(
        postgres_url, anchor=tmp_path / "anchor", schema=schema, signer=signer_in(tmp_path, every=4), clock=Clock()
    )
    for number in range(10):
        found.append("test", f"inc-{number % 3}", {"number": number})
    yield found
    found._wrote = False
    found.close()


def unguarded(store: PostgresStore, *statements: str) -> None:
    """What an owner of the tables can do: take the guards away, change, and put them back as they were."""
    for table in ("ledger_entries", "ledger_checkpoints"):
        store._run(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for statement in statements:
        store._run(statement)
    for name in POSTGRES_GUARDS:
        table = "ledger_entries" if name.startswith("ledger") else "ledger_checkpoints"
        store._run(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def test_signed_checkpoints_verify(store: PostgresStore) -> None:
    found = store.verify()
    assert (found.entries, found.checkpoints, found.unsigned) == (11, 2, 2)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE ledger_entries SET kind = 'x'",
        "UPDATE ledger_entries SET body = 'x'",
        "UPDATE ledger_entries SET body = NULL",
        "UPDATE ledger_entries SET body = NULL, salt = NULL, kind = 'x'",
        "DELETE FROM ledger_entries",
        "DELETE FROM ledger_entries WHERE seq = 11",
        "TRUNCATE ledger_entries",
        "TRUNCATE ledger_checkpoints",
        "INSERT INTO ledger_entries SELECT seq + 100, at, kind, incident_id, body, salt, body_sha256, prev, hash FROM ledger_entries",
        "INSERT INTO ledger_entries SELECT * FROM ledger_entries ON CONFLICT (seq) DO UPDATE SET kind = 'x'",
        "UPDATE ledger_checkpoints SET note = note",
        "DELETE FROM ledger_checkpoints",
        "INSERT INTO ledger_checkpoints VALUES (99, 'x')",
        "WITH gone AS (DELETE FROM ledger_entries RETURNING seq) SELECT * FROM gone",
    ],
)  # fmt: skip
def test_the_database_itself_refuses_changes(store: PostgresStore, sql: str) -> None:
    for role in ("origin", "replica"):  # replication roles switch plain triggers off
        store._run(f"SET session_replication_role = '{role}'")
        with pytest.raises(StoreError, match="append-only"):
            store._run(sql)
    store._run("SET session_replication_role = 'origin'")
    assert store.verify().entries == 11


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE ledger_entries SET kind = 'other' WHERE seq = 3", "entry 3"),
        ("UPDATE ledger_entries SET body = '{\"number\":9}' WHERE seq = 3", "entry 3"),
        ("DELETE FROM ledger_entries WHERE seq = 4", "entry 4 is missing"),
        ("DELETE FROM ledger_entries WHERE seq > 10", "entry 11 is missing"),
        ("UPDATE ledger_entries SET body = NULL, salt = NULL WHERE seq = 3", "entry 3 was removed, and no"),
        ("UPDATE ledger_meta SET count = 10", "entry 11 was added"),
        ("DELETE FROM ledger_meta", "lost its origin"),
        ("DELETE FROM ledger_checkpoints WHERE number = 2", "checkpoint 2 is missing"),
        ("UPDATE ledger_entries SET seq = 1000 - seq WHERE seq IN (2, 998)", "entry 2"),
    ],
)  # fmt: skip
def test_what_got_past_the_guards_is_found(store: PostgresStore, change: str, named: str) -> None:
    unguarded(store, change)
    with pytest.raises(LedgerTampered, match=named):
        store.verify()


def test_a_tail_cut_off_with_its_count_is_found_by_this_machines_anchor(store: PostgresStore) -> None:
    unguarded(
        store, "DELETE FROM ledger_entries WHERE seq = 11",
        "UPDATE ledger_meta SET count = 10, head = (SELECT hash FROM ledger_entries WHERE seq = 10)",
    )  # fmt: skip
    with pytest.raises(LedgerTampered, match="anchor knows 11"):
        store.verify()


def test_a_damaged_ledger_is_not_continued(store: PostgresStore) -> None:
    unguarded(store, "DELETE FROM ledger_entries WHERE seq = 11")
    with pytest.raises(LedgerTampered, match="tail"):
        store.append("test", None, {})


@pytest.mark.parametrize("name", list(POSTGRES_GUARDS))
@pytest.mark.parametrize("how", ["dropped", "off", "not always", "hollowed out"])
def test_a_guard_that_is_gone_or_guards_nothing_is_found(store: PostgresStore, name: str, how: str) -> None:
    table = "ledger_entries" if name.startswith("ledger") else "ledger_checkpoints"
    assert store.verify().entries == 11
    store._run(
        {
            "dropped": f"DROP TRIGGER {name} ON {table}",
            "off": f"ALTER TABLE {table} DISABLE TRIGGER {name}",
            "not always": f"ALTER TABLE {table} ENABLE TRIGGER {name}",
            "hollowed out": f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN RETURN NEW; END'",
        }[how]
    )
    with pytest.raises(LedgerTampered, match=name):
        store.verify()


def test_a_guard_that_asks_first_or_stands_elsewhere_is_found(store: PostgresStore) -> None:
    store._run("DROP TRIGGER ledger_no_delete ON ledger_entries")
    store._run(
        "CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger_entries FOR EACH ROW WHEN (OLD.seq < 0)"
        " EXECUTE FUNCTION ledger_no_delete(); ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER ledger_no_delete"
    )
    with pytest.raises(LedgerTampered, match="ledger_no_delete"):
        store.verify()


def test_each_machine_has_an_anchor_and_a_new_one_leaves_a_trace(
    store: PostgresStore,
    postgres_url: str,
    schema: str,
    tmp_path: Path,
) -> None:
    other = PostgresStore(postgres_url, anchor=tmp_path / "there" / "anchor", schema=schema)
    assert [e.kind for e in other.entries(after=11)] == ["ledger.anchored"]
    assert other.verify(keys=()).entries == store.verify().entries == 12
    other.append("test", None, {})
    other.close()
    assert store.verify().entries == 13  # this machine's anchor is behind, which is no lie
    (tmp_path / "anchor").unlink()
    with pytest.raises(LedgerTampered, match="missing"):
        store.verify()


def test_retention_leaves_a_ledger_that_verifies(store: PostgresStore) -> None:
    finished(store, "inc-9")
    store._clock.now = START + timedelta(days=40)  # type: ignore[attr-defined]
    pruned = store.prune(START + timedelta(days=30), person("alice"))
    assert pruned.entries > 10
    assert pruned.incidents == ("inc-9",)
    assert store.verify().removed == pruned.entries
    row = store.intake("inc-9")
    assert row is not None
    assert "secret" not in row.native + row.incident.title
