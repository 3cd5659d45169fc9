"""Who may answer, and what lifts itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import ActionError, Aegis
from aegis_agents.errors import ConnectorError, IdentityError, InputError, SettingsError
from aegis_agents.identity import os_account
from aegis_agents.records import AEGIS, Role
from tests.graph.conftest import ATTACK, FakeFirewall, SureModel
from tests.people import YEAR, token_of

Make = Callable[..., Aegis]
ALONE: dict[str, Any] = {"risk": {"contain": 0.9}, "model": SureModel()}


def block_of(aegis: Aegis, event: str = "a-1", **fields: str) -> Any:
    case = aegis.investigate(ATTACK | {"event_id": event} | fields)
    return next(a for a in case.actions if a.action == "block_ip")


def matrix(tmp_path: Path, level: str) -> Path:
    file = tmp_path / "matrix.toml"
    file.write_text(f'[block_ip]\nstandard = "{level}"\n')
    return file


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Moves the clock that expiry is measured by."""

    def move(by: timedelta) -> None:
        class Later(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime.now(tz) + by

        monkeypatch.setattr("aegis_agents.answering.datetime", Later)

    return move


# who answers


def test_without_a_token_the_kernel_says_who_it_was(make: Make) -> None:
    aegis = make()
    report = aegis.approve(block_of(aegis).action_id, by="alice")
    row = aegis.store.action(report.action_id)
    assert (row.by, row.principal) == ("alice", os_account().id)
    (entry,) = aegis.store.entries(kind="action.answered")
    assert entry.body["principal"]["said"] == "alice"
    assert entry.body["principal"]["detail"].startswith("uid ")


def test_the_environment_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os_account().name
    for name in ("USER", "LOGNAME", "SUDO_USER", "USERNAME"):
        monkeypatch.setenv(name, "mallory")
    assert os_account().name == before


def test_a_token_says_who_it_was_and_nobody_else(make: Make) -> None:
    aegis = make()
    block = block_of(aegis)
    token = token_of(aegis.store, "alice")
    with pytest.raises(IdentityError, match="alice's, not bob's"):
        aegis.approve(block.action_id, by="bob", token=token)
    assert aegis.store.action(block.action_id).state == "awaiting"
    assert aegis.approve(block.action_id, by=" Alice", token=token).outcome == "executed"
    assert aegis.store.action(block.action_id).principal == "token:alice"


@pytest.mark.parametrize("broken", ["unknown", "expired", "revoked", "altered"])
def test_a_token_that_is_not_in_force_answers_nothing(make: Make, broken: str) -> None:
    aegis = make()
    block = block_of(aegis)
    token = aegis.add_token("alice", ["approver"])
    if broken == "unknown":
        token = "aegis_" + "A" * 43
    elif broken == "altered":
        token = token[:-1] + ("A" if token[-1] != "A" else "B")
    elif broken == "revoked":
        aegis.revoke_token(aegis.store.tokens()[0].token_id)
    else:
        aegis.store._clock = lambda: datetime.now(UTC) + YEAR  # type: ignore[attr-defined]
    with pytest.raises(IdentityError, match="not known, has expired or was revoked"):
        aegis.approve(block.action_id, token=token)
    assert aegis.store.action(block.action_id).state == "awaiting"


@pytest.mark.parametrize(
    ("role", "ask"),
    [
        ("approver", lambda a, key, t: a.approve(key, token=t)),
        ("approver", lambda a, key, t: a.deny(key, token=t)),
        ("operator", lambda a, key, t: a.undo(key, token=t)),
        ("operator", lambda a, key, t: a.keep(key, token=t)),
        ("reviewer", lambda a, key, t: a.confirm(a.store.action(key).incident_id, "true_positive", token=t)),
        ("admin", lambda a, key, t: a.add_token("eve", ["admin"], token=t)),
        ("admin", lambda a, key, t: a.revoke_token("x", token=t)),
    ],
)
def test_every_answer_needs_its_role(make: Make, role: Role, ask: Callable[[Aegis, str, str], Any]) -> None:
    aegis = make()
    key = block_of(aegis).action_id
    others: list[Role] = [r for r in ("approver", "operator", "reviewer", "admin") if r != role]
    token = aegis.add_token("eve", others)
    entries = aegis.store.verify().entries
    with pytest.raises(IdentityError, match=f"no {role}"):
        ask(aegis, key, token)
    assert aegis.store.verify().entries == entries


def test_where_a_token_is_needed_the_account_is_not_enough(make: Make) -> None:
    aegis = make(require_token=True)
    block = block_of(aegis)
    with pytest.raises(IdentityError, match="require_token"):
        aegis.approve(block.action_id, by="alice")
    first = aegis.add_token("ada", ["admin", "approver"])  # the first one is made by who runs Aegis
    with pytest.raises(IdentityError, match="require_token"):
        aegis.add_token("eve", ["admin"])
    assert aegis.approve(block.action_id, token=first).outcome == "executed"


def test_a_token_in_the_settings_is_used(make: Make) -> None:
    aegis = make()
    block = block_of(aegis)
    token = aegis.add_token("alice", ["approver"])
    assert make(token=token).approve(block.action_id).outcome == "executed"
    assert aegis.store.action(block.action_id).principal == "token:alice"


def test_secrets_of_tokens_are_nowhere_in_the_state(make: Make, tmp_path: Path) -> None:
    aegis = make()
    token = aegis.add_token("alice", ["approver"])
    aegis.close()
    secret = token.removeprefix("aegis_").encode()
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or secret not in file.read_bytes(), file


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[31m"])
def test_a_token_needs_a_printable_name(make: Make, name: str) -> None:
    with pytest.raises(InputError, match="name"):
        make().add_token(name, ["approver"])


def test_a_token_needs_roles_that_exist(make: Make) -> None:
    with pytest.raises(InputError, match="roles"):
        make().add_token("alice", [])
    with pytest.raises(InputError, match="king"):
        make().add_token("alice", ["king"])  # type: ignore[list-item]


# what lifts itself


def test_what_was_done_at_act_undo_lifts_itself(
    make: Make, firewall: FakeFirewall, tmp_path: Path, late: Callable[[timedelta], None]
) -> None:
    aegis = make(matrix=matrix(tmp_path, "act_undo"), undo_window=2.0, **ALONE)
    block = block_of(aegis)
    assert block.outcome == "executed"
    (timer,) = aegis.timers()
    assert timer.expires_at is not None
    assert timedelta(hours=1.9) < timer.expires_at - datetime.now(UTC) <= timedelta(hours=2)
    late(timedelta(hours=1.9))
    assert aegis.expire_due() == []
    late(timedelta(hours=2.1))
    (report,) = aegis.expire_due()
    assert (report.outcome, report.by) == ("expired", "aegis")
    assert firewall.in_effect == set()
    assert aegis.timers() == []
    assert block_of(aegis).outcome == "expired"  # the same alert again does nothing anew


def test_what_was_done_at_act_stays(make: Make, tmp_path: Path) -> None:
    aegis = make(matrix=matrix(tmp_path, "act"), **ALONE)
    assert block_of(aegis).outcome == "executed"
    assert aegis.timers() == []


def test_a_lifetime_holds_for_what_people_approve(make: Make, late: Callable[[timedelta], None]) -> None:
    aegis = make(lifetimes={"block_ip": 1.0})
    block = block_of(aegis)
    aegis.approve(block.action_id, by="alice")
    late(timedelta(hours=1.1))
    assert [r.outcome for r in aegis.expire_due()] == ["expired"]


def test_kept_is_kept(make: Make, firewall: FakeFirewall, late: Callable[[timedelta], None]) -> None:
    aegis = make(lifetimes={"block_ip": 1.0})
    block = block_of(aegis)
    with pytest.raises(ActionError, match="not in effect"):
        aegis.keep(block.action_id, by="alice")
    aegis.approve(block.action_id, by="alice")
    aegis.keep(block.action_id, by="alice", reason="still beaconing")
    late(timedelta(days=300))
    assert aegis.expire_due() == []
    assert firewall.in_effect == {("block_ip", "203.0.113.9")}
    assert aegis.store.entries(kind="action.expiry")[-1].body["reason"] == "still beaconing"


def test_the_next_investigation_lifts_what_is_due(
    make: Make, firewall: FakeFirewall, late: Callable[[timedelta], None]
) -> None:
    aegis = make(lifetimes={"block_ip": 1.0})
    aegis.approve(block_of(aegis).action_id, by="alice")
    late(timedelta(hours=2))
    block_of(aegis, "a-2", destination_ip="198.51.100.77")
    assert firewall.in_effect == set()


def test_the_kill_switch_holds_expiry_back(make: Make, tmp_path: Path, late: Callable[[timedelta], None]) -> None:
    switch = tmp_path / "KILL"
    aegis = make(lifetimes={"block_ip": 1.0}, kill_switch=switch)
    aegis.approve(block_of(aegis).action_id, by="alice")
    late(timedelta(hours=2))
    switch.touch()
    assert aegis.expire_due() == []
    switch.unlink()
    assert len(aegis.expire_due()) == 1


def test_what_does_not_lift_is_tried_again(
    make: Make, firewall: FakeFirewall, late: Callable[[timedelta], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    aegis = make(lifetimes={"block_ip": 1.0})
    aegis.approve(block_of(aegis).action_id, by="alice")
    late(timedelta(hours=2))

    def refuse(*_: Any, **__: Any) -> str:
        raise ConnectorError("the firewall is in maintenance")

    with monkeypatch.context() as broken:
        broken.setattr(firewall, "undo", refuse)
        (report,) = aegis.expire_due()
    assert report.outcome == "executed"
    assert aegis.expire_due() == []  # not at once again
    late(timedelta(hours=2, minutes=6))
    assert [r.outcome for r in aegis.expire_due()] == ["expired"]


def test_one_incidents_expiry_does_not_lift_what_another_holds(
    make: Make, firewall: FakeFirewall, late: Callable[[timedelta], None]
) -> None:
    aegis = make(lifetimes={"block_ip": 1.0})
    first, second = block_of(aegis), block_of(aegis, "a-2")
    for block in (first, second):
        aegis.approve(block.action_id, by="alice")
    aegis.keep(second.action_id, by="alice")
    late(timedelta(hours=2))
    aegis.expire_due()
    assert firewall.in_effect == {("block_ip", "203.0.113.9")}
    aegis.undo(second.action_id, by="alice")
    assert firewall.in_effect == set()


def test_timers_survive_a_restart(make: Make, firewall: FakeFirewall, late: Callable[[timedelta], None]) -> None:
    first = make(lifetimes={"block_ip": 1.0})
    first.approve(block_of(first).action_id, by="alice")
    first.close()
    late(timedelta(hours=2))
    assert [r.outcome for r in make().expire_due()] == ["expired"]
    assert firewall.in_effect == set()


@pytest.mark.parametrize("lifetimes", [{"no_such": 1.0}, {"kill_process": 1.0}, {"block_ip": 0.0}])
def test_wrong_lifetimes_are_refused(make: Make, lifetimes: dict[str, float]) -> None:
    aegis = make(lifetimes=lifetimes)
    with pytest.raises(SettingsError, match="lifetimes"):
        aegis.investigate(ATTACK)


def test_set_expiry_says_by_whom(make: Make) -> None:
    aegis = make()
    block = block_of(aegis)
    aegis.approve(block.action_id, by="alice")
    aegis.store.set_expiry(block.action_id, datetime.now(UTC), AEGIS)
    assert aegis.store.entries(kind="action.expiry")[-1].body["principal"]["id"] == "aegis:aegis"
