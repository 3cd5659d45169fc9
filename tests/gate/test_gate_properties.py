"""No order of events leads to what must not be: a machine that tries, over the real gate, journal and write path.

(a) containment of a protected asset without the approvals that policy asks for, (b) an action on what the incident
does not name, (c) containment on what is no attack, (d) more than the budget, (e) anything but records while the
kill switch is engaged, (f) a closed alert that is not shown harmless.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from gate_machine import ADDRESSES, HOSTS, PEOPLE, PROTECTED, USERS, Broken, House, Told
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aegis_agents.errors import ActionError
from aegis_agents.gate import budget, cedar, cost, killswitch
from aegis_agents.gate import gate as gate_module
from aegis_agents.gate.request import ACTION_CLASSES, allow
from aegis_agents.gate.tiers import TIERS
from aegis_agents.gate.validators import RAILS, runner
from aegis_agents.records import AUTONOMY_LEVELS, CATALOGUE, VERDICTS, Target

levels = st.sampled_from(AUTONOMY_LEVELS[::-1])
cells = st.dictionaries(
    st.sampled_from([*ACTION_CLASSES, "isolate_host", "block_ip", "disable_user"]),
    st.dictionaries(st.sampled_from(TIERS), levels, max_size=3),
    max_size=4,
)
wide = st.fixed_dictionaries(
    {name: st.just(dict.fromkeys(TIERS, "act")) for name in ("contain", "destroy", "close_alert", "record")}
)
gate_settings = st.fixed_dictionaries(
    {
        "autonomy": st.sampled_from(["act"] * 6 + ["act_undo", "act_undo", "ask"]),
        "matrix": st.one_of(wide, wide, wide, cells),
        "risk": st.fixed_dictionaries({n: st.sampled_from([0.5, 0.0, 0.95]) for n in ("contain", "destroy", "close_alert")}),
        "costs": st.sampled_from([None, {"minutes": {"approval": 1e6, "closing": 1e6}}, {"minutes": {"approval": 0}}]),
        "budgets": st.fixed_dictionaries(
            {
                "actions_per_hour": st.sampled_from([4, 2, 20, 0]), "closings_per_hour": st.sampled_from([2, 1, 0]),
                "blast_radius": st.sampled_from([20, 3, 1]), "trip_after": st.sampled_from([9, 2, 1]),
                "most_per_hour": st.sampled_from([6, 9, 3]),
                "per_tier": st.fixed_dictionaries({tier: st.sampled_from([20, 2, 0]) for tier in TIERS}),
            }
        ),
    }
)  # fmt: skip
alerts = st.builds(
    Told,
    verdict=st.sampled_from(["true_positive", *VERDICTS]),
    confidence=st.sampled_from([0.99, 1.0, 0.9, 0.3]),
    host=st.sampled_from(HOSTS), user=st.sampled_from(USERS), address=st.sampled_from(ADDRESSES),
    external=st.sampled_from([False] * 7 + [True]), flips=st.sampled_from([False] * 5 + [True]),
)  # fmt: skip
names: dict[str, tuple[str, ...]] = {"host": HOSTS, "user": USERS, "ip": ADDRESSES, "alert": ("alert-1", "alert-2")}
targets = st.sampled_from(
    [Target.model_validate({"kind": k, "value": v}) for k, values in names.items() for v in values]
)
wild = st.lists(st.tuples(st.sampled_from(sorted(CATALOGUE)), targets), max_size=3)
people = st.sampled_from(PEOPLE)
which = st.integers(0, 7)


class Service(RuleBasedStateMachine):
    """What can happen, in any order."""

    @initialize(given=gate_settings, told=st.lists(alerts, min_size=1, max_size=3), extra=wild)
    def open(self, given: dict[str, Any], told: list[Told], extra: Any) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="aegis-gate-"))
        self.house = House(self.home, given)
        self.patched = self.house.clock()
        self.patched.__enter__()
        for each in told:
            self.house.take_in(each, extra, crash="")

    @rule(
        told=st.lists(alerts, min_size=1, max_size=3),
        extra=wild,
        crash=st.sampled_from(["", "", "decided", "admitted"]),
    )
    def alert(self, told: list[Told], extra: Any, crash: str) -> None:
        for each in told:
            self.house.take_in(each, extra, crash=crash)

    @rule(
        answers=st.lists(st.tuples(which, people, st.sampled_from([True, True, True, False])), min_size=1, max_size=6)
    )
    def people_answer(self, answers: list[tuple[int, str, bool]]) -> None:
        for number, person, yes in answers:
            if not (waiting := self.house.pending()):
                return
            action_id = waiting[number % len(waiting)].action_id
            if yes:
                self.house.say_yes(action_id, person)
            else:
                self.house.deny(action_id, token=self.house.tokens[person])

    @rule(number=which)
    def undo(self, number: int) -> None:
        done = [r for i in self.house.incidents for r in self.house.store.actions(i) if r.state == "executed"]
        done = [r for r in done if CATALOGUE[r.proposal.action].reversible]
        if done:
            self.house.undo(done[number % len(done)].action_id, token=self.house.tokens["ada"])

    @rule(minutes=st.sampled_from([1, 20, 59, 61, 300]))
    def wait(self, minutes: int) -> None:
        self.house.now += timedelta(minutes=minutes)
        self.house.expire_due()

    @rule(on=st.sampled_from([False, False, True]))
    def kill_switch(self, on: bool) -> None:
        self.house.switch.touch() if on else self.house.switch.unlink(missing_ok=True)

    @rule()
    def crash_and_recover(self) -> None:
        self.house.restart()

    @rule()
    def a_system_says_no(self) -> None:
        self.house.world.fails_next = True

    @invariant()
    def nothing_reached_the_world_that_must_not(self) -> None:
        if hasattr(self, "house"):
            assert self.house.world.broken == []

    def teardown(self) -> None:
        if hasattr(self, "house"):
            self.patched.__exit__(None, None, None)
            self.house.store.verify()
            self.house.store.close()
            shutil.rmtree(self.home)


run = settings(
    max_examples=25, stateful_step_count=12, deadline=None, derandomize=True,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking would write databases for minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
TestService = Service.TestCase
TestService.settings = run


@pytest.fixture
def house(tmp_path: Path) -> Any:
    made: list[House] = []

    def make(**changes: Any) -> House:
        given: dict[str, Any] = {
            "autonomy": "act", "matrix": {n: dict.fromkeys(TIERS, "act") for n in ACTION_CLASSES},
            "risk": {"contain": 0.5, "destroy": 0.5, "close_alert": 0.5},
        }  # fmt: skip
        home = tmp_path / str(len(made))
        home.mkdir()
        found = House(home, given | changes)
        made.append(found)
        return found

    yield make
    for found in made:
        found.store.close()


ATTACK = Told("true_positive", 0.99, "web-01", "ann.lee", "203.0.113.7", external=False, flips=False)
HARMLESS = ATTACK._replace(verdict="benign_positive", confidence=1.0)


def always(module: Any, name: str = "check") -> Callable[[pytest.MonkeyPatch], None]:
    """A fault: this step has nothing against anything."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        steps = gate_module._AFTER_RAILS
        for step, function in steps.items():
            if function is getattr(module, name):
                patch.setattr(gate_module, "_AFTER_RAILS", {**steps, step: lambda *_: allow("planted")})
        patch.setattr(module, name, lambda *_: allow("planted"))

    return plant


