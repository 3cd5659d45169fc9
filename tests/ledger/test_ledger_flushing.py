"""Which commits wait for the disk, and what a power cut can take back of those that don't."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import StoreError
from aegis_agents.ledger import JournalRow, Signer, SqliteStore
from aegis_agents.records import AEGIS
from aegis_agents.tools import WritePath, assign
from tests.ledger.ledgers import decided, killed, open_in
from tests.people import person
from tests.tools.conftest import ScriptedSystem

FULL, NORMAL = 2, 1


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(open_in(tmp_path)) as made:
        yield made


def synchronous(store: SqliteStore) -> int:
    return int(store._rows("PRAGMA synchronous")[0][0])


def approved(store: SqliteStore, name: str = "inc-1") -> str:
    key = decided(store, name)
    store.answer(key, True, person("alice"))
    return key


def power_cut(store: SqliteStore, flushed: Path, to: Path) -> SqliteStore:
    """What is there after a power cut: the database as it was flushed, the anchor as late as it can be."""
    killed(store)
    shutil.copytree(flushed, to)
    shutil.copy(store.path.with_name("aegis.sqlite.anchor"), to)
    return open_in(to)


def test_a_transaction_says_whether_it_waits_for_the_disk(store: SqliteStore) -> None:
    for flush, expected in [(True, FULL), (False, NORMAL), (False, NORMAL), (True, FULL), (False, NORMAL)] * 2:
        with store.transaction(flush=flush):
            assert synchronous(store) == expected
            with store.transaction():  # the outermost decides
                assert synchronous(store) == expected


def test_intents_are_flushed_and_what_became_of_them_need_not_be(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, found = approved(store), []
    real = store._enter

    def entering(kind: str, *rest: Any) -> Any:
        found.append((kind, synchronous(store)))
        return real(kind, *rest)

    monkeypatch.setattr(store, "_enter", entering)
    other = approved(store, "inc-2")
    store.begin(key)
    store.settle(key, "executed", None, "", until=datetime.now(UTC) + timedelta(hours=1))
    store.set_expiry(key, None, person("alice"))
    store.begin_undo(key, AEGIS)
    store.settle(key, "undone", None, "")
    assert {kind for kind, how in found if how == NORMAL} == {"action.settled", "action.expiry"}
    assert {kind for kind, how in found if how == FULL} >= {
        "intake.admitted", "action.decided", "action.answered", "action.begun", "action.undoing", "action.expiry",
    }  # fmt: skip
    assert store.action(other).state == "approved"


def test_an_intent_is_refused_where_it_would_not_be_flushed(store: SqliteStore) -> None:
    key = approved(store)
    with pytest.raises(StoreError, match="not flushed"), store.transaction(flush=False):
        store.begin(key)
    assert store.action(key).state == "approved"
    store.begin(key)
    store.settle(key, "executed", None, "")
    with pytest.raises(StoreError, match="not flushed"), store.transaction(flush=False):
        store.begin_undo(key, AEGIS)
    assert store.action(key).state == "executed"


def test_a_power_cut_may_forget_an_outcome_and_never_the_intent(tmp_path: Path) -> None:
    """Anchor and copies elsewhere must not know more than what survives: verify() would call it tampering."""
    system, copies = ScriptedSystem(), tmp_path / "copies"
    copies.mkdir()
    store = open_in(tmp_path, every=1, copies=copies)
    key, flushed = approved(store), tmp_path / "flushed"
    real = system.apply

    def apply(*given: object, **named: object) -> str:  # the intent's commit was the last that was flushed
        flushed.mkdir()
        for file in tmp_path.glob("aegis.sqlite*"):
            shutil.copy(file, flushed)
        shutil.copy(tmp_path / "ledger.key", flushed)
        shutil.copy(tmp_path / "ledger.pub", flushed)
        return real(*given, **named)  # type: ignore[arg-type]

    system.apply = apply  # type: ignore[method-assign]
    assert WritePath(store, assign([system])).execute(key).outcome == "executed"
    after = power_cut(store, flushed, tmp_path / "after")
    with closing(after):
        after.verify(against=copies)
        assert after.action(key).state == "intent"
        (receipt,) = WritePath(after, assign([system])).settle_open()
        assert receipt.outcome == "executed"
        after.verify(against=copies)


def test_the_next_commit_that_is_flushed_moves_the_anchor_over_all(store: SqliteStore) -> None:
    key = approved(store)
    store.begin(key)
    anchored = store._anchor.read().entries
    store.settle(key, "executed", None, "")
    assert store._anchor.read().entries == anchored
    store.set_expiry(key, None, AEGIS)
    assert store._anchor.read().entries == anchored + 2 == store.verify().entries


def test_what_another_process_left_unflushed_is_not_anchored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(open_in(tmp_path)) as ours, closing(open_in(tmp_path)) as other:
        key = approved(other)
        other.begin(key)
        move = ours._committed

        def settled_in_between(left: Any) -> None:
            other.settle(key, "executed", None, "")
            move(left)

        monkeypatch.setattr(ours, "_committed", settled_in_between)
        ours.append("test", None, {})
        anchored = ours._anchor.read().entries
        assert anchored == len(ours.entries()) - 1, "its own entry, and not the one that came after"
        with ours.transaction():
            assert ours.action(key).state == "executed"
        assert ours._anchor.read().entries == anchored, "a commit that wrote nothing flushed nothing"
        monkeypatch.undo()
        ours.append("test", None, {})
        assert ours._anchor.read().entries == len(ours.entries()) == ours.verify().entries


def test_an_entry_that_was_taken_back_is_not_anchored(store: SqliteStore) -> None:
    def gone() -> None:
        with store.transaction():
            store.append("gone", None, {})
            raise ValueError("wrong")

    anchored = store._anchor.read().entries
    with store.transaction():
        store.append("kept", None, {})
        with pytest.raises(ValueError, match="wrong"):
            gone()
    assert (store._anchor.read().entries, store.verify().entries) == (anchored, anchored + 1)
    store.append("kept", None, {})
    assert store._anchor.read().entries == anchored + 2 == store.verify().entries


def test_only_a_commit_that_is_flushed_signs(tmp_path: Path) -> None:
    """A copy elsewhere must not name a checkpoint that a power cut takes from the ledger."""
    copies = tmp_path / "copies"
    copies.mkdir()
    store = SqliteStore(
        tmp_path / "aegis.sqlite", signer=Signer(tmp_path / "ledger.key", every=2, copies=copies / "notes")
    )
    with closing(store):
        with store.transaction(flush=False):
            for _ in range(5):
                store.append("lazy", None, {})
        assert (store.verify().checkpoints, list(copies.iterdir())) == (0, [])
        store.append("flushed", None, {})
        assert store.verify().checkpoints == 1
        assert list(copies.iterdir())


def test_what_is_answered_is_what_is_kept(store: SqliteStore) -> None:
    """Rows are not read back after they were written: they must be what would have been read."""

    def kept(row: JournalRow) -> JournalRow:
        assert row == store.action(row.action_id)
        assert row.model_dump_json() == store.action(row.action_id).model_dump_json()
        return row

    key = decided(store, "inc-1", "proposed")
    first = store.action(key)
    again = kept(store.record_decision("inc-1", first.proposal, first.decision, "awaiting"))
    assert again.created_at == first.created_at
    kept(store.answer(key, True, person("alice"), "yes"))
    kept(store.begin(key, owner="host:1").row)
    until = datetime(2030, 1, 1, tzinfo=UTC)
    assert kept(store.settle(key, "executed", "nft", "ref", until=until)).expires_at == until
    kept(store.set_expiry(key, until + timedelta(hours=1), AEGIS))
    kept(store.set_expiry(key, None, person("bob"), "stays"))
    kept(store.begin_undo(key, person("carol"), owner="host:2").row)
    assert kept(store.settle(key, "expired", None, "")).undo_by == "carol"
    one, two = approved(store, "inc-2"), approved(store, "inc-3")
    for held in (one, two):
        store.begin(held)
        kept(store.settle(held, "executed", None, "", foreign=held == two))
    kept(store.begin_undo(one, person("carol")).row)  # the other holds it too
