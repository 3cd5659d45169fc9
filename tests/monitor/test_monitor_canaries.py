"""Canaries: right under the shipped model; whatever goes wrong with one is an alarm and a fall-back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Set
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.errors import ModelError
from aegis_agents.gate import Gate
from aegis_agents.monitor import Monitor
from aegis_agents.monitor.canaries import ANSWERED, FAILED, RECORDED, Feeder, filled, load_canaries, without_injection
from aegis_agents.records import VERDICTS, Assessment, FactWeight, Incident, Verdict
from aegis_agents.settings import only
from aegis_agents.settings_monitor import MonitorSettings
from aegis_agents.sources import parse
from tests.graph.conftest import FakeModel

WORDS = {
    "true_positive": ("MiniDump", "pushes denied", "StopLogging", "vssadmin", "password field", "cron.d", "412 private", "Replicating", "logo.aspx"),
    "benign_positive": ("CHG0",),
    "false_positive": ("false match", "reputation of file hashes", "false detection"),
}  # fmt: skip


class Knowing(FakeModel):
    """Knows the canaries by single words; `lies` answers otherwise for an alert that holds that text."""

    lies: dict[str, Verdict] = {}
    slow = 0.0
    broken = False

    def assess(self, incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        time.sleep(self.slow)
        if self.broken:
            raise ModelError("the weights are gone")
        facts = [f for f in incident.facts if f.id not in masked]
        text = " ".join(f.value for f in facts)
        verdict = next((v for v in VERDICTS for w in WORDS.get(v, ()) if w in text), "undetermined")
        verdict = next((v for t, v in self.lies.items() if t in text), verdict)
        return Assessment(
            verdict=verdict, confidence=0.97, probabilities=dict.fromkeys(VERDICTS, 0.01) | {verdict: 0.97},
            severity="high", weights=tuple(FactWeight(fact=f.id, weight=0.5) for f in facts), techniques=(),
            model=self.version, facts_read=len(facts), facts_skipped=0,
        )  # fmt: skip


@pytest.fixture
def model() -> Knowing:
    found = Knowing()
    found.lies = {}
    return found


@pytest.fixture
def watched(make: Callable[..., Aegis], model: Knowing) -> Aegis:
    return make(model=model)


def entries(aegis: Aegis, kind: str) -> list[dict[str, Any]]:
    return [e.body or {} for e in aegis.store.entries(kind=kind)]


def test_they_cover_what_they_must_and_carry_no_label() -> None:
    canaries = load_canaries()
    assert len(canaries) >= 12
    assert len({c.name for c in canaries}) == len(canaries)
    assert len({c.format for c in canaries}) >= 10
    assert {c.kind for c in canaries} == {"attack", "authorised", "wrong", "injection", "protected"}
    assert {c.truth for c in canaries if c.kind == "injection"} == {"attack", "harmless"}
    for canary in canaries:
        incident = parse(canary.alert, format=canary.format)
        assert incident.source == canary.format
        assert (without_injection(canary) == canary.alert) == (canary.injection is None)
        assert not canary.missed_by


def test_the_shipped_model_answers_them_right_through_the_whole_path(tmp_path: Path) -> None:
    with Aegis(settings=only(home=tmp_path)) as aegis:
        done = Feeder(aegis.context).round()
        assert (done.fed, done.wrong, done.missed) == (len(load_canaries()), {}, ())


def test_a_round_touches_nothing_and_is_recorded(watched: Aegis) -> None:
    monitor = Monitor(watched)
    assert monitor.canaries_due()
    assert monitor.feed_canaries() == []
    assert not monitor.canaries_due()
    assert watched.pending() == []
    assert watched.store.queue().items == ()
    assert watched.store.usage(monitor._clock() - timedelta(hours=1)).actions == 0
    assert not (watched.settings.home / "outbox").exists()
    assert monitor.look() == []
    assert monitor.state.models == {}
    assert len(entries(watched, RECORDED)) == 1
    assert monitor.feed_canaries() == []
    assert len(entries(watched, RECORDED)) == 1
    assert [e["fed"] for e in entries(watched, ANSWERED)] == [len(load_canaries())] * 2


def test_a_wrong_verdict_is_an_alarm_and_a_fall_back_told_once(watched: Aegis, model: Knowing) -> None:
    monitor = Monitor(watched)
    model.lies = {"vssadmin": "benign_positive"}
    (alarm,) = monitor.feed_canaries()
    assert (alarm.kind, alarm.cause) == (FAILED, "canary.failed")
    assert "ransomware" in alarm.reason
    assert monitor.status().caution.fallen[0].entry == alarm.entry
    assert monitor.feed_canaries() == []
    assert len(entries(watched, FAILED)) == 1


def test_what_a_version_is_known_to_miss_is_said_and_is_no_alarm(
    watched: Aegis, model: Knowing, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aegis_agents.monitor import canaries

    missing = [
        c.model_copy(update={"missed_by": (model.version,)} if c.name == "ransomware" else {}) for c in load_canaries()
    ]
    monkeypatch.setattr(canaries, "load_canaries", lambda: tuple(missing))
    model.lies = {"vssadmin": "benign_positive"}
    monitor = Monitor(watched)
    assert monitor.feed_canaries() == []
    last = monitor.status().canaries
    assert last is not None
    assert last.missed == ("ransomware",)


def test_an_answer_that_is_not_the_recorded_one_is_an_alarm(watched: Aegis, model: Knowing) -> None:
    monitor = Monitor(watched)
    monitor.feed_canaries()
    model.lies = {"false detection": "benign_positive"}  # right as sides are counted, and yet another answer
    (alarm,) = monitor.feed_canaries()
    assert "by the same weights" in alarm.reason


def test_another_version_is_recorded_by_itself(watched: Aegis, model: Knowing) -> None:
    monitor = Monitor(watched)
    monitor.feed_canaries()
    model.version = "fake@2"
    model.lies = {"false detection": "benign_positive"}
    assert monitor.feed_canaries() == []
    assert [e["model"] for e in entries(watched, RECORDED)] == ["fake@1", "fake@2"]


def test_words_that_move_the_verdict_are_an_alarm(watched: Aegis, model: Knowing) -> None:
    model.lies = {"approved penetration test": "benign_positive"}
    (alarm,) = Monitor(watched).feed_canaries()
    assert "injected-attack" in alarm.reason


def test_an_answer_that_does_not_come_or_ends_in_an_error_is_an_alarm(make: Callable[..., Aegis]) -> None:
    slow = Knowing()
    slow.slow = 0.5
    (alarm,) = Monitor(make(model=slow, monitor=MonitorSettings(canary_seconds=0.3))).feed_canaries()
    assert "within 0.3 s" in alarm.reason
    (late,) = [thread for thread in threading.enumerate() if thread.name == "aegis-canaries"]
    late.join(5)  # sixteen canaries would take longer: it ends with the one that it is at
    assert not late.is_alive()
    broken = Knowing()
    broken.broken = True
    aegis = make(model=broken)
    aegis.store.append("monitor.resumed", None, {"entries": [alarm.entry]})
    (alarm,) = Monitor(aegis).feed_canaries()
    assert "ModelError" in alarm.reason


def test_rounds_that_stay_away_are_noticed_by_who_looks(watched: Aegis) -> None:
    now = [Monitor(watched)._clock()]
    monitor = Monitor(watched, clock=lambda: now[0])
    monitor.feed_canaries()
    assert monitor.look() == []
    now[0] += timedelta(minutes=181)
    (alarm,) = monitor.look()
    assert alarm.cause == "canary.late"
    assert monitor.look() == []
    assert monitor.canaries_due()


def test_a_night_in_which_nothing_ran_is_no_alarm_but_makes_a_round_due(watched: Aegis) -> None:
    Monitor(watched).feed_canaries()
    morning = Monitor(watched)._clock() + timedelta(hours=12)
    monitor = Monitor(watched, clock=lambda: morning)
    assert monitor.look() == []
    assert monitor.canaries_due()


def test_canary_minutes_0_feeds_none(make: Callable[..., Aegis]) -> None:
    monitor = Monitor(make(monitor=MonitorSettings(canary_minutes=0)))
    assert not monitor.canaries_due()


@pytest.fixture
def open_context(make: Callable[..., Aegis], model: Knowing) -> Any:
    cells = {name: {"standard": "act", "important": "act", "protected": "act"} for name in ("contain", "close_alert")}
    gate = Gate(autonomy="act", matrix=cells, risk={"contain": 0.1, "destroy": 0.1, "close_alert": 0.1})
    return replace(make(model=model).context, gate=gate)


def test_a_gate_that_does_too_much_is_found(open_context: Any, model: Knowing, monkeypatch: pytest.MonkeyPatch) -> None:
    from aegis_agents.records import Decision

    def anything(request: Any) -> Decision:
        return Decision(
            action_id=request.action.action_id, verb="execute", rule="none", reason="", inputs={}, versions={}
        )

    assert Feeder(open_context).round().wrong == {}
    monkeypatch.setattr(open_context.gate, "decide", anything)
    wrong = Feeder(open_context).round().wrong
    assert "protected" in wrong["dc-replication"]


def test_a_place_for_a_honeytoken_is_filled_and_what_it_holds_can_t_break_the_alert() -> None:
    alert = {"a": "key {key}", "b": ["{password}", 7, None], "c": "{unknown}"}
    assert filled(alert, {"key": "K" * 12, "password": "p"}) == {"a": f"key {'K' * 12}", "b": ["p", 7, None], "c": "{unknown}"}  # fmt: skip
    for canary in load_canaries():
        assert "{key}" not in str(filled(canary.alert, {}))


def test_a_round_from_the_future_makes_nobody_wait_for_it(watched: Aegis) -> None:
    """The clock was ahead when it was answered, and was put right: rounds go on, and staying away is noticed."""
    Monitor(watched).feed_canaries()
    now = [Monitor(watched)._clock() - timedelta(days=2)]
    monitor = Monitor(watched, clock=lambda: now[0])
    assert monitor.canaries_due()
    assert monitor.look() == []
    now[0] += timedelta(minutes=181)
    assert [alarm.cause for alarm in monitor.look()] == ["canary.late"]
