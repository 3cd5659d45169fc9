"""The ledger: whole, or found out. And one chain however many write."""

from __future__ import annotations

import io
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aegis_agents.errors import AlreadyDecided, InputError, LedgerTampered, StoreError, UnknownAction
from aegis_agents.ledger import SqliteStore, action_id, check_export
from aegis_agents.records import Claim, Decision, Entity, Incident, ProposedAction, Target
from tests.people import person


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "aegis.sqlite"


def filled(file: Path, entries: int = 6) -> None:
    store = SqliteStore(file)
    for number in range(entries):
        store.append("test", None, {"number": number})
    store.close()


def incident(name: str = "inc-1") -> Incident:
    return Incident(
        id=name, source="generic", native_id="n", title="t", observed_at=None, claim=Claim(), facts=(),
        entities=(Entity(kind="ip", value="203.0.113.9"),), digest="0" * 64,
    )  # fmt: skip


def waiting(store: SqliteStore, name: str = "inc-1", state: str = "awaiting") -> str:
    store.admit(incident(name), "{}", {"model": "m@1"})
    target = Target(kind="ip", value="203.0.113.9")
    key = action_id(name, "block_ip", target)
    proposal = ProposedAction(action_id=key, action="block_ip", target=target, reason="r", cites=("f1",))
    verb = "execute" if state == "approved" else "ask"
    store.record_decision(name, proposal, Decision(action_id=key, verb=verb, rule="t", reason="t"), state)  # type: ignore[arg-type]
    return key


def test_a_whole_ledger_verifies_and_exports(file: Path) -> None:
    filled(file)
    store = SqliteStore(file)
    found = store.verify()
    assert found.entries == 6
    out = io.StringIO()
    assert store.export(out) == 6
    assert check_export(out.getvalue().splitlines()) == found
    store.close()


def test_an_exported_line_that_was_changed_is_named(file: Path) -> None:
    filled(file)
    store, out = SqliteStore(file), io.StringIO()
    store.export(out)
    store.close()
    lines = out.getvalue().splitlines()
    lines[3] = lines[3].replace(r"\"number\":2", r"\"number\":9")
    with pytest.raises(LedgerTampered, match="3"):
        check_export(lines)


def _drop_triggers(database: sqlite3.Connection) -> list[str]:
    made = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in made:
        database.execute(f'DROP TRIGGER "{name}"')
    return [sql for _, sql in made]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE ledger_entries SET body = '{\"number\":9}' WHERE seq = 3", "3"),
        ("UPDATE ledger_entries SET at = '2020-01-01T00:00:00.000000+00:00' WHERE seq = 2", "2"),
        ("DELETE FROM ledger_entries WHERE seq = 4", "4"),
        ("DELETE FROM ledger_entries WHERE seq = 6", "6"),
        ("UPDATE ledger_entries SET seq = CASE seq WHEN 2 THEN -3 WHEN 3 THEN -2 ELSE seq END", "2"),
        ("DELETE FROM ledger_entries", "1"),
    ],
)
def test_tampering_is_found_even_with_the_triggers_put_back(file: Path, change: str, named: str) -> None:
    filled(file)
    with sqlite3.connect(file) as database:
        again = _drop_triggers(database)
        database.execute(change)
        database.execute("UPDATE ledger_entries SET seq = -seq WHERE seq < 0")
        for sql in again:
            database.execute(sql)
    store = SqliteStore(file)
    with pytest.raises(LedgerTampered, match=named):
        store.verify()
    store.close()


def test_a_tail_cut_off_together_with_its_count_is_found_by_the_anchor(file: Path) -> None:
    filled(file)
    with sqlite3.connect(file) as database:
        again = _drop_triggers(database)
        database.execute("DELETE FROM ledger_entries WHERE seq > 4")
        database.execute("UPDATE ledger_meta SET count = 4, head = (SELECT hash FROM ledger_entries WHERE seq = 4)")
        for sql in again:
            database.execute(sql)
    store = SqliteStore(file)
    with pytest.raises(LedgerTampered, match="anchor"):
        store.verify()
    store.close()


def test_a_damaged_ledger_is_not_continued(file: Path) -> None:
    filled(file)
    with sqlite3.connect(file) as database:
        _drop_triggers(database)
        database.execute("DELETE FROM ledger_entries WHERE seq = 6")
    store = SqliteStore(file)
    with pytest.raises(LedgerTampered):
        store.append("test", None, {})
    store.close()