def no_rail(rail: str) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        rails = {**runner.RAILS, rail: lambda *_: allow("planted")}
        patch.setattr(runner, "RAILS", rails)
        patch.setattr(gate_module, "RAILS", rails)

    return plant


def flood(house: House) -> None:
    for host, user in zip(HOSTS[:3], USERS[:2] * 2, strict=False):
        house.take_in(ATTACK._replace(host=host, user=user), (), crash="")


def stopped(house: House) -> None:
    house.switch.touch()
    house.take_in(ATTACK, (), crash="")


OUTSIDE = [("isolate_host", Target(kind="host", value="web-03"))]
CLOSE = [("close_alert", Target(kind="alert", value="alert-1"))]
ISOLATE = [("isolate_host", Target(kind="host", value="web-01"))]
LIMITS = {"actions_per_hour": 50, "most_per_hour": 50, "per_tier": {"protected": 50}}
UNGUARDED = [always(cedar), no_rail("action.protected"), no_rail("action.verdict"), always(cost)]
FAULTS: Any = [
    ("(a) revoke_sessions without", UNGUARDED, lambda h: h.take_in(ATTACK, (), crash="")),
    ("(a) isolate_host on protected", UNGUARDED, lambda h: h.take_in(ATTACK._replace(host="dc-01"), (), crash="")),
    ("(b)", [no_rail("action.target")], lambda h: h.take_in(ATTACK, OUTSIDE, crash="")),
    ("(c)", UNGUARDED, lambda h: h.take_in(HARMLESS, ISOLATE, crash="")),
    ("(d) more than 2", [always(budget)], flood),
    ("(e)", [always(killswitch)], stopped),
    ("(f)", UNGUARDED, lambda h: h.take_in(ATTACK._replace(verdict="undetermined"), CLOSE, crash="")),
]


