"""Answers that come from the wrong person, at the wrong moment, or two at once."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.answering import MOST_REASON
from aegis_agents.errors import ActionError, AegisError, IdentityError, InputError, StoreError
from aegis_agents.identity import MOST_SAID
from aegis_agents.once import opened_once
from tests.graph.conftest import ATTACK, FakeFirewall
from tests.people import person, token_of

Make = Callable[..., Aegis]

FOUR_EYES = '[groups.executives]\nusers = ["ceo*"]\n'


def waiting(aegis: Aegis, action: str = "block_ip") -> str:
    return next(row.action_id for row in aegis.pending() if row.proposal.action == action)


@pytest.fixture
def two_needed(make: Make, firewall: FakeFirewall, tmp_path: Path) -> tuple[Aegis, str]:
    """An action that policy wants two persons for, and that can be done."""
    firewall.actions |= {"revoke_sessions"}
    (tmp_path / "assets.toml").write_text(FOUR_EYES)
    aegis = make(assets=tmp_path / "assets.toml")
    aegis.investigate(ATTACK | {"user_name": "ceo.ann"})
    return aegis, waiting(aegis, "revoke_sessions")


@pytest.mark.parametrize(
    "by", ["x\ny", "\x1b[31mred", "a" * 1_000_000, "al\u202eice", "alice\x00", "a" * (MOST_SAID + 1)]
)
@pytest.mark.parametrize("method", ["approve", "deny", "undo", "keep"])
def test_a_name_that_could_make_up_a_line_is_refused(make: Make, method: str, by: str) -> None:
    aegis = make()
    aegis.investigate(ATTACK)
    with pytest.raises(InputError, match=r"^by: "):
        getattr(aegis, method)(waiting(aegis), by=by)
    assert len(aegis.pending()) == 2


@pytest.mark.parametrize("method", ["approve", "deny", "undo", "keep"])
def test_a_reason_has_an_end(make: Make, method: str) -> None:
    aegis = make()
    aegis.investigate(ATTACK)
    with pytest.raises(InputError, match=r"^reason: has 2001 characters"):
        getattr(aegis, method)(waiting(aegis), reason="a" * (MOST_REASON + 1))


def test_bytes_that_are_no_unicode_are_spelt_out(make: Make) -> None:
    aegis = make()
    aegis.investigate(ATTACK)
    report = aegis.deny(waiting(aegis), by="ali\udcffce", reason="\udcff")
    assert report.by == "ali\\udcffce"


def test_the_reason_of_an_undo_is_kept(make: Make) -> None:
    aegis = make()
    aegis.investigate(ATTACK)
    action_id = waiting(aegis)
    aegis.approve(action_id)
    aegis.undo(action_id, by="alice", reason="it is our own proxy")
    (asked,) = aegis.store.entries(kind="action.undo_asked")
    assert asked.body is not None
    assert (asked.body["reason"], asked.body["by"]) == ("it is our own proxy", "alice")


@pytest.mark.parametrize(("first", "second"), [("José", "Jose\u0301"), ("alice", "ａｌｉｃｅ"), ("alice", " ALICE ")])
def test_one_name_written_in_two_ways_is_one_person(two_needed: tuple[Aegis, str], first: str, second: str) -> None:
    aegis, action_id = two_needed
    one, other = token_of(aegis.store, first), token_of(aegis.store, second)
    assert aegis.approve(action_id, token=one).outcome == "awaiting_approval"
    assert aegis.approve(action_id, token=other).outcome == "awaiting_approval"
    assert aegis.approve(action_id, token=token_of(aegis.store, "bob")).outcome == "executed"


def test_what_a_revoked_token_said_counts_no_more(two_needed: tuple[Aegis, str], firewall: FakeFirewall) -> None:
    aegis, action_id = two_needed
    thief = token_of(aegis.store, "alice")
    aegis.approve(action_id, token=thief)
    aegis.revoke_token(aegis.store.tokens()[-1].token_id)
    assert aegis.approve(action_id, token=token_of(aegis.store, "bob")).outcome == "awaiting_approval"
    assert firewall.calls == []
    assert aegis.approve(action_id, token=token_of(aegis.store, "alice")).outcome == "executed"


def test_what_a_revoked_token_approved_before_a_crash_is_not_done(make: Make, firewall: FakeFirewall) -> None:
    aegis = make()
    aegis.investigate(ATTACK)
    action_id, token = waiting(aegis), token_of(aegis.store, "alice")
    who = aegis.store.authenticate(token)
    aegis.store.answer(action_id, True, who)  # and there the process died
    aegis.revoke_token(aegis.store.tokens()[0].token_id)
    make().recover()
    assert aegis.store.action(action_id).state == "recommended"
    assert firewall.calls == []


def test_a_token_that_is_revoked_while_the_gate_looks_approves_nothing(
    make: Make, firewall: FakeFirewall, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aegis_agents.agents import again

    aegis = make()
    aegis.investigate(ATTACK)
    token, decide = token_of(aegis.store, "alice"), again.decide_again

    def slow(*given: Any) -> Any:
        decision = decide(*given)
        aegis.revoke_token(aegis.store.tokens()[0].token_id)
        return decision

    monkeypatch.setattr(again, "decide_again", slow)
    with pytest.raises(IdentityError):
        aegis.approve(waiting(aegis), token=token)
    assert len(aegis.pending()) == 2
    assert firewall.calls == []


def test_two_approvals_at_once_do_not_both_pass_the_ceiling(
    make: Make, firewall: FakeFirewall, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aegis_agents.agents import again

    aegis = make(budgets={"most_per_hour": 1})
    aegis.investigate(ATTACK)
    both, decide, met = [row.action_id for row in aegis.pending()], again.decide_again, threading.Barrier(2)
    assert len(both) == 2
    first = threading.local()

    def together(*given: Any) -> Any:
        decision = decide(*given)
        if not getattr(first, "over", False):
            first.over = True
            met.wait(10)  # both have looked before either has answered
        return decision

    monkeypatch.setattr(again, "decide_again", together)
    failed: list[AegisError] = []

    def approve(action_id: str) -> None:
        try:
            aegis.approve(action_id)
        except AegisError as error:
            failed.append(error)

    threads = [threading.Thread(target=approve, args=(action_id,)) for action_id in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(firewall.calls) == 1
    assert [str(error).partition("budget.most")[1] for error in failed] == ["budget.most"]


def test_of_two_pairs_of_eyes_at_once_the_second_is_seen(
    two_needed: tuple[Aegis, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from aegis_agents.agents import again

    aegis, action_id = two_needed
    alice, bob, decide = token_of(aegis.store, "alice"), token_of(aegis.store, "bob"), again.decide_again

    def meanwhile(*given: Any) -> Any:
        decision = decide(*given)
        monkeypatch.setattr(again, "decide_again", decide)
        aegis.approve(action_id, token=bob)
        return decision

    monkeypatch.setattr(again, "decide_again", meanwhile)
    assert aegis.approve(action_id, token=alice).outcome == "executed"


def test_shadow_does_not_touch_what_a_live_one_left_waiting(make: Make, firewall: FakeFirewall) -> None:
    live, shadow = make(), make(mode="shadow")
    live.investigate(ATTACK)
    action_id = waiting(live)
    with pytest.raises(ActionError, match="shadow"):
        shadow.approve(action_id)
    assert firewall.calls == []
    live.approve(action_id)
    with pytest.raises(ActionError, match="shadow"):
        shadow.undo(action_id)
    assert firewall.in_effect == {("block_ip", "203.0.113.9")}


def test_an_old_case_shows_what_was_done_since(make: Make) -> None:
    aegis, elsewhere = make(), make()
    case = aegis.investigate(ATTACK)
    action_id = waiting(aegis)
    elsewhere.store.answer(action_id, True, elsewhere.store.authenticate(token_of(elsewhere.store, "alice")))
    elsewhere._write_path.execute(action_id)  # and there it died, before the case was brought up to it
    now = {action.action_id: action.outcome for action in aegis.case(case.incident_id).actions}
    assert now[action_id] == "executed"


def test_what_is_kept_while_others_are_lifted_stays(
    make: Make, firewall: FakeFirewall, monkeypatch: pytest.MonkeyPatch
) -> None:
    aegis = make(lifetimes={"block_ip": 1, "isolate_host": 1})
    aegis.investigate(ATTACK)
    for row in aegis.pending():
        aegis.approve(row.action_id)
    later = datetime.now(UTC) + timedelta(hours=2)
    first, second = aegis.store.due(later)
    monkeypatch.setattr("aegis_agents.answering.datetime", type("Later", (), {"now": staticmethod(lambda _: later)}))
    undo = aegis._write_path.undo

    def keeping(action_id: str, *given: Any, **named: Any) -> Any:
        aegis.keep(second.action_id)
        return undo(action_id, *given, **named)

    monkeypatch.setattr(aegis._write_path, "undo", keeping)
    assert [report.action_id for report in aegis.expire_due()] == [first.action_id]
    assert aegis.store.action(second.action_id).state == "executed"


# threads, forks, files


def test_parts_are_opened_once_and_threads_do_not_lock_each_other_out() -> None:
    class Whole:
        def __init__(self) -> None:
            self._building, self.opened = threading.RLock(), list[str]()

        @opened_once
        def left(self) -> object:
            self.opened.append("left")
            time.sleep(0.01)
            return object()

        @opened_once
        def right(self) -> object:
            self.opened.append("right")
            time.sleep(0.01)
            return self.left

        @opened_once
        def over(self) -> object:
            return self.right

    def look(whole: Whole, name: str, found: list[object]) -> None:
        found.append(getattr(whole, name))

    for _ in range(5):
        whole, found = Whole(), list[object]()
        names = ("left", "over", "right") * 4
        threads = [threading.Thread(target=look, args=(whole, name, found), daemon=True) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(found) == len(names)
        assert len(set(map(id, found))) == 1
        assert sorted(whole.opened) == ["left", "right"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork_the_child_is_told_to_open_its_own(make: Make) -> None:
    aegis = make()
    aegis.investigate(ATTACK)
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        said = "nothing"
        try:
            aegis.investigate(ATTACK | {"event_id": "forked"})
        except StoreError as error:
            said = str(error)
        finally:
            os.write(write, said.encode())
            os._exit(0)
    os.waitpid(pid, 0)
    assert "open it again in this process" in os.read(read, 1000).decode()
    os.close(read)
    os.close(write)
    assert aegis.investigate(ATTACK | {"event_id": "a-2"}).verdict == "true_positive"


def test_checkpoints_are_for_their_owner_alone_and_damage_is_said(make: Make, tmp_path: Path) -> None:
    aegis, file = make(), tmp_path / "checkpoints.sqlite"
    aegis.investigate(ATTACK)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    action_id = waiting(aegis)
    aegis.close()
    for part in tmp_path.glob("checkpoints.sqlite*"):
        part.write_bytes(b"garbage " * 1000)
    file.chmod(0o644)
    with pytest.raises(StoreError, match="delete it"):
        make().approve(action_id)
    for part in tmp_path.glob("checkpoints.sqlite*"):
        part.unlink()
    assert make().approve(action_id).outcome == "executed"


def test_checkpoints_that_others_could_read_are_closed_to_them(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "checkpoints.sqlite"
    sqlite3.connect(file).close()
    file.touch()
    file.chmod(0o644)
    make().investigate(ATTACK)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_checkpoints_that_cannot_be_kept_hold_no_answer_up(make: Make, firewall: FakeFirewall) -> None:
    aegis = make()
    aegis.investigate(ATTACK)
    aegis.graph.checkpointer.conn.execute("PRAGMA query_only=ON")  # as a disk that is full
    assert aegis.approve(waiting(aegis)).outcome == "executed"
    assert len(firewall.calls) == 1
    with pytest.raises(StoreError, match="checkpoints: "):
        aegis.investigate(ATTACK | {"event_id": "a-2"})
    assert len(make().recover()) == 1


def test_a_home_that_is_a_file_is_said(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="can't be opened"):
        _ = Aegis(home=tmp_path / "file").graph


def test_a_stream_that_is_left_is_decided_by_the_next_to_come(make: Make, firewall: FakeFirewall) -> None:
    aegis = make()
    for steps in (1, 4):
        alert = ATTACK | {"event_id": f"left-{steps}"}
        run = aegis.stream(alert)
        for _ in range(steps):
            next(run)
        run.close()
        assert len(aegis.investigate(alert).actions) == 3
    assert aegis.store.unfinished() == []
    assert len(aegis.pending()) == 4


def test_cancelling_gives_up_the_wait_and_not_the_case(make: Make) -> None:
    import asyncio

    aegis = make()

    async def impatient() -> None:
        task = asyncio.create_task(aegis.ainvestigate(ATTACK))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(impatient())
    assert len(aegis.investigate(ATTACK).actions) == 3
    assert aegis.store.unfinished() == []


def test_what_is_approved_does_not_stand_in_its_own_way_after_a_crash(make: Make, firewall: FakeFirewall) -> None:
    first = make(budgets={"most_per_hour": 1})
    first.investigate(ATTACK)
    action_id = waiting(first)
    first.store.answer(action_id, True, person("alice"))  # and the process dies before it begins
    second = make(budgets={"most_per_hour": 1})
    second.recover()
    assert second.store.action(action_id).outcome == "executed"
    with pytest.raises(ActionError, match=r"budget\.most"):  # the ceiling holds for the next one
        second.approve(second.pending()[0].action_id)
