"""What somebody could do to a ledger, each found and named; and what a checkpoint elsewhere is needed for."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from aegis_agents.errors import LedgerTampered
from aegis_agents.ledger import SqliteStore, Verification, read_keys
from aegis_agents.ledger.anchor import Anchor, AnchorFile
from aegis_agents.ledger.links import SELECT, Link, commitment, genesis, link_hash
from aegis_agents.ledger.notes import Checkpoint
from tests.ledger.ledgers import Clock, copy_of, finished, killed, open_in, signed_ledger, signer_in, tampering
from tests.people import person


def verified(home: Path, against: Path | None = None) -> Verification:
    """The ledger as somebody finds it who holds the public key, and not the private one."""
    store = SqliteStore(home / "aegis.sqlite")
    try:
        return store.verify(read_keys(home / "ledger.pub"), against)
    finally:
        killed(store)


def found(home: Path, named: str, against: Path | None = None) -> None:
    with pytest.raises(LedgerTampered, match=named):
        verified(home, against)


def recompute(database: sqlite3.Connection, after: int = 0) -> None:
    """Hash all entries anew, as a forger would."""
    origin = database.execute("SELECT origin FROM ledger_meta").fetchone()[0]
    head = genesis(origin)
    for row in database.execute(f"{SELECT} ORDER BY seq").fetchall():
        link = Link(*row)
        if link.seq > after:
            committed = link.body_sha256 if link.body is None else commitment(link.salt or "", link.body)
            link = link._replace(prev=head, body_sha256=committed)
            link = link._replace(hash=link_hash(link))
            database.execute(
                "UPDATE ledger_entries SET prev = ?, body_sha256 = ?, hash = ? WHERE seq = ?",
                (link.prev, link.body_sha256, link.hash, link.seq),
            )
        head = link.hash
    count = database.execute("SELECT count(*) FROM ledger_entries").fetchone()[0]
    database.execute("UPDATE ledger_meta SET count = ?, head = ?", (count, head))


def anchor_again(home: Path) -> None:
    """Adjust the anchor too."""
    with sqlite3.connect(home / "aegis.sqlite") as database:
        now = database.execute("SELECT count, head, checkpoints FROM ledger_meta").fetchone()
    database.close()
    anchor = AnchorFile(home / "aegis.sqlite.anchor")
    anchor.write(Anchor(*now))
    anchor.close()


def test_what_was_not_touched_verifies_and_says_what_is_unsigned(tmp_path: Path) -> None:
    signed_ledger(tmp_path)
    whole = verified(tmp_path)
    assert (whole.entries, whole.checkpoints, whole.signed, whole.unsigned) == (11, 2, 9, 2)  # and ledger.key


EDITS = [
    ("at", "'2020-01-01T00:00:00.000000+00:00'"), ("kind", "'other'"), ("incident_id", "'inc-9'"),
    ("incident_id", "NULL"), ("body", "'{\"number\":9}'"), ("salt", "'00000000000000000000000000000000'"),
    ("body", "NULL"), ("salt", "NULL"), ("body_sha256", "prev"), ("prev", "hash"), ("hash", "prev"), ("salt", "upper(salt)"),
    ("body", "CAST(body AS BLOB)"), ("body", "body || ' '"), ("kind", "CAST(x'ff' AS TEXT)"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "value"), EDITS)
def test_an_edited_column_is_found(tmp_path: Path, column: str, value: str) -> None:
    with tampering(signed_ledger(tmp_path)) as database:
        database.execute(f"UPDATE ledger_entries SET {column} = {value} WHERE seq = 3")
    found(tmp_path, "entry 3")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("DELETE FROM ledger_entries WHERE seq = 4", "entry 4 is missing"),
        ("UPDATE ledger_entries SET seq = CASE seq WHEN 2 THEN -3 WHEN 3 THEN -2 ELSE seq END", "entry 2"),
        ("DELETE FROM ledger_entries WHERE seq > 10", "entry 11 is missing"),
        ("DELETE FROM ledger_entries", "entry 1 is missing"),
        ("UPDATE ledger_entries SET body = NULL, salt = NULL WHERE seq = 3", "entry 3 was removed, and no"),
        ("UPDATE ledger_meta SET count = 10", "entry 11 was added"),
        ("UPDATE ledger_meta SET head = 'x'", "entry 12"),
        ("UPDATE ledger_meta SET signed = 10", "checkpoint 3"),
        ("UPDATE ledger_meta SET count = 'many'", "no numbers"),
        ("UPDATE ledger_meta SET origin = 'aegis-agents/ledger/other'", "other|another|none"),
        ("DELETE FROM ledger_meta", "lost its origin"),
        ("DELETE FROM ledger_checkpoints WHERE number = 1", "checkpoint 1 is missing"),
        ("DELETE FROM ledger_checkpoints WHERE number = 2", "checkpoint 2 is missing"),
        ("UPDATE ledger_checkpoints SET note = replace(note, 'time 2', 'time 1') WHERE number = 2", "checkpoint 2"),
        ("UPDATE ledger_checkpoints SET note = note || ' ' WHERE number = 2", "checkpoint 2"),
        ("UPDATE ledger_checkpoints SET note = (SELECT note FROM ledger_checkpoints WHERE number = 1)", "checkpoint 2"),
        ("UPDATE ledger_checkpoints SET note = 7 WHERE number = 2", "checkpoint 2"),
    ],
)  # fmt: skip
def test_dropping_reordering_truncating_and_forging_are_found(tmp_path: Path, change: str, named: str) -> None:
    with tampering(signed_ledger(tmp_path)) as database:
        assert database.execute(change).rowcount > 0
        database.execute("UPDATE ledger_entries SET seq = -seq WHERE seq < 0")
    found(tmp_path, named)


@pytest.mark.parametrize("adjusted", ["nothing", "count", "count and anchor"])
def test_a_tail_cut_off_below_a_checkpoint_is_found_whatever_is_adjusted(tmp_path: Path, adjusted: str) -> None:
    with tampering(signed_ledger(tmp_path)) as database:
        database.execute("DELETE FROM ledger_entries WHERE seq > 7")
        if adjusted != "nothing":
            database.execute("UPDATE ledger_meta SET count = 7, head = (SELECT hash FROM ledger_entries WHERE seq = 7)")
    if adjusted == "count and anchor":
        anchor_again(tmp_path)
    found(tmp_path, "entry 8 is missing")


def test_a_checkpoint_removed_with_its_count_is_found_by_the_anchor(tmp_path: Path) -> None:
    with tampering(signed_ledger(tmp_path)) as database:
        database.execute("DELETE FROM ledger_checkpoints WHERE number = 2")
        database.execute("UPDATE ledger_meta SET checkpoints = 1, signed = 5")
    found(tmp_path, "checkpoint 2 is missing")


def test_a_ledger_rewritten_with_every_hash_is_found_by_the_signature_alone(tmp_path: Path) -> None:
    with tampering(signed_ledger(tmp_path)) as database:
        database.execute("UPDATE ledger_entries SET body = '{\"number\":99}' WHERE seq = 2")
        recompute(database)
    anchor_again(tmp_path)
    store = SqliteStore(tmp_path / "aegis.sqlite")
    with pytest.raises(LedgerTampered, match="entry 5 is not the one that a checkpoint signed"):
        store.verify()  # the head that a checkpoint names is compared without a key, too
    killed(store)
    found(tmp_path, "entry 5 is not the one that a checkpoint signed")


def test_rewritten_with_all_checkpoints_gone_a_pinned_key_still_tells(tmp_path: Path) -> None:
    with tampering(signed_ledger(tmp_path)) as database:
        database.execute("UPDATE ledger_entries SET body = '{\"number\":99}' WHERE seq = 2")
        database.execute("DELETE FROM ledger_checkpoints")
        database.execute("UPDATE ledger_meta SET checkpoints = 0, signed = 0")
        recompute(database)
    anchor_again(tmp_path)
    found(tmp_path, "no checkpoint is left")


def test_rewritten_and_signed_with_another_key_is_found(tmp_path: Path) -> None:
    file = signed_ledger(tmp_path / "home")
    forger = signer_in(tmp_path / "forger")
    with tampering(file) as database:
        database.execute("UPDATE ledger_entries SET body = '{\"number\":99}' WHERE seq = 2")
        recompute(database)
        origin, head = database.execute("SELECT origin, head FROM ledger_meta").fetchone()
        database.execute("DELETE FROM ledger_checkpoints")
        says = Checkpoint(origin, 11, head, "2026-01-01T00:00:00.000000+00:00", 1, "0" * 64)
        database.execute("INSERT INTO ledger_checkpoints VALUES (1, ?)", (forger.sign(origin, says.text()),))
        database.execute("UPDATE ledger_meta SET checkpoints = 1, signed = 11")
    anchor_again(tmp_path / "home")
    found(tmp_path / "home", "no key that was given has signed it")


def test_a_checkpoint_of_another_ledger_is_no_checkpoint_of_this_one(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    shutil.copy(signed_ledger(one).with_name("ledger.key"), other / "ledger.key")
    with sqlite3.connect(signed_ledger(other)) as theirs:
        notes = theirs.execute("SELECT number, note FROM ledger_checkpoints").fetchall()
    theirs.close()
    with tampering(one / "aegis.sqlite") as database:
        database.execute("DELETE FROM ledger_checkpoints")
        database.executemany("INSERT INTO ledger_checkpoints VALUES (?, ?)", notes)
    found(one, "checkpoint 1 was changed or is not this ledger's")


def test_a_fork_and_a_rollback_are_found_by_checkpoints_kept_elsewhere(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    elsewhere.mkdir()
    store = open_in(home, copies=elsewhere)
    for number in range(6):
        store.append("before", None, {"number": number})
    store.close()
    past, fork = copy_of(home, tmp_path / "past"), copy_of(home, tmp_path / "fork")
    store = open_in(home, copies=elsewhere)
    for number in range(6):
        store.append("what happened", None, {"number": number})
    store.close()
    assert verified(home, elsewhere).unsigned == 0

    store = open_in(fork)  # the intruder has the key, and everything but the other disk
    for number in range(6):
        store.append("what they say happened", None, {"number": number})
    store.close()
    assert verified(fork).entries == verified(home).entries  # which no signature can tell from the truth
    found(fork, "rewritten or forked", against=elsewhere)

    assert verified(past).entries == 7
    found(past, "entry 8 is missing: a checkpoint covers 13 entries", against=elsewhere)


def test_a_database_put_back_without_its_anchor_is_found(tmp_path: Path) -> None:
    home = tmp_path / "home"
    signed_ledger(home)
    shutil.copy(home / "aegis.sqlite", tmp_path / "old.sqlite")
    store = open_in(home)
    store.append("later", None, {})
    store.close()
    for beside in home.glob("aegis.sqlite-*"):
        beside.unlink()
    shutil.copy(tmp_path / "old.sqlite", home / "aegis.sqlite")
    found(home, "entry 12 is missing: the anchor knows|checkpoint")


@pytest.fixture
def pruned(tmp_path: Path) -> Path:
    """A home whose first incident was removed."""
    clock = Clock()
    store = open_in(tmp_path, clock=clock)
    finished(store, "inc-old")
    store.append("later", None, {"number": 1})
    store.prune(clock.now, person("alice"), tmp_path / "removed.jsonl")
    store.append("later", None, {"number": 2})
    store.close()
    assert verified(tmp_path).removed > 3
    return tmp_path


def test_a_removed_body_put_back_or_swapped_is_found(pruned: Path) -> None:
    archived = [json.loads(line) for line in (pruned / "removed.jsonl").read_text().splitlines()[1:]]
    held = [line for line in archived if line["type"] == "removed"]
    for body, named in ((held[0]["body"], "holds a body, though"), (held[1]["body"], "commits to")):
        with tampering(pruned / "aegis.sqlite") as database:
            database.execute(
                "UPDATE ledger_entries SET body = ?, salt = ? WHERE seq = ?", (body, held[0]["salt"], held[0]["seq"])
            )
        found(pruned, named)


def test_the_commitment_of_what_is_gone_can_not_be_changed(pruned: Path) -> None:
    with tampering(pruned / "aegis.sqlite") as database:
        database.execute("UPDATE ledger_entries SET body_sha256 = prev WHERE seq = 1")
        recompute(database)
        database.execute("DELETE FROM ledger_checkpoints")
        database.execute("UPDATE ledger_meta SET checkpoints = 0, signed = 0")
    anchor_again(pruned)
    store = SqliteStore(pruned / "aegis.sqlite")
    with pytest.raises(LedgerTampered, match="its digest does not match"):
        store.verify()
    killed(store)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE ledger_entries SET kind = 'x' WHERE seq = 2",
        "UPDATE ledger_entries SET body = '{}' WHERE seq = 2",
        "UPDATE ledger_entries SET body = NULL WHERE seq = 2",
        "UPDATE ledger_entries SET body = NULL, salt = NULL, kind = 'x' WHERE seq = 2",
        "UPDATE ledger_entries SET body = '{}', salt = '00' WHERE body IS NULL",
        "DELETE FROM ledger_entries WHERE seq = 5",
        "INSERT OR REPLACE INTO ledger_entries SELECT * FROM ledger_entries WHERE seq = 2",
        "UPDATE ledger_checkpoints SET note = ''",
        "DELETE FROM ledger_checkpoints",
        "INSERT OR REPLACE INTO ledger_checkpoints VALUES (1, '')",
        "INSERT INTO ledger_checkpoints VALUES (9, '')",
    ],
)
def test_the_database_itself_refuses_all_but_a_removal(pruned: Path, sql: str) -> None:
    with sqlite3.connect(pruned / "aegis.sqlite") as database, pytest.raises(sqlite3.IntegrityError, match="append"):
        database.execute(sql)
    database.close()


def test_a_guard_that_is_gone_or_guards_nothing_is_found(tmp_path: Path) -> None:
    file = signed_ledger(tmp_path)
    with sqlite3.connect(file) as database:
        database.execute("DROP TRIGGER checkpoints_no_delete")
    found(tmp_path, "checkpoints_no_delete")
    with sqlite3.connect(file) as database:
        database.execute("CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON ledger_checkpoints BEGIN SELECT 1; END")
    database.close()
    found(tmp_path, "checkpoints_no_delete")