@pytest.mark.parametrize(("says", "plants", "events"), FAULTS, ids=[f[0] for f in FAULTS])
def test_the_machine_would_notice(
    says: str, plants: Any, events: Any, house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Take the steps that guard it away, and each property is seen to break: the machine's judge can fail."""
    limits = LIMITS | ({"actions_per_hour": 2} if "(d)" in says else {})
    made = house(budgets=limits)
    with made.clock():
        events(made)
    assert made.world.broken == []  # whole: nothing breaks
    for plant in plants:
        plant(monkeypatch)
    again = house(budgets=limits)
    with again.clock(), suppress(Broken):
        events(again)
    assert any(broken.startswith(says) for broken in again.world.broken), again.world.broken


def test_each_step_alone_is_not_all_that_stands_between(
    house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Policy and rails say the most dangerous things twice: without the rails, policy still holds."""
    no_rail("action.verdict")(monkeypatch)
    no_rail("action.protected")(monkeypatch)
    made = house()
    with made.clock():
        made.take_in(HARMLESS, ISOLATE, crash="")
        made.take_in(ATTACK._replace(host="dc-01", user="ceo"), CLOSE, crash="")
    assert made.world.acted == [made.now] * len(made.world.acted)
    assert not {value for _, value in made.world.in_effect} & PROTECTED


def test_two_different_persons_and_no_fewer(house: Callable[..., House]) -> None:
    made = house()
    with made.clock():
        made.take_in(ATTACK._replace(user="ceo"), (), crash="")
        (row,) = [r for r in made.pending() if r.proposal.action == "revoke_sessions"]
        made.say_yes(row.action_id, "ada")
        made.say_yes(row.action_id, "ada")
        assert made.store.action(row.action_id).state == "awaiting"
        made.restart()  # a restart forgets neither the question nor the first yes
        made.say_yes(row.action_id, "ben")
    assert made.store.action(row.action_id).state == "executed"


def test_no_approval_goes_beyond_the_ceiling(house: Callable[..., House]) -> None:
    made = house(autonomy="ask", budgets={"most_per_hour": 2})
    with made.clock():
        flood(made)
        waiting = [r for r in made.pending() if CATALOGUE[r.proposal.action].effect == "contain"]
        for row in waiting:
            made.say_yes(row.action_id, "ada")
        assert len(made.world.acted) == 2
        with pytest.raises(ActionError, match=r"budget\.most"):
            made.approve(waiting[-1].action_id, token=made.tokens["ben"])
        made.now += timedelta(minutes=61)
        made.say_yes(waiting[-1].action_id, "ben")
    assert len(made.world.acted) == 3


def test_the_breaker_opens_survives_a_restart_and_closes_with_the_hour(house: Callable[..., House]) -> None:
    made = house(budgets={"trip_after": 2, "actions_per_hour": 50})
    with made.clock():
        made.take_in(ATTACK, (), crash="")
        done = [r for i in made.incidents for r in made.store.actions(i) if r.state == "executed"]
        contained = [r for r in done if CATALOGUE[r.proposal.action].effect == "contain"]
        for row in contained[:2]:
            made.undo(row.action_id, token=made.tokens["ada"])
        made.restart()
        before = len(made.world.acted)
        made.take_in(ATTACK._replace(host="web-02", address="203.0.113.8"), (), crash="")
        assert len(made.world.acted) == before
        rules = {r.decision.inputs["budget.rule"] for r in made.pending() if r.effect == "contain"}
        assert rules == {"budget.breaker"}
        made.now += timedelta(minutes=61)
        made.take_in(ATTACK._replace(host="web-03", address="198.51.100.9"), (), crash="")
    assert len(made.world.acted) > before


def test_every_rail_and_step_has_a_name_in_the_order() -> None:
    assert set(RAILS) | set(gate_module._AFTER_RAILS) <= set(gate_module._ORDER)
