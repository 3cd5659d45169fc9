"""What crash safety asks of the façade: owners, pins, one transaction for a case, the database setting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.errors import SettingsError
from aegis_agents.tools.owners import UNDER_WAY, this_process
from tests.crash.cut import BLOCK, Killed, admitted, dies, row_of, settled_and_told
from tests.crash.worker import SureModel
from tests.graph.conftest import ATTACK, FakeFirewall


def test_the_path_writes_its_owner_and_is_under_way_while_it_is(make: Callable[..., Aegis]) -> None:
    aegis = make()
    seen: list[bool] = []
    for _ in aegis.stream(ATTACK):
        (row,) = aegis.store.unfinished()
        seen.append(row.incident_id in UNDER_WAY and row.owner == this_process())
    assert seen == [True] * 4
    case = aegis.investigate(ATTACK)
    assert case.incident_id not in UNDER_WAY
    (ticket,) = (a for a in case.actions if a.action == "open_ticket")
    assert aegis.store.action(ticket.action_id).owner == this_process()


def test_recover_leaves_alone_what_another_thread_is_at(make: Callable[..., Aegis]) -> None:
    aegis = make()
    steps = aegis.stream(ATTACK)
    next(steps)
    assert make().recover() == []
    assert len(list(steps)) == 3
    assert aegis.store.unfinished() == []


def test_the_same_alert_again_takes_over_what_a_dead_process_left(make: Callable[..., Aegis]) -> None:
    aegis = make()
    incident_id = admitted(aegis, ATTACK, owner="")
    assert aegis.investigate(ATTACK).incident_id == incident_id
    row = aegis.store.intake(incident_id)
    assert row is not None
    assert row.owner == this_process()


def test_other_versions_than_pinned_are_said_in_the_case(make: Callable[..., Aegis]) -> None:
    class Newer(SureModel):
        version = "fake@2"

    admitted(make(), ATTACK)
    (case,) = make(model=Newer()).recover()
    assert any("model fake@2 instead of fake@1" in note for note in case.notes)
    assert case.versions["model"] == "fake@2"
    plain = make().investigate(ATTACK | {"event_id": "b"})
    assert not any("instead of" in note for note in plain.notes)


def test_the_pinned_snapshot_decides_where_it_is_still_there(make: Callable[..., Aegis], tmp_path: Path) -> None:
    from aegis_agents.intel import Intel

    with Intel.open(tmp_path / "intel", SureModel()) as intel:
        old = intel.snapshot_id
        admitted(make(intel=intel), ATTACK)
        intel.replace_corpus("kev", [], version="none")
        (case,) = make(intel=intel).recover()
        assert case.versions["intel"] == old != intel.snapshot_id
        assert not any("instead of" in note for note in case.notes)


def test_an_answer_that_comes_while_the_case_is_kept_is_not_lost(
    make: Callable[..., Aegis], firewall: FakeFirewall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the journal and keeping the case nobody can write."""
    aegis, desk = make(), make()
    store: Any = aegis.store
    real, alone = store.finish, []

    def finish(*arguments: Any) -> None:
        alone.append(store._depth > 0)
        real(*arguments)

    monkeypatch.setattr(store, "finish", finish)
    aegis.investigate(ATTACK)
    assert alone == [True]
    assert desk.approve(row_of(desk, "block_ip").action_id).outcome == "executed"
    settled_and_told(desk)


def test_what_waits_can_be_answered_before_its_case_is_kept(
    make: Callable[..., Aegis], firewall: FakeFirewall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off between decision and case, or still at it elsewhere: pending() shows it, so it can be answered."""
    first = make()
    for write in ("put", "put_writes"):
        monkeypatch.setattr(first.graph.checkpointer, write, lambda config, *_: config)
    dies(monkeypatch, first.store, "finish")
    with pytest.raises(Killed):
        first.investigate(ATTACK)
    desk = make()
    assert desk.approve(row_of(desk, "block_ip").action_id).outcome == "executed"
    assert firewall.calls == [BLOCK]
    desk.recover()
    settled_and_told(desk)


def test_the_setting_names_the_database(database: str | None, schema: str, tmp_path: Path, intel_home: Any) -> None:
    with Aegis(model=SureModel(), intel=intel_home, home=tmp_path, database=database, database_schema=schema) as aegis:
        aegis.investigate(ATTACK)
        assert type(aegis.store).__name__ == ("SqliteStore" if database is None else "PostgresStore")
        assert type(aegis.graph.checkpointer).__name__ == ("SqliteSaver" if database is None else "PostgresSaver")
        aegis.store.verify()
    assert (tmp_path / "aegis.sqlite").exists() == (database is None)


def test_a_database_that_is_none_is_refused_and_its_password_is_not_shown(tmp_path: Path) -> None:
    aegis = Aegis(home=tmp_path, database="mysql://me:hunter2@h/d")
    with pytest.raises(SettingsError, match=r"^database: not an address"):
        _ = aegis.store
    assert "hunter2" not in repr(aegis.settings)
