"""The database on bad days: away, stuck, read-only, full. What is decided fails closed, and nothing is lost."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.checkpoints import open_checkpointer
from aegis_agents.errors import LedgerTampered, StoreError
from aegis_agents.ledger import SqliteStore
from aegis_agents.ledger.opening import open_store
from aegis_agents.ledger.postgres import PostgresStore
from tests.graph.conftest import ATTACK, FakeFirewall, FakeModel, firewall, intel_home  # noqa: F401 - fixtures
from tests.ledger.ledgers import decided, incident, killed
from tests.ledger.postgres_server import Server, running, schema, why_not  # noqa: F401 - a fixture
from tests.people import person
from tests.upkeep.states import open_home

ALICE = person("alice")


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    if why := why_not():
        pytest.skip(why)
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    with running() as found:
        yield found


@pytest.fixture
def server(own_server: Server) -> Server:
    """A server of these tests' own, to be ill-treated; each works in a schema of its own."""
    if own_server._process is None:
        own_server.start()
    return own_server


# SQLite


@pytest.fixture
def impatient(tmp_path: Path, firewall: FakeFirewall, intel_home: Any) -> Iterator[Callable[[], Aegis]]:
    """An Aegis over a file, which waits for another process no longer than a moment."""
    made: list[Aegis] = []

    def build() -> Aegis:
        store = SqliteStore(tmp_path / "aegis.sqlite", busy_timeout_s=0.05)
        made.append(Aegis(model=FakeModel(), intel=intel_home, tools=[firewall], home=tmp_path, ledger=store))
        return made[-1]

    yield build
    for aegis in made:
        aegis.store.close()
        aegis.close()


def stuck(file: Path) -> sqlite3.Connection:
    """A process that began to write and never ends."""
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    db.execute("BEGIN IMMEDIATE")
    return db


def test_a_file_that_a_stuck_process_holds(
    tmp_path: Path, impatient: Callable[[], Aegis], firewall: FakeFirewall
) -> None:
    aegis = impatient()
    first = next(a for a in aegis.investigate(ATTACK).actions if a.action == "block_ip")
    with closing(stuck(tmp_path / "aegis.sqlite")):
        with pytest.raises(StoreError, match=r"aegis\.sqlite: database is locked"):  # at start
            SqliteStore(tmp_path / "aegis.sqlite", busy_timeout_s=0.05)
        with pytest.raises(StoreError, match="locked"):  # in the middle
            aegis.investigate(ATTACK | {"event_id": "b"})
        with pytest.raises(StoreError, match="locked"):  # during an approval
            aegis.approve(first.action_id)
        assert [row.action_id for row in aegis.pending()] == [row.action_id for row in aegis.pending()]
        assert first.action_id in {row.action_id for row in aegis.pending()}  # reading goes on
    assert firewall.calls == []
    assert aegis.approve(first.action_id).outcome == "executed"
    assert aegis.investigate(ATTACK | {"event_id": "b"}).verdict == "true_positive"
    aegis.store.verify()


def test_a_file_that_is_locked_between_intent_and_outcome_leaves_the_intent(
    tmp_path: Path, impatient: Callable[[], Aegis], firewall: FakeFirewall, monkeypatch: pytest.MonkeyPatch
) -> None:
    aegis = impatient()
    block = next(a for a in aegis.investigate(ATTACK).actions if a.action == "block_ip")
    real, holding = firewall.apply, []

    def apply(*given: Any, **named: Any) -> str:
        done = real(*given, **named)
        holding.append(stuck(tmp_path / "aegis.sqlite"))
        return done

    monkeypatch.setattr(firewall, "apply", apply)
    with pytest.raises(StoreError, match="locked"):
        aegis.approve(block.action_id)
    for db in holding:
        db.close()
    monkeypatch.undo()
    assert aegis.store.action(block.action_id).state == "intent"
    aegis.recover()
    assert aegis.store.action(block.action_id).state == "executed"
    assert len(firewall.calls) == 1
    aegis.store.verify()


@pytest.mark.parametrize("left", [0.02, 0.5, 0.97])
def test_a_file_that_was_cut_off(tmp_path: Path, left: float) -> None:
    store = open_home(tmp_path)
    for number in range(60):
        store.admit(incident(f"inc-{number}"), "n" * 1000, {})
    store.close()
    file = tmp_path / "aegis.sqlite"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * left)])
    with pytest.raises((StoreError, LedgerTampered)) as caught:  # noqa: PT012 - it is found at the latest by looking
        damaged = open_home(tmp_path)
        try:
            damaged.append("more", None, {})
            damaged.verify()
        finally:
            killed(damaged)
    assert "Traceback" not in str(caught.value)


def test_a_write_ahead_log_that_was_lost_is_found_by_the_anchor(tmp_path: Path) -> None:
    store = open_home(tmp_path)
    key = decided(store, "inc-1", "approved")
    store._run("PRAGMA wal_checkpoint(TRUNCATE)")
    copy = (tmp_path / "aegis.sqlite").read_bytes()
    store.begin(key, owner="h:1:x")
    killed(store)
    for tail in ("-wal", "-shm"):
        (tmp_path / f"aegis.sqlite{tail}").unlink(missing_ok=True)
    (tmp_path / "aegis.sqlite").write_bytes(copy)
    again = open_home(tmp_path)
    assert again.action(key).state == "approved"  # as if it had never been begun
    with pytest.raises(LedgerTampered, match="set back"):
        again.begin(key, owner="h:2:x")
    with pytest.raises(LedgerTampered, match="the anchor knows"):
        again.verify()
    again.close()


