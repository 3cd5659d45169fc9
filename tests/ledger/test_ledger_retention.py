"""Retention: what goes, what stays, what proves it, and that a kill at any point loses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import InputError, LedgerError, LedgerTampered, StoreError
from aegis_agents.ledger import SqliteStore, retention
from aegis_agents.ledger.removed import as_ranges, read_ranges
from aegis_agents.records import AEGIS
from tests.ledger.ledgers import DAY, Clock, case_of, decided, finished, killed, open_in
from tests.people import YEAR, person


def bodies(store: SqliteStore) -> dict[int, bool]:
    return {entry.seq: entry.body is not None for entry in store.entries()}


def test_old_bodies_go_and_the_chain_says_which(tmp_path: Path) -> None:
    clock = Clock()
    store = open_in(tmp_path, clock=clock)
    finished(store, "inc-old")
    store.append("intel.synced", None, {"secret": "feed"})
    clock.now += DAY
    cut = clock.now
    finished(store, "inc-new")
    heads = [entry.hash for entry in store.entries()]
    done = store.prune(cut, person("alice"))
    assert (done.entries, done.incidents) == (5, ("inc-old",))
    assert [e.hash for e in store.entries()][: len(heads)] == heads
    assert {e.incident_id for e in store.entries() if e.body is None} == {"inc-old", None}
    assert all(e.body is not None for e in store.entries(incident_id="inc-new"))
    (said,) = store.entries(kind="ledger.pruned")
    assert said.body is not None
    assert (said.body["entries"], said.body["incidents"], said.body["principal"]["id"]) == (5, 1, "token:alice")
    assert set(read_ranges(said.body["removed"])) == {e.seq for e in store.entries() if e.body is None}
    found = store.verify()
    assert (found.removed, found.unsigned) == (5, 0)
    store.close()


def test_alert_facts_and_case_go_and_the_incident_stays_known(tmp_path: Path) -> None:
    clock = Clock()
    store = open_in(tmp_path, clock=clock)
    finished(store, "inc-old")
    store.prune(clock.now, person("alice"))
    row = store.intake("inc-old")
    assert row is not None
    assert (row.native, row.incident.title, row.incident.entities, row.finished) == ("", "", (), True)
    assert store.case("inc-old") is None
    assert store.forgotten() == ["inc-old"]
    assert store.unfinished() == []
    assert [r.state for r in store.actions("inc-old")] == ["denied"]
    store.close()


@pytest.mark.parametrize(
    "opened", ["undecided", "waiting", "approved", "under way", "in effect", "timer", "answered later"]
)
def test_what_is_open_stays(tmp_path: Path, opened: str) -> None:
    clock = Clock()
    store = open_in(tmp_path, clock=clock)
    key = decided(store, "inc-1", "awaiting" if opened in ("undecided", "waiting", "answered later") else "approved")
    if opened in ("under way", "in effect", "timer"):
        store.begin(key)
    if opened in ("in effect", "timer"):
        store.settle(key, "executed", "c", "d")
    if opened == "timer":
        store.set_expiry(key, clock.now + DAY, AEGIS)
    if opened != "undecided":
        store.finish("inc-1", case_of("inc-1"))
    clock.now += DAY
    cut = clock.now
    if opened == "answered later":
        store.answer(key, False, person("alice"))
    clock.now += DAY
    before = bodies(store)
    done = store.prune(cut, person("alice"))
    assert done.incidents == ()
    assert all(held for seq, held in bodies(store).items() if seq in before)
    row = store.intake("inc-1")
    assert row is not None
    assert row.native == '{"secret": "native text"}'
    store.close()


def test_what_ended_goes_once_nothing_is_held_any_more(tmp_path: Path) -> None:
    clock = Clock()
    store = open_in(tmp_path, clock=clock)
    key = decided(store, "inc-1", "approved")
    store.begin(key)
    store.settle(key, "executed", "c", "d")
    store.finish("inc-1", case_of("inc-1"))
    assert store.prune(clock.now, person("alice")).incidents == ()
    store.begin_undo(key, person("bob"))
    store.settle(key, "undone", "c", "d")
    assert store.prune(clock.now, person("alice")).incidents == ("inc-1",)
    store.close()


@pytest.mark.parametrize(
    "kind", ["review.given", "autonomy.changed", "approval.endorsed", "ledger.note", "token.noted"]
)
def test_what_was_earned_and_who_may_do_what_stays(tmp_path: Path, kind: str) -> None:
    clock = Clock()
    store = open_in(tmp_path, clock=clock)
    finished(store, "inc-1")
    store.append(kind, "inc-1", {"person": "alice"})
    store.append(kind.replace(".", "-"), None, {})  # the like of it does not count
    store.add_token("alice", ["approver"], AEGIS, valid_for=YEAR)
    store.prune(clock.now, person("alice"))
    kept = {entry.kind for entry in store.entries() if entry.body is not None}
    assert kept == {kind, "token.added", "ledger.key", "ledger.pruned"}
    assert store.verify().removed == 5
    store.close()


def test_nothing_old_writes_nothing(tmp_path: Path) -> None:
    clock = Clock()
    store = open_in(tmp_path, clock=clock)
    cut = clock.now
    finished(store, "inc-1")
    before = store.verify()
    assert store.prune(cut, person("alice"), tmp_path / "archive").entries == 0
    assert store.verify() == before
    store.close()


def test_removed_text_is_in_no_file_of_the_database(tmp_path: Path) -> None:
    clock = Clock()
    store = open_in(tmp_path, clock=clock)
    finished(store, "inc-1")
    store.append("note", None, {"text": "a-very-secret-word" * 400})  # longer than a page
    clock.now += DAY

    def found() -> bytes:
        return b"".join(file.read_bytes() for file in tmp_path.glob("aegis.sqlite*"))

    for secret in (b"a-very-secret-word", b"native text", b"a secret summary", b"a secret title"):
        assert secret in found()
    store.prune(clock.now, person("alice"))
    for secret in (b"a-very-secret-word", b"native text", b"a secret summary", b"a secret title"):
        assert secret not in found()
    store.close()


def test_the_archive_holds_what_went_and_is_added_to(tmp_path: Path) -> None:
    clock, archive = Clock(), tmp_path / "removed.jsonl"
    store = open_in(tmp_path, clock=clock)
    finished(store, "inc-1")
    held = {e.seq: (e.body, e.salt) for e in store.entries()}
    store.prune(clock.now, person("alice"), archive)
    finished(store, "inc-2")
    store.prune(clock.now, person("alice"), archive)
    lines = [json.loads(line) for line in archive.read_text().splitlines()]
    assert [line["type"] for line in lines].count("archive") == 1
    assert [line["incident_id"] for line in lines if line["type"] == "intake"] == ["inc-1", "inc-2"]
    removed = {line["seq"]: line for line in lines if line["type"] == "removed"}
    assert removed.keys() == {e.seq for e in store.entries() if e.body is None}
    for seq, (body, salt) in held.items():
        if seq in removed:
            assert (json.loads(removed[seq]["body"]), removed[seq]["salt"]) == (body, salt)
    assert bytes.fromhex(lines[-1]["native_hex"]) == b'{"secret": "native text"}'
    assert archive.stat().st_mode & 0o077 == 0
    store.close()


@pytest.mark.parametrize(
    "content", ["{}\n", "not json\n", '{"type":"archive","format":"aegis-ledger/2","origin":"x"}\n']
)
def test_an_archive_of_something_else_is_refused_and_nothing_goes(tmp_path: Path, content: str) -> None:
    clock, archive = Clock(), tmp_path / "removed.jsonl"
    archive.write_text(content)
    store = open_in(tmp_path, clock=clock)
    finished(store, "inc-1")
    with pytest.raises(InputError, match="no archive of this ledger"):
        store.prune(clock.now, person("alice"), archive)
    assert all(bodies(store).values())
    assert archive.read_text() == content
    store.close()


def test_an_archive_that_was_altered_is_refused(tmp_path: Path) -> None:
    clock, archive = Clock(), tmp_path / "removed.jsonl"
    store = open_in(tmp_path, clock=clock)
    finished(store, "inc-1")
    store.prune(clock.now, person("alice"), archive)
    archive.write_text(archive.read_text().replace("block_ip", "open_ip"))
    with pytest.raises(InputError, match="no archive of this ledger"):
        store.prune(clock.now, person("alice"), archive)
    store.close()


def test_two_that_write_one_archive_at_once_lose_nothing(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    clock, archive = Clock(), tmp_path / "removed.jsonl"
    store = open_in(tmp_path, clock=clock)
    finished(store, "inc-1")
    with (tmp_path / "removed.jsonl.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="nothing was removed"):
            store.prune(clock.now, person("alice"), archive)
    assert all(bodies(store).values())
    assert store.prune(clock.now, person("alice"), archive).incidents == ("inc-1",)
    store.close()


def test_where_the_archive_can_not_be_written_nothing_goes(tmp_path: Path) -> None:
    clock = Clock()
    store = open_in(tmp_path, clock=clock)
    finished(store, "inc-1")
    with pytest.raises(StoreError, match="nothing was removed"):
        store.prune(clock.now, person("alice"), tmp_path / "none" / "removed.jsonl")
    assert all(bodies(store).values())
    store.close()


def test_what_can_not_be_signed_afterwards_is_not_removed(tmp_path: Path) -> None:
    clock = Clock()
    store = open_in(tmp_path, clock=clock)
    finished(store, "inc-1")
    store.close()
    (tmp_path / "ledger.key").chmod(0o644)
    store = open_in(tmp_path, clock=clock)
    with pytest.raises(LedgerError, match=r"ledger\.key"):
        store.prune(clock.now, person("alice"))
    assert all(bodies(store).values())
    killed(store)


@pytest.mark.parametrize("wrong", [datetime(2026, 1, 1), "future"])
def test_a_time_that_makes_no_sense_is_refused(tmp_path: Path, wrong: Any) -> None:
    clock = Clock()
    store = open_in(tmp_path, clock=clock)
    with pytest.raises(InputError, match="before"):
        store.prune(clock.now + DAY if wrong == "future" else wrong, person("alice"))
    store.close()


def test_a_ledger_that_is_not_whole_is_not_pruned(tmp_path: Path) -> None:
    clock = Clock()
    store = open_in(tmp_path, clock=clock)
    finished(store, "inc-1")
    (tmp_path / "aegis.sqlite.anchor").unlink()
    with pytest.raises(LedgerTampered):
        store.prune(clock.now, person("alice"))
    assert all(bodies(store).values())
    killed(store)


_KILLED = """
import os, sys
from datetime import timedelta
from pathlib import Path
from aegis_agents.ledger import archive, retention
from aegis_agents.ledger.sqlite import SqliteStore
from tests.ledger.ledgers import Clock, open_in
from tests.people import person
home, where, after = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
retention._BATCH = 3
seen = 0
def dying(real):
    def run(*given, **named):
        global seen
        seen += 1
        if seen == after:
            os._exit(9)
        return real(*given, **named)
    return run
