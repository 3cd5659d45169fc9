"""A store of an older version: brought here whole, or left as it is."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import LedgerTampered
from aegis_agents.ledger import SqliteStore, action_id, check_export
from aegis_agents.records import Decision, ProposedAction, Target
from tests.ledger.ledgers import case_of, incident, open_in
from tests.ledger.old_stores import OldStore

TARGET = Target(kind="ip", value="203.0.113.9")
ACT = action_id("inc-1", "block_ip", TARGET)
WHEN = "2026-01-01T00:00:00.000000+00:00"


def old_store(home: Path, version: int) -> OldStore:
    """One incident, whose block is in effect and held, and another that was never decided."""
    old = OldStore(home / "aegis.sqlite", version)
    for name in ("inc-1", "inc-2"):
        taken = {"incident": incident(name).model_dump_json(), "native": b'{"a": 1}', "pins": '{"model":"m@1"}'}
        old.insert("intake", incident_id=name, at=WHEN, **taken)
        old.append("intake.admitted", name, {"digest": "0" * 64, "text": "é \ud800"})
    proposal = ProposedAction(action_id=ACT, action="block_ip", target=TARGET, reason="r", cites=("f1",))
    inputs = {"asset.tier": "standard", "asset.groups": "dmz web"}
    decision = Decision(action_id=ACT, verb="execute", rule="t", reason="t", inputs=inputs)
    row: dict[str, Any] = {
        "action_id": ACT, "incident_id": "inc-1", "key": "k" * 64, "action": "block_ip", "target_kind": "ip",
        "target_value": "203.0.113.9", "generation": 0, "effect": "contain", "proposal": proposal.model_dump_json(),
        "decision": decision.model_dump_json(), "state": "executed", "created_at": WHEN, "updated_at": WHEN,
        "begun_at": WHEN, "by": "alice", "answered_at": WHEN,
    }  # fmt: skip
    if version == 2:
        row |= {"tier": "standard", "groups": "dmz web", "principal": "token:alice", "expires_at": WHEN}
        old.insert(
            "principals", token_id="t1", secret_sha256="s", name="alice", roles="approver", created_at=WHEN,
            expires_at=WHEN, created_by="os_account:root",
        )  # fmt: skip
    old.insert("journal", ord=7, **row)
    held = {"action": "block_ip", "target_kind": "ip", "target_value": "203.0.113.9", "action_id": ACT}
    old.insert("leases", ord=3, held_at=WHEN, **held)
    old.append("action.decided", "inc-1", {"state": "approved"})
    old.db.execute("UPDATE intake SET finished_at = ?, case_json = ? WHERE incident_id = 'inc-1'", (WHEN, case_of("inc-1").model_dump_json(exclude={"incident"})))  # fmt: skip
    old.append("case.finished", "inc-1", {"verdict": "true_positive"})
    old.anchor()
    return old


@pytest.mark.parametrize("version", [1, 2])
def test_an_old_store_is_brought_here_with_all_that_is_in_it(tmp_path: Path, version: int) -> None:
    old = old_store(tmp_path, version)
    old.close()
    store = open_in(tmp_path)
    found = store.verify()
    entries = store.entries()
    assert [e.kind for e in entries[:4]] == ["intake.admitted", "intake.admitted", "action.decided", "case.finished"]
    assert entries[0].at == "2026-01-01T00:00:01.000000+00:00"
    assert entries[0].body == {"digest": "0" * 64, "text": "é \ud800"}
    (said,) = store.entries(kind="ledger.migrated")
    assert said.body == {"from_version": version, "entries": 4, "head": old.head, "anchor": [4, old.head]}

    assert [row.incident_id for row in store.unfinished()] == ["inc-2"]
    assert store.unfinished()[0].native == '{"a": 1}'
    case = store.case("inc-1")
    assert case is not None
    assert case.verdict == "true_positive"
    (row,) = store.actions("inc-1")
    assert (row.state, row.by, row.principal) == ("executed", "alice", "token:alice" if version == 2 else None)
    assert store.holders("block_ip", TARGET) == [ACT]
    assert len(store.timers()) == len(store.tokens()) == version - 1
    used = store.usage(row.created_at)
    assert (used.by_tier, used.by_group) == ({"standard": 1}, {"dmz": 1, "web": 1})

    out = io.StringIO()
    store.export(out)
    assert check_export(out.getvalue().splitlines()) == found
    store.append("after", None, {})
    store.close()
    again = open_in(tmp_path)  # nothing is migrated twice
    assert len(again.entries(kind="ledger.migrated")) == 1
    assert again.verify().unsigned == 0
    again.close()


@pytest.mark.parametrize("version", [1, 2])
def test_its_tables_are_those_of_a_new_store(tmp_path: Path, version: int) -> None:
    old = old_store(tmp_path, version)
    old.close()
    open_in(tmp_path).close()
    SqliteStore(tmp_path / "new.sqlite").close()
    assert _schema(tmp_path / "aegis.sqlite") == _schema(tmp_path / "new.sqlite")


def _schema(file: Path) -> set[tuple[str, str]]:
    with sqlite3.connect(file) as database:
        rows = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        version = database.execute("PRAGMA user_version").fetchone()
    database.close()
    return {*rows, ("version", str(version))}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE ledger_entries SET body = '{}' WHERE seq = 2", "entry 2"),
        ("DELETE FROM ledger_entries WHERE seq = 3", "entry 3"),
        ("DELETE FROM ledger_entries WHERE seq = 4", "tail"),
        ("UPDATE ledger_meta SET head = 'x'", "tail"),
    ],
)
def test_a_broken_old_store_is_left_as_it_is(tmp_path: Path, change: str, named: str) -> None:
    old = old_store(tmp_path, 1)
    for name in ("ledger_no_update", "ledger_no_delete"):
        old.db.execute(f"DROP TRIGGER {name}")
    old.db.execute(change)
    old.close()
    before = _rows(tmp_path)
    with pytest.raises(LedgerTampered, match=f"{named}.*nothing was migrated"):
        open_in(tmp_path)
    assert _rows(tmp_path) == before


def _rows(home: Path) -> list[Any]:
    with sqlite3.connect(home / "aegis.sqlite") as database:
        found = [database.execute(f"SELECT * FROM {table}").fetchall() for table in ("ledger_entries", "journal")]
        found.append(database.execute("PRAGMA user_version").fetchall())
    database.close()
    return found


def test_a_cut_that_the_old_anchor_knows_of_is_found(tmp_path: Path) -> None:
    old = old_store(tmp_path, 1)
    old.anchor(entries=5, head="f" * 64)
    old.close()
    with pytest.raises(LedgerTampered, match=r"anchored.*nothing was migrated"):
        open_in(tmp_path)


def test_an_anchor_that_is_gone_is_said(tmp_path: Path) -> None:
    old_store(tmp_path, 1).close()
    (tmp_path / "aegis.sqlite.anchor").unlink()
    with pytest.raises(LedgerTampered, match="missing"):
        open_in(tmp_path)


@pytest.mark.parametrize("behind", [False, True])
def test_a_crash_before_the_anchor_moved_on_is_no_tampering(tmp_path: Path, behind: bool) -> None:
    old = old_store(tmp_path, 1)
    if behind:  # a power cut may leave the anchor an entry or two behind
        row = old.db.execute("SELECT seq, hash FROM ledger_entries WHERE seq = 2").fetchone()
        old.anchor(*row)
    old.close()
    left = (tmp_path / "aegis.sqlite.anchor").read_bytes()
    store = open_in(tmp_path)
    store._disconnect()
    (tmp_path / "aegis.sqlite.anchor").write_bytes(left)
    store = SqliteStore(tmp_path / "aegis.sqlite")
    assert store.verify().entries == 6  # and the key of the first checkpoint
    store.append("after", None, {})
    assert (tmp_path / "aegis.sqlite.anchor").read_bytes() != left
    assert store.verify().entries == 7
    store.close()


def test_a_store_of_version_3_gets_the_queue_s_column_and_keeps_its_chain(tmp_path: Path) -> None:
    store = open_in(tmp_path)
    for name in ("inc-1", "inc-2", "inc-3"):
        store.admit(incident(name), "n", {})
    store.finish("inc-1", case_of("inc-1"))
    store.finish("inc-3", case_of("inc-3"))
    before = store.verify()
    store.close()
    with sqlite3.connect(tmp_path / "aegis.sqlite") as db:  # as version 3 left it, a server having run over it
        new = ("journal_timers", "journal_waiting", "journal_ended")
        for index in ("intake_queue", "intake_open", "intake_verdict", *new):
            db.execute(f"DROP INDEX {index}")
        db.execute("ALTER TABLE intake DROP COLUMN verdict")
        db.execute("CREATE INDEX journal_expiry ON journal(expires_at) WHERE expires_at IS NOT NULL")
        db.execute("CREATE INDEX intake_open ON intake(at) WHERE finished_at IS NULL")
        db.execute("CREATE INDEX intake_queue ON intake(at, incident_id)")
        db.execute("CREATE INDEX intake_queue_undetermined ON intake(at) WHERE case_json LIKE '%x%'")
        db.execute("DROP TABLE aegis_version")
        db.execute("PRAGMA user_version=3")
    db.close()
    store = open_in(tmp_path)
    assert (store.verify().head, store.verify().entries) == (before.head, before.entries)
    assert {row.incident_id for row in store.queue(verdict="true_positive").items} == {"inc-1", "inc-3"}
    assert [row.incident_id for row in store.queue(state="open").items] == ["inc-2"]
    store.close()
    open_in(tmp_path).close()
    SqliteStore(tmp_path / "new.sqlite").close()
    assert _shape(tmp_path / "aegis.sqlite") == _shape(tmp_path / "new.sqlite")


def _shape(file: Path) -> list[Any]:
    with sqlite3.connect(file) as db:
        columns = db.execute("PRAGMA table_info(intake)").fetchall()
        indexes = db.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ('intake', 'journal') ORDER BY name"
        )
        found = [columns, indexes.fetchall(), db.execute("PRAGMA user_version").fetchone()]
    db.close()
    return found