# PostgreSQL


@pytest.fixture
def on(tmp_path: Path, firewall: FakeFirewall, intel_home: Any, schema: str) -> Iterator[Callable[[str], Aegis]]:
    """An Aegis over a server."""
    made: list[Aegis] = []

    def build(url: str) -> Aegis:
        store = open_store(url, tmp_path, schema=schema)
        saver = open_checkpointer(tmp_path / "unused", url, schema=schema)
        made.append(
            Aegis(
                model=FakeModel(), intel=intel_home, tools=[firewall], home=tmp_path, ledger=store, checkpointer=saver
            )
        )
        return made[-1]

    yield build
    for aegis in made:
        aegis.store.close()
        aegis.graph.checkpointer.conn.close()
        aegis.close()


def test_a_server_that_is_away_at_the_start(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    url = "postgresql://aegis:hunter2@127.0.0.1:9/soc"
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:9/soc .*can't be opened") as caught:
        open_store(url, tmp_path)
    assert "hunter2" not in str(caught.value)
    with Aegis(home=tmp_path, database=url) as aegis, pytest.raises(StoreError, match="can't be opened"):
        aegis.investigate(ATTACK)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # psycopg_pool's own, of connections that the server dropped
def test_a_server_that_goes_and_comes_back(server: Server, on: Callable[[str], Aegis], firewall: FakeFirewall) -> None:
    aegis = on(server.url)
    first = next(a for a in aegis.investigate(ATTACK).actions if a.action == "block_ip")
    server.crash()
    for attempt in (
        lambda: aegis.approve(first.action_id),
        lambda: aegis.investigate(ATTACK | {"event_id": "b"}),
        aegis.pending,
    ):
        with pytest.raises(StoreError) as caught:
            attempt()
        assert "postgresql://127.0.0.1" in str(caught.value) or "checkpoints" in str(caught.value)
    assert firewall.calls == []
    server.start()
    assert aegis.approve(first.action_id).outcome == "executed"
    assert aegis.investigate(ATTACK | {"event_id": "b"}).verdict == "true_positive"
    assert len(firewall.calls) == 1
    aegis.store.verify()


def test_a_server_that_failed_over_and_is_read_only(server: Server, tmp_path: Path, schema: str) -> None:
    store = PostgresStore(server.url, anchor=tmp_path / "anchor", schema=schema)
    key = decided(store, "inc-1")
    store.answer(key, True, ALICE)
    before = store.verify()
    standby = server._folder / "data/standby.signal"
    server.crash()
    standby.touch()
    if server._user:
        shutil.chown(standby, server._user)
    server.start()
    for attempt in (lambda: store.begin(key, owner="h:1:x"), lambda: store.admit(incident("inc-2"), "n", {})):
        with pytest.raises(StoreError, match="read-only transaction"):
            attempt()
    assert store.action(key).state == "approved"  # reading goes on, and verifies
    assert store.verify() == before
    with closing(store._address.connect()) as db:
        db.execute("SELECT pg_promote(true, 30)")
    assert store.begin(key, owner="h:1:x").row.state == "intent"
    assert store.verify().entries == before.entries + 1
    store.close()


@pytest.fixture
def tiny(server: Server) -> Iterator[str]:
    """The address of a server whose tables lie on a disk of 3 MB."""
    if os.getuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small disk can be mounted by root alone")
    folder = tempfile.mkdtemp(prefix="aegis-tiny-", dir="/tmp")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        Path(folder).rmdir()
        pytest.skip(f"a small disk can't be mounted here: {made.stderr.decode().strip()}")
    try:
        if server._user:
            shutil.chown(folder, server._user)
        import psycopg

        with psycopg.connect(server.url, autocommit=True) as db:
            db.execute(f"CREATE TABLESPACE tiny LOCATION '{folder}'")
        yield f"{server.url}?options=-c%20default_tablespace%3Dtiny"
    finally:
        server.crash()
        subprocess.run(["umount", folder], check=True)
        Path(folder).rmdir()


def test_a_server_whose_disk_is_full(tiny: str, tmp_path: Path, schema: str) -> None:
    store = PostgresStore(tiny, anchor=tmp_path / "anchor", schema=schema)
    key = decided(store, "inc-1")
    store.answer(key, True, ALICE)
    taken = 0
    with pytest.raises(StoreError, match="No space left on device"):  # noqa: PT012 - whichever is the one too many
        for number in range(2, 500):
            store.admit(incident(f"inc-{number}"), os.urandom(10_000).hex(), {})
            taken = number
    assert taken > 2
    found = store.verify()  # what was answered for is there, and nothing half
    assert {row.incident_id for row in store.unfinished()} == {f"inc-{n}" for n in range(1, taken + 1)}
    with pytest.raises(StoreError, match="No space left"):
        store.admit(incident("inc-last"), os.urandom(30_000).hex(), {})
    assert store.action(key).state == "approved"
    assert store.verify() == found
    store.close()