def test_the_database_itself_refuses_changes(file: Path) -> None:
    filled(file)
    with sqlite3.connect(file) as database, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        database.execute("UPDATE ledger_entries SET kind = 'x'")


_WRITER = """
import sys
from aegis_agents.ledger import SqliteStore
store = SqliteStore(sys.argv[1])
print("ready", flush=True)
for number in range(int(sys.argv[2])):
    store.append("from-another-process", None, {"number": number})
"""


def test_processes_that_write_at_once_keep_one_chain(file: Path) -> None:
    filled(file, 1)
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(file), "60"], stdout=subprocess.DEVNULL) for _ in range(3)
    ]
    assert [w.wait(timeout=60) for w in writers] == [0, 0, 0]
    store = SqliteStore(file)
    assert store.verify().entries == 181
    store.close()


def test_a_killed_writer_leaves_a_ledger_that_verifies_and_goes_on(file: Path) -> None:
    filled(file, 1)
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(file), "100000"], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.05)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        store = SqliteStore(file)
        before = store.verify().entries
        store.append("after", None, {})
        assert store.verify().entries == before + 1
        store.close()


def test_a_transaction_is_all_or_nothing(file: Path) -> None:
    store = SqliteStore(file)
    with pytest.raises(RuntimeError), store.transaction():  # noqa: PT012 - the error must come after the append
        store.append("test", None, {})
        raise RuntimeError
    assert store.verify().entries == 0
    store.close()


def test_admitting_twice_is_admitting_once(file: Path) -> None:
    store = SqliteStore(file)
    first, again = (
        store.admit(incident(), '{"a": 1}', {"model": "m@1"}),
        store.admit(incident(), "{}", {"model": "m@2"}),
    )
    assert (first.new, again.new) == (True, False)
    assert (again.native, again.pins) == ('{"a": 1}', {"model": "m@1"})
    assert [r.incident_id for r in store.unfinished()] == ["inc-1"]
    store.close()


def test_of_two_answers_one_wins(file: Path) -> None:
    store = SqliteStore(file)
    key = waiting(store)
    results: list[str] = []

    def answer(name: str, approve: bool) -> None:
        try:
            store.answer(key, approve, person(name))
            results.append("won")
        except AlreadyDecided:
            results.append("lost")

    threads = [threading.Thread(target=answer, args=(f"p{i}", i % 2 == 0)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["lost"] * 7 + ["won"]
    store.close()


def test_unknown_actions_and_forged_ids_are_refused(file: Path) -> None:
    store = SqliteStore(file)
    with pytest.raises(UnknownAction):
        store.answer("act-none", True, person("alice"))
    store.admit(incident(), "{}", {})
    forged = ProposedAction(
        action_id="act-0000000000000000",
        action="block_ip",
        target=Target(kind="ip", value="203.0.113.9"),
        reason="r",
        cites=(),
    )
    with pytest.raises(InputError, match="action_id"):
        store.record_decision(
            "inc-1", forged, Decision(action_id=forged.action_id, verb="ask", rule="t", reason="t"), "awaiting"
        )
    store.close()


def test_a_state_above_the_decision_is_refused(file: Path) -> None:
    store = SqliteStore(file)
    store.admit(incident(), "{}", {})
    target = Target(kind="ip", value="203.0.113.9")
    key = action_id("inc-1", "block_ip", target)
    proposal = ProposedAction(action_id=key, action="block_ip", target=target, reason="r", cites=())
    with pytest.raises(InputError, match="approved"):
        store.record_decision("inc-1", proposal, Decision(action_id=key, verb="ask", rule="t", reason="t"), "approved")
    store.close()


def test_usage_counts_what_acted_and_forgets_what_is_old(file: Path, approved: Callable[[SqliteStore], str]) -> None:
    store = SqliteStore(file)
    key = approved(store)
    assert store.usage(datetime.now(UTC) - timedelta(hours=1)).committed == 1
    store.begin(key)
    store.settle(key, "executed", "c", "d")
    used = store.usage(datetime.now(UTC) - timedelta(hours=1))
    assert (used.actions, used.committed, used.targets) == (1, 0, (Target(kind="ip", value="203.0.113.9"),))
    assert store.usage(datetime.now(UTC) + timedelta(seconds=1)).actions == 0
    store.close()


@pytest.fixture
def approved() -> Callable[[SqliteStore], str]:
    return lambda store: waiting(store, state="approved")


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    wrong = tmp_path / "aegis.sqlite"
    wrong.write_text("this is not a database, " * 100)
    with pytest.raises(StoreError, match=r"aegis\.sqlite"):
        SqliteStore(wrong)
