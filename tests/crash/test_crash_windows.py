"""Every window of deciding and answering: the process ends there, another comes, and what then is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import ActionError, ModelError
from aegis_agents.pinned import differing, pinned
from aegis_agents.records import AEGIS
from tests.crash.cut import BLOCK, Killed, Make, admitted, autonomous, dies, row_of, settled_and_told
from tests.crash.worker import SureModel
from tests.graph.conftest import ATTACK, FakeFirewall
from tests.people import token_of


def test_taken_in_and_not_decided(make: Make) -> None:
    admitted(make(), ATTACK)
    (case,) = make().recover()
    assert case.verdict == "true_positive"
    assert {a.action: a.outcome for a in case.actions}["open_ticket"] == "executed"


def test_decided_and_nothing_begun(make: Make, firewall: FakeFirewall, tmp_path: Path, monkeypatch: Any) -> None:
    first = make(**autonomous(tmp_path))
    dies(monkeypatch, first._write_path, "execute", nth=0)
    with pytest.raises(Killed):
        first.investigate(ATTACK)
    assert len(first.store.approved()) == 2  # the block and the ticket
    second = make(**autonomous(tmp_path))
    second.recover()
    assert firewall.calls == [BLOCK]
    settled_and_told(second)


def test_done_and_no_case(make: Make, firewall: FakeFirewall, tmp_path: Path, monkeypatch: Any) -> None:
    first = make(**autonomous(tmp_path))
    dies(monkeypatch, first.store, "finish")
    with pytest.raises(Killed):
        first.investigate(ATTACK)
    second = make(**autonomous(tmp_path))
    second.recover()
    assert firewall.calls == [BLOCK]
    settled_and_told(second)


def test_what_waits_can_be_answered_though_its_checkpoint_was_never_written(
    make: Make, firewall: FakeFirewall, monkeypatch: Any
) -> None:
    first = make()
    for write in ("put", "put_writes"):
        monkeypatch.setattr(first.graph.checkpointer, write, lambda config, *_: config)
    case = first.investigate(ATTACK)
    thread = {"configurable": {"thread_id": case.incident_id}}
    second = make()
    assert second.graph.checkpointer.get_tuple(thread) is None
    second.recover()
    assert second.approve(row_of(second, "block_ip").action_id).outcome == "executed"
    assert firewall.calls == [BLOCK]
    settled_and_told(second)


def test_one_that_can_not_be_decided_does_not_keep_the_others_waiting(make: Make, monkeypatch: Any) -> None:
    class Picky(SureModel):
        def assess(self, incident: Any, *, masked: Any = frozenset()) -> Any:
            if incident.native_id == "bad":
                raise ModelError("this one can't be read")
            return super().assess(incident)

    first = make()
    bad, good = admitted(first, ATTACK | {"event_id": "bad"}), admitted(first, ATTACK | {"event_id": "good"})
    second = make(model=Picky())
    with pytest.raises(ModelError):
        second.recover()
    assert second.store.case(good) is not None
    assert [row.incident_id for row in second.store.unfinished()] == [bad]
    assert [case.incident_id for case in make().recover()] == [bad]


def test_a_shadow_run_that_was_cut_off_is_never_decided_live(
    make: Make, firewall: FakeFirewall, tmp_path: Path
) -> None:
    shadow = make(mode="shadow", **autonomous(tmp_path))
    cut_off = admitted(shadow, ATTACK)
    live = make(**autonomous(tmp_path))
    undecided = admitted(live, ATTACK | {"event_id": "b"})
    assert [case.incident_id for case in live.recover()] == [undecided]
    assert firewall.calls == [BLOCK]
    (case,) = make(mode="shadow", **autonomous(tmp_path)).recover()
    assert case.incident_id == cut_off
    assert firewall.calls == [BLOCK]
    assert {a.outcome for a in case.actions} <= {"would_execute", "recommended", "refused"}


def test_shadow_lifts_nothing(make: Make, firewall: FakeFirewall, tmp_path: Path) -> None:
    live = make(**autonomous(tmp_path))
    live.investigate(ATTACK)
    block = row_of(live, "block_ip").action_id
    live.store.set_expiry(block, datetime.now(UTC), AEGIS)
    assert make(mode="shadow").expire_due() == []
    assert firewall.in_effect == {BLOCK}
    assert [report.outcome for report in live.expire_due()] == ["expired"]


# answering


def test_approved_and_nothing_begun(make: Make, firewall: FakeFirewall, monkeypatch: Any) -> None:
    first = make()
    first.investigate(ATTACK)
    block = row_of(first, "block_ip").action_id
    dies(monkeypatch, first, "_resume")
    with pytest.raises(Killed):
        first.approve(block, by="alice")
    second = make()
    second.recover()
    second.recover()
    assert firewall.calls == [BLOCK]
    assert second.store.action(block).by == "alice"
    settled_and_told(second)


def test_denied_and_not_in_the_case(make: Make, firewall: FakeFirewall, monkeypatch: Any) -> None:
    first = make()
    first.investigate(ATTACK)
    block = row_of(first, "block_ip").action_id
    dies(monkeypatch, first.store, "answer", after=True)
    with pytest.raises(Killed):
        first.deny(block)
    second = make()
    second.recover()
    assert firewall.calls == []
    settled_and_told(second)
    with pytest.raises(ActionError):
        second.approve(block)


def test_checkpoints_that_can_not_be_read_do_not_undo_an_answer(
    make: Make, firewall: FakeFirewall, monkeypatch: Any
) -> None:
    aegis = make()
    aegis.investigate(ATTACK)
    block = row_of(aegis, "block_ip").action_id
    dies(monkeypatch, aegis.graph.checkpointer, "get_tuple", nth=2)  # once it was approved
    with pytest.raises(Killed):
        aegis.approve(block)
    assert aegis.store.action(block).state == "executed"
    assert firewall.calls == [BLOCK]


def test_one_of_two_endorsements_outlives_the_process(make: Make, tmp_path: Path, monkeypatch: Any) -> None:
    register = tmp_path / "assets.toml"
    register.write_text('[groups.executives]\nusers = ["ceo*"]\n')
    first = make(assets=register)
    first.investigate(ATTACK | {"user_name": "ceo.ann"})
    revoke = row_of(first, "revoke_sessions").action_id
    alice, bob = token_of(first.store, "alice"), token_of(first.store, "bob")
    dies(monkeypatch, first.store, "append", after=True)
    with pytest.raises(Killed):
        first.approve(revoke, token=alice)
    second = make(assets=register)
    second.recover()
    assert [row.action_id for row in second.pending() if row.action_id == revoke] == [revoke]
    assert second.approve(revoke, token=alice).outcome == "awaiting_approval"  # the same person is still one
    assert second.approve(revoke, token=bob).outcome == "recommended"  # nothing here can end sessions


# pins


def test_what_was_pinned_decides_where_it_is_still_there(make: Make, tmp_path: Path) -> None:
    from aegis_agents.intel import Intel

    folder = tmp_path / "own"
    with Intel.open(folder, SureModel()) as intel:
        old = intel.snapshot_id
        pins = make(intel=intel).context.versions
        intel.replace_corpus("kev", [], version="none")
        context = make(intel=intel).context
        assert context.versions["intel"] != old
        with pinned(context, pins, folder) as found:
            assert found.context.versions["intel"] == old
            assert found.notes == ()
            assert found.context.gate is context.gate
        with pinned(context, pins | {"intel": "0" * 16, "model": "older@1"}, folder) as found:
            assert found.context is context
            (note,) = found.notes
            assert f"intel {context.versions['intel']} instead of {'0' * 16}" in note
            assert "model fake@1 instead of older@1" in note


def test_versions_that_are_the_same_are_not_talked_about() -> None:
    assert differing({"a": "1"}, {"a": "1"}) == ()
    assert "b 2 instead of none" in differing({"a": "1"}, {"a": "1", "b": "2"})[0]
