"""The monitor over a real store: incremental, the same for every worker, through restarts; every knob turns something."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.errors import LedgerError, StoreError
from aegis_agents.gate.likeness import sketch
from aegis_agents.monitor import Monitor, fallen, resume, ticks
from aegis_agents.monitor import watch as watch_module
from aegis_agents.monitor.reading import STATE, last_state
from aegis_agents.monitor.state import FORMAT, MOST_MODELS, State, unpacked
from aegis_agents.monitor.watch import NOTICED, PROBED
from aegis_agents.settings_monitor import MonitorSettings
from tests.graph.conftest import FakeModel
from tests.graph.reviewed import WORDS, alert
from tests.monitor.test_monitor_probing import climbing
from tests.monitor.watched import harmless, signs

QUIET = {"canary_minutes": 0.0, "honeytokens": False}


def quiet(**changes: Any) -> dict[str, Any]:
    return {"monitor": MonitorSettings(**(QUIET | changes))}


def entries(aegis: Aegis, kind: str) -> list[Any]:
    return list(aegis.store.entries(kind=kind))


def shift(aegis: Aegis, start: int, most: int, **more: Any) -> None:
    """So many ordinary alerts."""
    for number in range(start, start + most):
        aegis.investigate(harmless(number, remark=f"{WORDS[number % 18]} {WORDS[number // 18]} ordinary note", **more))


def contradicted(aegis: Aegis, start: int, most: int) -> None:
    for number in range(start, start + most):
        case = aegis.investigate(harmless(number))
        aegis.confirm(case.incident_id, "true_positive", by="ann")


def test_disagreement_falls_back_once_and_a_person_lifts_it(make: Callable[..., Aegis]) -> None:
    aegis = make(**quiet())
    contradicted(aegis, 0, 14)
    monitor = Monitor(aegis)
    alarms = {a.cause for a in monitor.look()}
    assert {"agreement.all", "agreement.source:generic"} <= alarms
    assert Monitor(make(**quiet())).look() == []  # another worker finds the same, and it is told already
    status = monitor.status()
    assert status.agreement[0].contradicted == 14
    assert status.gauges()["aegis_monitor_fallen_back"] == len(status.caution.fallen)
    assert {e.body["cause"] for e in entries(aegis, NOTICED)} == alarms
    resume(aegis.store, aegis.settings, reason="the analyst was new", by="ann")
    assert monitor.look() == []
    assert Monitor(make(**quiet())).look() == []  # computed anew, in the order of the ledger
    assert not fallen(aegis.store).fallen
    contradicted(aegis, 20, 25)
    assert "agreement.all" in {a.cause for a in monitor.look()}


def test_without_fall_back_it_is_only_written_down(make: Callable[..., Aegis]) -> None:
    aegis = make(**quiet(fall_back=False))
    contradicted(aegis, 0, 14)
    monitor = Monitor(aegis)
    assert monitor.look()
    assert monitor.look() == []
    assert entries(aegis, NOTICED)
    assert not fallen(aegis.store).fallen


@pytest.mark.parametrize(
    ("knob", "value", "causes"),
    [
        ("most_disagreement", 0.9, {"calibration"}),
        ("most_overconfidence", 0.95, {"agreement.all", "agreement.source:generic"}),
        ("doubt", 1e-14, set()),
    ],
)
def test_each_bound_matters(make: Callable[..., Aegis], knob: str, value: float, causes: set[str]) -> None:
    usual = make(**quiet())
    contradicted(usual, 0, 20)
    turned = Monitor(make(**quiet(fall_back=False, **{knob: value})))
    assert {a.cause for a in turned.look()} == causes
    assert {a.cause for a in Monitor(usual).look()} > causes


def test_it_reads_on_where_it_was_and_so_does_who_comes_after(
    make: Callable[..., Aegis], monkeypatch: pytest.MonkeyPatch
) -> None:
    aegis = make(**quiet())
    shift(aegis, 0, 12)
    monitor = Monitor(aegis)
    monitor.look(most=5)
    assert monitor.state.models["fake@1"].cases == 5
    monitor.look()
    assert monitor.state.models["fake@1"].cases == 12
    monitor.keep()
    monitor.keep()
    assert len(entries(aegis, STATE)) == 1
    asked: list[str] = []
    case = aegis.store.case
    monkeypatch.setattr(aegis.store, "case", lambda i: asked.append(i) or case(i))
    later = Monitor(aegis)
    later.look()
    assert asked == []
    assert later.state.model_dump() == monitor.state.model_dump()
    shift(aegis, 12, 1)
    asked.clear()
    later.look()
    assert later.state.models["fake@1"].cases == 13
    assert len(set(asked)) == 1


def test_two_workers_come_to_the_same(make: Callable[..., Aegis]) -> None:
    one, other = Monitor(make(**quiet(reference=40))), Monitor(make(**quiet(reference=40)))
    aegis = make(**quiet())
    for start in range(0, 60, 20):
        shift(aegis, start, 20)
        one.look()
    contradicted(aegis, 70, 3)
    one.look()
    other.look()
    assert one.state.model_dump() == other.state.model_dump()


def test_a_case_that_is_kept_again_and_shadow_and_generated_ones_are_not_counted(make: Callable[..., Aegis]) -> None:
    aegis = make(**quiet())
    case = aegis.investigate(alert(1))
    for row in aegis.pending():
        aegis.deny(row.action_id, by="ann", reason="no")
    assert len(entries(aegis, "case.finished")) > 1
    make(mode="shadow", **quiet()).investigate(alert(2))
    make(tenant="demo", **quiet()).investigate(alert(3))
    monitor = Monitor(aegis)
    monitor.look()
    watched = monitor.state.models[case.versions["model"]]
    assert watched.cases == 1
    assert watched.agreement.answers["contain"][1] >= 1


def test_a_case_that_can_t_be_read_hides_no_other_and_is_counted(
    make: Callable[..., Aegis], monkeypatch: pytest.MonkeyPatch
) -> None:
    aegis = make(**quiet())
    shift(aegis, 0, 4)
    case, bad = aegis.store.case, entries(aegis, "case.finished")[1].incident_id

    def broken(incident_id: str) -> Any:
        if incident_id == bad:
            raise ValueError("half a case")
        found = case(incident_id)
        return None if found is None else found.model_copy(update={"confidence": float("nan")})

    monkeypatch.setattr(aegis.store, "case", broken)
    monitor = Monitor(aegis)
    assert monitor.look() == []
    assert (monitor.state.models["fake@1"].cases, monitor.status().unreadable) == (3, 1)


def test_the_state_is_kept_every_so_often(make: Callable[..., Aegis], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "KEEP_EVERY", 3)
    aegis = make(**quiet())
    shift(aegis, 0, 4)
    Monitor(aegis).look()
    assert len(entries(aegis, STATE)) == 1


def test_a_state_that_can_t_be_read_is_computed_anew(make: Callable[..., Aegis]) -> None:
    aegis = make(**quiet())
    shift(aegis, 0, 3)
    for body in ({"format": FORMAT}, {"format": FORMAT, "state": "no base85 \ud800"}, {"format": 99, "state": ""}, {"format": FORMAT, "state": State().packed()[:-7]}):  # fmt: skip
        aegis.store.append(STATE, None, json.loads(json.dumps(body).replace("\\ud800", "x")))
    assert last_state(aegis.store) is None
    monitor = Monitor(aegis)
    monitor.look()
    assert monitor.state.models["fake@1"].cases == 3
    with pytest.raises(LedgerError, match="can't be read"):
        unpacked({"format": FORMAT})
    assert unpacked(None) is None


def test_a_state_survives_being_packed_and_old_models_are_forgotten() -> None:
    state = State(seed="s")
    for number in range(200):
        state.decided(signs(number, model=f"m@{number // 40}"), MonitorSettings(reference=40))
    assert len(state.models) == MOST_MODELS
    assert unpacked({"format": FORMAT, "state": state.packed()}) == state


def test_a_search_is_told_and_falls_back_for_its_group_alone(
    make: Callable[..., Aegis], monkeypatch: pytest.MonkeyPatch
) -> None:
    aegis = make(**quiet())
    monitor, settings = Monitor(aegis), MonitorSettings()
    grown = {id(c): c for one in climbing(random.Random(1), 60) if (c := monitor.state.decided(one, settings))}
    alarms = [alarm for cluster in grown.values() if (alarm := monitor._probed(cluster))]
    assert [a.kind for a in alarms] == [PROBED]
    (fell,) = fallen(aegis.store).fallen
    assert (fell.scope, fell.of) == ("cluster", "okta")
    assert monitor.status().probed == 1
    assert [monitor._probed(cluster) for cluster in grown.values()] == [None]
    resume(aegis.store, aegis.settings, reason="our own red team", by="ann")
    monitor.look()
    assert monitor.status().near == 0


def test_ticks_look_and_feed_when_it_is_due(make: Callable[..., Aegis]) -> None:
    aegis = make(**quiet(every_s=5.0))
    shift(aegis, 0, 2)
    monitor = Monitor(aegis)
    made = ticks(monitor)
    assert [(t.name, t.every_s) for t in made] == [("monitor.canaries", 5.0), ("monitor.look", 5.0)]
    for tick in made:
        tick.function()
    assert monitor.state.models["fake@1"].cases == 2
    assert not entries(aegis, "monitor.canaries_answered")


def test_honeytokens_are_planted_where_they_are_asked_for(make: Callable[..., Aegis]) -> None:
    aegis = make(**quiet())
    _ = Monitor(aegis).state
    assert not entries(aegis, "monitor.honeytokens_planted")
    _ = Monitor(make(**quiet(honeytokens=True))).state
    assert len(entries(aegis, "monitor.honeytokens_planted")) == 1


def test_status_of_an_empty_store_has_no_figures_it_can_t_have(make: Callable[..., Aegis]) -> None:
    status = Monitor(make(**quiet(reference=77))).status()
    assert (status.cases, status.missing, status.reviewed, status.canaries) == (0, 77, 0, None)
    assert status.mean_confidence is None
    assert all(isinstance(v, float) for v in status.gauges().values())
    json.loads(status.model_dump_json())


def test_an_alarm_that_the_database_did_not_take_is_raised_the_next_time(
    make: Callable[..., Aegis], monkeypatch: pytest.MonkeyPatch
) -> None:
    aegis = make(**quiet())
    contradicted(aegis, 0, 14)
    monitor = Monitor(aegis)

    def away(*_: Any) -> Any:
        raise StoreError("away")

    with monkeypatch.context() as broken:
        broken.setattr(aegis.store, "append", away)
        with pytest.raises(StoreError):
            monitor.look()
        for number, one in enumerate(climbing(random.Random(1), 60)):
            monitor.state.decided(one._replace(incident_id=f"i{number}"), MonitorSettings())
        with pytest.raises(StoreError):
            monitor._probed(next(c for c in monitor.state.probing.clusters if c.source == "okta"))
    assert {"agreement.all", "probing"} <= {alarm.cause for alarm in monitor.look()}  # and nothing is new by then


def test_a_worker_that_is_behind_does_not_raise_what_was_lifted_since(make: Callable[..., Aegis]) -> None:
    aegis = make(**quiet())
    contradicted(aegis, 0, 14)
    assert Monitor(aegis).look()
    resume(aegis.store, aegis.settings, reason="the analyst was new", by="ann")
    behind = Monitor(make(**quiet()))
    assert behind.look(most=28) == []
    assert behind.state.models["fake@1"].agreement.found(0.0125)  # it would have been
    assert behind.look() == []
    assert not fallen(aegis.store).fallen
    assert not behind.state.models["fake@1"].agreement.found(0.0125)


def test_more_models_in_one_look_than_are_remembered(make: Callable[..., Aegis]) -> None:
    for number in range(MOST_MODELS + 2):
        model = FakeModel()
        model.version = f"fake@{number}"
        make(model=model, **quiet()).investigate(harmless(number))
    monitor = Monitor(make(**quiet()))
    assert monitor.look() == []
    assert list(monitor.state.models) == [f"fake@{number}" for number in range(2, MOST_MODELS + 2)]


def test_a_review_of_an_old_model_does_not_make_the_one_in_use_forgotten() -> None:
    state, settings = State(seed="s"), MonitorSettings(reference=40)
    for number in range(MOST_MODELS):
        state.decided(signs(number, model=f"m@{number}"), settings)
    state.decided(signs(100, model="m@0"), settings)  # gone back to
    state.decided(signs(101, model="m@old"), settings)
    assert state.models["m@0"].cases == 2
    assert set(state.models) == {"m@0", "m@2", "m@3", "m@old"}


def test_what_was_only_written_down_falls_back_once_that_is_asked_for(make: Callable[..., Aegis]) -> None:
    aegis = make(**quiet(fall_back=False))
    contradicted(aegis, 0, 14)
    monitor = Monitor(aegis)
    assert monitor.look()
    monitor.keep()
    alarms = Monitor(make(**quiet())).look()
    assert {a.cause for a in alarms} == {f.cause for f in fallen(aegis.store).fallen} >= {"agreement.all"}


def test_without_fall_back_another_model_is_told_of_too(make: Callable[..., Aegis]) -> None:
    aegis = make(**quiet(fall_back=False))
    contradicted(aegis, 0, 14)
    monitor = Monitor(aegis)
    assert monitor.look()
    model = FakeModel()
    model.version = "fake@2"
    contradicted(make(model=model, **quiet(fall_back=False)), 20, 14)
    assert "agreement.all" in {a.cause for a in monitor.look()}


def test_many_alerts_do_not_fill_the_ledger_with_states(
    make: Callable[..., Aegis], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "KEEP_EVERY", 1)
    aegis = make(**quiet())
    now = [Monitor(aegis)._clock()]
    monitor = Monitor(aegis, clock=lambda: now[0])
    kept = []
    for number, minutes in enumerate((0, 1, 16, 1)):
        now[0] += timedelta(minutes=minutes)
        shift(aegis, number, 1)
        monitor.look()
        kept.append(len(entries(aegis, STATE)))
    assert kept == [1, 1, 2, 2]
    monitor.keep()  # at the end all the same
    assert len(entries(aegis, STATE)) == 3


def test_it_says_how_far_behind_it_is(make: Callable[..., Aegis]) -> None:
    aegis = make(**quiet())
    shift(aegis, 0, 3)
    monitor = Monitor(aegis)
    assert monitor.status().behind > 0
    monitor.look(most=2)
    assert monitor.status().behind > 0
    monitor.look()
    assert monitor.status().behind == 0


def test_a_process_that_never_looks_is_armed_all_the_same(make: Callable[..., Aegis]) -> None:
    """One worker of all looks; every one of them sends things out."""
    from aegis_agents import honeytokens
    from aegis_agents.monitor.honeytokens import tokens_of

    aegis = make(**quiet(honeytokens=True))
    Monitor(aegis)
    honeytokens.disarm()  # as another process begins
    Monitor(make(**quiet(honeytokens=True)))
    (planted,) = entries(aegis, "monitor.honeytokens_planted")
    key = tokens_of(planted.body["seed"])["key"]
    try:
        assert honeytokens.stopped(f"a note with {key}", "write path")
        assert [f.cause for f in fallen(aegis.store).fallen] == ["honeytoken.left"]
    finally:
        honeytokens.disarm()


def test_a_seed_that_could_not_be_read_is_read_the_next_time(
    make: Callable[..., Aegis], monkeypatch: pytest.MonkeyPatch
) -> None:
    aegis = make(**quiet())
    monitor = Monitor(aegis)
    assert not monitor.state.seed  # an empty ledger has none
    shift(aegis, 0, 1)

    def away(*_: Any) -> Any:
        raise StoreError("away")

    with monkeypatch.context() as broken:
        broken.setattr(watch_module, "_seed", away)
        with pytest.raises(StoreError):
            monitor.look()
    monitor.look()
    assert monitor.state.seed  # else whoever knows the incident's id would know its lots


def test_a_source_that_searches_in_many_groups_falls_back_as_one(
    make: Callable[..., Aegis], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "MOST_GROUPS_FALLEN", 3)
    aegis = make(**quiet())
    monitor = Monitor(aegis)
    for group in range(6):
        for one in climbing(random.Random(group + 1), 60):
            words = frozenset(word + 100_000 * group for word in one.words)
            monitor.state.decided(one._replace(words=words, sketch=sketch(words)), MonitorSettings())
    assert len(monitor.look()) == 4
    assert [f.scope for f in fallen(aegis.store).fallen] == ["cluster"] * 3 + ["source"]
    assert monitor.look() == []
    resume(aegis.store, aegis.settings, reason="our own red team", by="ann")
    assert monitor.look() == []
    assert monitor.status().near == 0
