"""Taking back everything since a time."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from aegis_agents import Aegis
from aegis_agents.cli import people
from aegis_agents.cli.main import app
from aegis_agents.errors import ActionError, ConnectorError, IdentityError, InputError
from aegis_agents.records import ActionReport, Target
from aegis_agents.taking_back import undo_since
from tests.graph.conftest import ATTACK, FakeFirewall, firewall, intel_home, make  # noqa: F401 - fixtures
from tests.upkeep.states import decide

Make = Callable[..., Aegis]
HOUR = timedelta(hours=1)


def block(aegis: Aegis, event: str, address: str = "203.0.113.9") -> str:
    """An attack whose block a person approved; answers the action."""
    case = aegis.investigate(ATTACK | {"event_id": event, "destination_ip": address})
    key = next(a.action_id for a in case.actions if a.action == "block_ip" and a.target.value == address)
    assert aegis.approve(key).outcome == "executed"
    return key


def ids(reports: tuple[ActionReport, ...]) -> list[str]:
    return [report.action_id for report in reports]


def since(minutes: float = 60) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


def test_all_since_then_newest_first_and_only_once(make: Make, firewall: FakeFirewall) -> None:
    aegis = make()
    before = block(aegis, "a", "203.0.113.1")
    then = datetime.now(UTC)
    first, second = block(aegis, "b", "203.0.113.2"), block(aegis, "c", "203.0.113.3")
    would = undo_since(aegis, then, dry_run=True)
    tickets = [a.action_id for a in would.undone if a.action == "open_ticket"]
    assert [i for i in ids(would.undone) if i not in tickets] == [second, first]
    assert {v for _, v in firewall.in_effect} == {"203.0.113.1", "203.0.113.2", "203.0.113.3"}

    done = undo_since(aegis, then, reason="bad model", by="alice")
    assert done.complete
    assert ids(done.undone) == ids(would.undone)
    assert {v for _, v in firewall.in_effect} == {"203.0.113.1"}
    assert aegis.store.action(before).state == "executed"
    (entry,) = aegis.store.entries(kind="action.undo_since")
    assert entry.body is not None
    assert (entry.body["reason"], entry.body["by"]) == ("bad model", "alice")
    assert undo_since(aegis, then).undone == ()
    aegis.store.verify()


def test_what_was_held_before_that_time_stays(make: Make, firewall: FakeFirewall) -> None:
    aegis = make()
    block(aegis, "a")
    then = datetime.now(UTC)
    second = block(aegis, "b")
    third = block(aegis, "c")
    done = undo_since(aegis, then)
    assert {second, third} <= set(ids(done.undone))
    assert ("block_ip", "203.0.113.9") in firewall.in_effect
    undo_since(aegis, since())
    assert ("block_ip", "203.0.113.9") not in firewall.in_effect


def test_it_works_while_the_kill_switch_is_engaged(make: Make, firewall: FakeFirewall, tmp_path: Path) -> None:
    aegis = make()
    block(aegis, "a")
    (tmp_path / "KILL").touch()
    assert undo_since(aegis, since()).complete
    assert not firewall.in_effect


def test_what_fails_or_can_not_be_taken_back_is_named_and_stops_nothing(
    make: Make, firewall: FakeFirewall, monkeypatch: pytest.MonkeyPatch
) -> None:
    aegis = make()
    first, stuck, third = (block(aegis, str(n), f"203.0.113.{n}") for n in (1, 2, 3))
    with aegis.store.transaction():
        name = aegis.store.action(first).incident_id
        reset = decide(aegis.store, name, "kill_process", value="proc")  # type: ignore[arg-type]
        aegis.store.begin(reset, owner="gone:1:x")
        under_way = decide(aegis.store, name, "isolate_host", value="h")  # type: ignore[arg-type]
        aegis.store.begin(under_way, owner="gone:1:x")
    aegis.store.settle(reset, "executed", "edr", "")
    real = firewall.undo

    def undo(action: str, target: Target, *, key: str) -> str:
        if target.value == "203.0.113.2":
            raise ConnectorError("the firewall says no")
        return real(action, target, key=key)

    monkeypatch.setattr(firewall, "undo", undo)
    done = undo_since(aegis, since())
    assert {first, third} <= set(ids(done.undone))
    left = {item.action.action_id: item for item in done.left}
    assert set(left) == {stuck, reset, under_way}
    assert "the firewall says no" in left[stuck].why
    assert "203.0.113.2" in left[stuck].by_hand
    assert "start the process again" in left[reset].by_hand
    assert "aegis recover" in left[under_way].by_hand
    monkeypatch.undo()
    assert stuck in ids(undo_since(aegis, since()).undone)  # given again, it goes on with what is left


def test_what_a_person_approved_can_be_left(make: Make) -> None:
    aegis = make()
    approved = block(aegis, "a")
    done = undo_since(aegis, since(), by_aegis_only=True)
    assert approved not in ids(done.undone)
    assert aegis.store.action(approved).state == "executed"
    assert [a.action for a in done.undone] == ["open_ticket"]  # which Aegis opened by itself


def test_what_is_no_time_and_who_may_not(make: Make) -> None:
    aegis = make()
    with pytest.raises(InputError, match="no time zone"):
        undo_since(aegis, datetime(2026, 1, 1))
    with pytest.raises(InputError, match="future"):
        undo_since(aegis, datetime.now(UTC) + HOUR)
    with pytest.raises(IdentityError):
        undo_since(aegis, since(), token="not-a-token")
    with pytest.raises(ActionError, match="in shadow"):
        undo_since(make(mode="shadow"), since())
    assert not aegis.store.entries(kind="action.undo_since")


def test_the_command(make: Make, firewall: FakeFirewall, monkeypatch: pytest.MonkeyPatch) -> None:
    aegis = make()
    block(aegis, "a")

    class Open:
        def __enter__(self) -> Aegis:
            return aegis

        def __exit__(self, *_: Any) -> None:
            """Left open for the next command."""

    monkeypatch.setattr(people, "open_aegis", lambda *_, **__: Open())
    run = CliRunner()
    would = run.invoke(app, ["undo", "--since", "2h", "--dry-run"])
    assert (would.exit_code, "would take back block_ip ip:203.0.113.9" in would.output) == (0, True)
    assert firewall.in_effect
    done = run.invoke(app, ["undo", "--since", "2h", "--reason", "drill"])
    assert (done.exit_code, "0 left" in done.output) == (0, True)
    assert not firewall.in_effect
    monkeypatch.setattr(firewall, "undo", lambda *_, **__: (_ for _ in ()).throw(ConnectorError("no")))
    block(aegis, "b")
    failed = run.invoke(app, ["undo", "--since", "2h"])
    assert (failed.exit_code, "not taken back: no" in failed.output) == (1, True)
    for wrong in (
        [],
        ["act-1", "--since", "2h"],
        ["act-1", "--dry-run"],
        ["--since", "2h", "--wrong"],
        ["--since", "soon"],
    ):
        assert run.invoke(app, ["undo", *wrong]).exit_code == 1


def test_what_is_approved_and_not_begun_is_named_until_it_can_not_be_done_any_more(
    make: Make, firewall: FakeFirewall, tmp_path: Path
) -> None:
    """Taken back is what was done; what would be done a moment later must not be forgotten."""
    aegis = make()
    first = block(aegis, "a")
    later = decide(aegis.store, aegis.store.action(first).incident_id, value="203.0.113.77")  # type: ignore[arg-type]
    would = undo_since(aegis, since(), dry_run=True)
    assert later in [item.action.action_id for item in would.left]
    done = undo_since(aegis, since())
    assert first in ids(done.undone)
    (item,) = done.left
    assert (item.action.action_id, "kill switch" in item.by_hand) == (later, True)
    (tmp_path / "KILL").touch()
    aegis.recover()
    assert undo_since(aegis, since()).complete
    (tmp_path / "KILL").unlink()
    aegis.recover()
    assert not firewall.in_effect
