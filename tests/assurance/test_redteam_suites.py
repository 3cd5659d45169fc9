"""Each suite: it holds where the defence stands, and finds what gets through where it is taken away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.aegis import Aegis
from aegis_agents.assurance.redteam import SUITES, Attempt
from aegis_agents.assurance.redteam import fields as fields_module
from aegis_agents.assurance.redteam import limits as limits_module
from aegis_agents.assurance.redteam import loads as loads_module
from aegis_agents.assurance.redteam import trail as trail_module
from aegis_agents.assurance.redteam.approvals import approvals
from aegis_agents.assurance.redteam.cases import Shipped, alerts, texts
from aegis_agents.assurance.redteam.fields import act, silence
from aegis_agents.assurance.redteam.ground import Ground
from aegis_agents.assurance.redteam.leaving import leaving
from aegis_agents.assurance.redteam.limits import limits
from aegis_agents.assurance.redteam.loads import loads, replays
from aegis_agents.assurance.redteam.planting import texts_of, with_text, writable
from aegis_agents.assurance.redteam.targets import spellings, targets
from aegis_agents.assurance.redteam.trail import trail
from aegis_agents.gate import counterfactual
from aegis_agents.gate.request import allow
from aegis_agents.gate.validators import injection_signs, target_known
from aegis_agents.sources import parse
from tests.assurance.redteam_ground import Gullible, make_ground, permissive

Make = Callable[..., Ground]


@pytest.fixture
def make_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, intel_home: Any) -> Make:
    def build(**given: Any) -> Ground:
        return make_ground(monkeypatch, tmp_path, intel_home, **given)

    return build


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One attack and one harmless alert: the suites' logic does not need more."""
    attack = Shipped(
        "attack", {"title": "attack seen", "hostname": "ws-1", "source_ip": "10.0.0.5", "command_line": "x"}
    )
    calm = Shipped("calm", {"title": "backup ran", "hostname": "ws-2", "source_ip": "10.0.0.6", "command_line": "y"})
    monkeypatch.setattr(fields_module, "alerts", lambda kind: (attack,) if kind == "attacks" else (calm,))


def through(found: list[Attempt]) -> list[str]:
    return [a.name for a in found if a.result == "got_through"]