clock = Clock()
clock.now += timedelta(days=2)
store = open_in(home, clock=clock)
if where == "archive":
    retention.entry_line = dying(retention.entry_line)
elif where == "renamed":
    archive._flush_folder = dying(archive._flush_folder)
else:
    SqliteStore._execute = dying(SqliteStore._execute)
store.prune(clock.now, person("alice"), home / "removed.jsonl")
"""


@pytest.mark.parametrize(
    ("where", "after"), [("archive", 3), ("renamed", 1), ("sql", 14), ("sql", 24), ("sql", 34), ("sql", 44)]
)
def test_killed_at_any_point_nothing_is_lost_and_the_same_command_ends_it(
    tmp_path: Path, where: str, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, archive = Clock(), tmp_path / "removed.jsonl"
    store = open_in(tmp_path, clock=clock)
    for name in ("inc-1", "inc-2"):
        finished(store, name)
    held = {e.seq: e for e in store.entries()}
    store.close()
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path), where, str(after)], check=False)
    assert done.returncode == 9, "it was to be killed on the way"
    clock.now += timedelta(days=2)
    store = open_in(tmp_path, clock=clock)
    store.verify()
    archived = _archived(archive)
    for entry in store.entries(limit=len(held)):
        if entry.seq in held and entry.body is None:
            assert archived[entry.seq] == held[entry.seq].body, "gone, and not archived"
    monkeypatch.setattr(retention, "_BATCH", 3)
    store.prune(clock.now, person("alice"), archive)
    removed = {e.seq for e in store.entries() if e.body is None}
    assert {seq for seq, e in held.items() if not e.kind.startswith("ledger.")} <= removed
    assert _archived(archive).keys() == removed
    assert store.forgotten() == ["inc-1", "inc-2"]
    assert (store.verify().removed, store.verify().unsigned) == (len(removed), 0)
    store.close()


def _archived(archive: Path) -> dict[int, Any]:
    if not archive.exists():
        return {}
    lines = [json.loads(line) for line in archive.read_text().splitlines()]
    return {line["seq"]: json.loads(line["body"]) for line in lines if line["type"] == "removed"}


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([1], "1"), ([1, 2, 3], "1-3"), ([1, 3, 4, 9], "1,3-4,9"), ([2, 3, 5], "2-3,5")]
)
def test_ranges_are_read_as_they_are_written(numbers: list[int], text: str) -> None:
    assert as_ranges(numbers) == text
    if numbers:
        assert list(read_ranges(text)) == numbers


@pytest.mark.parametrize("text", ["", "0", "2-1", "1,1", "3,2", "1-", "-1", "1;2", " 1", "1-2-3", None, 7, "01"])
def test_what_is_no_list_of_ranges_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="range"):
        list(read_ranges(text))