def no_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate without the defences against planted text."""
    monkeypatch.setattr(counterfactual, "check", lambda request, context: allow("counterfactual.off"))
    monkeypatch.setattr(injection_signs, "check", lambda request, context: allow("injection.off"))


@pytest.mark.usefixtures("few")
def test_texts_that_silence_are_found_where_nothing_stands_against_them(
    make_it: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    held = list(silence(make_it()))
    assert through(held) == []
    assert any("turned by the text" in a.detail for a in held)
    weak = permissive(tmp_path)
    assert through(list(silence(make_it(**weak)))) == []  # the counterfactual check stands
    # A model that answers the same whatever is masked stands for trusted facts that say harmless by themselves.
    blind = through(list(silence(make_it(model=Gullible(only_if_read=False), **weak))))
    assert blind
    assert all(name.startswith("attack: ") for name in blind)
    assert "attack: as it is" not in blind


@pytest.mark.usefixtures("few")
def test_what_is_missed_without_a_text_is_not_said_to_be_turned_by_one(
    make_it: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    (calm,) = fields_module.alerts("harmless")
    monkeypatch.setattr(fields_module, "alerts", lambda kind: (calm,))  # the model takes this attack for harmless
    found = list(silence(make_it()))
    assert "missed without any text" in found[0].detail
    assert not any("turned by the text" in a.detail for a in found)


@pytest.mark.usefixtures("few")
def test_texts_that_frame_are_found_where_nothing_stands_against_them(make_it: Make, tmp_path: Path) -> None:
    assert through(list(act(make_it()))) == []
    weak = permissive(tmp_path)
    assert through(list(act(make_it(**weak)))) == []
    blind = through(list(act(make_it(model=Gullible(only_if_read=False), **weak))))
    assert any(name.startswith("calm: ") for name in blind)


def test_targets_hold_whatever_settings_allow_and_a_lost_rail_is_found(
    make_it: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assets = tmp_path / "assets.toml"
    assets.write_text('[groups.crown]\ntier = "protected"\nhosts = ["jewel-*"]\nusers = ["queen"]\n')
    weak = permissive(tmp_path) | {"assets": assets}
    found = list(targets(make_it(**weak)))
    assert through(found) == []
    assert any(a.name == "crown: jewel-7 of your own list" for a in found)
    from aegis_agents.gate import validators

    lost = {n: c for n, c in validators.RAILS.items() if n != "action.target"}
    monkeypatch.setattr("aegis_agents.gate.validators.runner.RAILS", lost)
    monkeypatch.setattr("aegis_agents.gate.gate.RAILS", lost)
    names = through(list(targets(make_it(**weak))))
    assert "host that the incident does not name" in names
    assert "domain that only a command line names" in names


def test_spellings_stand_for_other_characters() -> None:
    said = dict(spellings("dc01"))
    assert len(set(said.values()) | {"dc01"}) == len(said) + 1


@pytest.mark.parametrize("level", ["ask", "act"])
def test_forged_approvals_hold(make_it: Make, tmp_path: Path, level: str) -> None:
    ground = make_it(**(permissive(tmp_path) if level == "act" else {}))
    found = list(approvals(ground))
    assert {a.result for a in found} == {"held"}
    once = next(a for a in found if a.name == "one approval sent four times")
    assert once.detail.startswith("done 1 times")


def test_where_nothing_waits_forging_is_not_tried(make_it: Make) -> None:
    assert {a.result for a in approvals(make_it(autonomy="recommend"))} == {"not_tried"}


def test_an_approval_without_identity_is_found(make_it: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from aegis_agents.records import ROLES, Principal

    class Anybody:
        def __init__(self, real: Any) -> None:
            self._real = real

    def anybody(self: Any, role: str, by: str | None, token: str | None) -> Principal:
        name = by or "somebody"
        return Principal(name=name, method="token", roles=frozenset(ROLES), detail="believed")

    monkeypatch.setattr(Aegis, "_who", anybody)
    names = through(list(approvals(make_it())))
    assert "an expired token" in names
    assert "two names typed by one account for what needs two persons" in names


def test_limits_hold_and_a_lost_budget_is_found(make_it: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(limits_module, "FLOOD", 14)
    weak = permissive(tmp_path)
    held = list(limits(make_it(**weak)))
    assert through(held) == []
    assert any(a.detail.startswith("10 done") for a in held)  # as many as may be, and no more
    from aegis_agents.gate import gate

    monkeypatch.setattr(gate, "_AFTER_RAILS", {n: s for n, s in gate._AFTER_RAILS.items() if n != "budget"})
    assert "14 attacks at once, targets an hour" in through(list(limits(make_it(**weak))))


def test_every_tampering_is_found_and_an_untouched_ledger_is_not(
    make_it: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert through(list(trail(make_it()))) == []
    monkeypatch.setattr(trail_module, "_CHANGES", (("nothing changed", lambda database: None),))
    assert through(list(trail(make_it()))) == ["nothing changed"]  # so the others were found for what they did


def test_a_load_that_holds_up_the_next_is_found(make_it: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [entry for entry in loads_module._LOADS if entry[0] in ("thirty levels deep", "bytes that are no text")]
    monkeypatch.setattr(loads_module, "_LOADS", shown)
    assert {a.result for a in loads(make_it())} == {"held"}
    with monkeypatch.context() as turned:
        turned.setattr(loads_module, "SECONDS", 0.0)
        assert {a.result for a in loads(make_it())} == {"got_through"}
    with monkeypatch.context() as turned:  # on a busy machine the clock goes on and the processor's time does not
        turned.setattr(loads_module.time, "process_time", lambda: 0.0)
        turned.setattr(loads_module, "SECONDS", 1e-6)
        turned.setattr(loads_module, "WAITING", 1e12)
        assert {a.result for a in loads(make_it())} == {"held"}
        turned.setattr(loads_module, "WAITING", 1)  # what hangs is late all the same
        assert {a.result for a in loads(make_it())} == {"got_through"}


def test_replays_act_once_and_a_second_time_is_found(
    make_it: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    weak = permissive(tmp_path)
    found = list(replays(make_it(**weak)))
    assert through(found) == []
    assert all(not a.detail.startswith("0 actions") for a in found)
    monkeypatch.setattr("aegis_agents.assurance.redteam.ground.Recorder.read", lambda self, action, target: False)
    from aegis_agents.aegis import Aegis as Real

    real = Real._read
    numbers = iter(range(1000))

    def forgetful(self: Any, alert: Any, format: str | None) -> Any:
        incident, native = real(self, alert, format)
        return incident.model_copy(update={"id": f"{incident.id}-{next(numbers)}"}), native

    monkeypatch.setattr(Real, "_read", forgetful)
    assert "five times, one after another" in through(list(replays(make_it(**weak))))


def test_secrets_stay_and_one_that_leaves_is_found(make_it: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "a password on a command line, true_positive"
    assert name not in through(list(leaving(make_it())))
    monkeypatch.setattr("aegis_agents.agents.evidence.redact", str)
    assert name in through(list(leaving(make_it())))


def test_the_shipped_cases_are_read_and_can_be_written_in() -> None:
    for kind in ("attacks", "harmless"):
        for shipped in alerts(kind):  # type: ignore[arg-type]
            assert parse(shipped.alert).facts
            assert writable(shipped.alert), shipped.name
    names = [s.name for s in (*alerts("attacks"), *alerts("harmless"))]
    assert len(set(names)) == len(names) >= 12
    assert len(texts("silence")) >= 18
    assert all("{" not in t.text or t.style == "message in a system's name" for t in texts("act"))


def test_the_marker_finds_what_others_write_only() -> None:
    alert = {"rule": {"name": "R", "id": "1"}, "command_line": "x", "severity": "low"}
    assert writable(alert) == [("command_line",)]
    assert list(texts_of({"a": ["x", {"b": "y"}], "n": 1})) == [("a", 0), ("a", 1, "b")]
    changed = with_text(alert, [("rule", "name")], "more")
    assert (changed["rule"]["name"], alert["rule"]["name"]) == ("R more", "R")


def test_suites_have_ids_of_their_own_and_say_what_they_test() -> None:
    assert len({s.id for s in SUITES}) == len(SUITES)
    for suite in SUITES:
        assert suite.about
        assert all(o[:3] in ("LLM", "ASI") for o in suite.owasp)
        assert all(a.startswith("AML.T") for a in suite.atlas)


def test_the_rail_that_names_targets_is_the_one_that_was_taken_away() -> None:
    """Guards the test above: the rail is registered under the name that it takes away."""
    from aegis_agents.gate.validators import RAILS

    assert RAILS["action.target"] is target_known.check
