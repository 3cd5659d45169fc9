"""Cardinality is bounded: whatever products, rules, models and streams are called, series stay few."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_agents import Aegis
from aegis_agents.errors import ModelError
from aegis_agents.records import Decision, Incident, ProposedAction, Target
from aegis_agents.settings_telemetry import TelemetrySettings
from aegis_agents.telemetry.closed import OTHER, Capped, error_name, plain_id
from aegis_agents.telemetry.gauges import MOST_ROWS, Gauges
from aegis_agents.telemetry.incident import _decision
from aegis_agents.telemetry.watch import Telemetry
from tests.telemetry.conftest import ATTACK, FakeModel

Make = Callable[..., Aegis]
HOSTILE = ("", " ", "a\nb", 'x"} 1\naegis_incidents_total 99', "\u202eevil", "wks-041 secret", "x" * 5000, "ö", "é" * 3)


def series(telemetry: Telemetry, name: str) -> list[str]:
    """The series of a metric, as Prometheus reads them."""
    return [line for line in telemetry.prometheus().text().decode().splitlines() if line.startswith(name)]


@given(st.lists(st.text(max_size=200), max_size=200))
def test_a_capped_set_lets_few_well_formed_names_through(names: list[str]) -> None:
    capped = Capped(5)
    found = {capped(name) for name in names}
    assert len(found - {OTHER}) <= 5
    assert all(re.fullmatch(r"[\w.:@/+-]{1,100}", name, re.ASCII) for name in found)


def test_a_source_that_is_no_format_is_other(make: Make) -> None:
    aegis = make()
    aegis.telemetry.prometheus()
    for number, name in enumerate(HOSTILE[2:5]):
        incident = aegis.investigate({**ATTACK, "event_id": f"h{number}", "product": name, "vendor": name}).incident
        assert incident is not None
        made = Incident.model_validate(incident.model_dump() | {"source": name, "id": f"{name[:20]}-{number}"})
        with aegis.telemetry.incident(made) as seen:
            seen.decided(aegis.case(incident.id))
    found = series(aegis.telemetry, "aegis_incidents_total")
    assert sorted(re.findall(r'source="([^"]*)"', "\n".join(found))) == ["generic", "other"]


def test_hostile_rules_verbs_and_actions_make_no_series() -> None:
    telemetry = Telemetry(TelemetrySettings())
    telemetry.prometheus()
    proposal = ProposedAction(
        action_id="act-1", action="block_ip", target=Target(kind="ip", value="203.0.113.9"), reason="", cites=()
    )
    for rule in (*HOSTILE, *(f"policy.rule-{n}" for n in range(5000))):
        _decision(telemetry, Decision(action_id="act-1", verb="ask", rule=rule, reason=""), proposal)
    assert len(series(telemetry, "aegis_decisions_total")) <= 201
    assert all("secret" not in line and "evil" not in line for line in series(telemetry, "aegis_decisions_total"))


def test_a_model_that_names_itself_anew_each_time_makes_few_series(make: Make) -> None:
    class Restless(FakeModel):
        turn = 0

        @property
        def version(self) -> str:  # type: ignore[override]
            return f"model@{self.turn}"

        def assess(self, *given: object, **more: object) -> object:  # type: ignore[override]
            type(self).turn += 1
            return super().assess(*given, **more)  # type: ignore[arg-type]

    aegis = make(model=Restless())
    aegis.telemetry.prometheus()
    for number in range(24):
        aegis.investigate({**ATTACK, "event_id": f"m{number}"})
    counts = series(aegis.telemetry, "gen_ai_client_operation_duration_seconds_count")
    assert len({re.search(r'request_model="([^"]*)"', line)[1] for line in counts}) <= 21  # type: ignore[index]


def test_an_error_is_named_by_a_class_of_ours_or_of_python() -> None:
    class Wks041Error(ModelError):
        """A class that somebody made up."""

    class Odd(Exception):
        """Another one."""

    assert error_name(Wks041Error("x")) == "ModelError"
    assert error_name(ValueError("wks-041")) == "ValueError"
    assert error_name(Odd()) == OTHER


def test_ids_that_somebody_chose_are_hashed() -> None:
    assert plain_id("inc-c24614773725b443161c") == "inc-c24614773725b443161c"
    assert plain_id("host-dc01") != "host-dc01"
    assert plain_id("host-dc01") == plain_id("host-dc01")
    assert re.fullmatch(r"id-[0-9a-f]{20}", plain_id("\ud800"))


def test_a_gauge_has_bounded_rows_and_one_that_breaks_takes_no_other_along(caplog: pytest.LogCaptureFixture) -> None:
    gauges = Gauges()
    gauges.provide("aegis_many", "Many.", lambda: {(f"s{n}\n",): 1.0 for n in range(9999)}, ("stream",))
    gauges.provide("aegis_broken", "Broken.", lambda: 1 / 0)
    gauges.provide("aegis_none", "None.", lambda: None)
    gauges.provide("aegis_odd", "Rows of another form.", lambda: {("a", "b"): 1.0}, ("one",))
    gauges.provide("aegis_fine", "Fine.", lambda: 7)
    assert len(gauges.rows("aegis_many")) == MOST_ROWS
    assert gauges.rows("aegis_many")[0] == (("s0?",), 1.0)
    assert [gauges.rows(f"aegis_{name}") for name in ("broken", "none", "odd", "fine")] == [[], [], [], [((), 7.0)]]
    gauges.rows("aegis_broken")
    assert caplog.text.count("aegis_broken") == 1


@pytest.mark.parametrize("name", ["", "up", "aegis_", "aegis_x y", "aegis_x{a='b'}", "AEGIS_x"])
def test_a_gauge_needs_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a gauge"):
        Gauges().provide(name, "", lambda: 1)


def test_provided_again_the_newer_one_answers() -> None:
    gauges = Gauges()
    gauges.provide("aegis_x", "", lambda: 1)
    gauges.provide("aegis_x", "", lambda: 2)
    assert gauges.rows("aegis_x") == [((), 2.0)]
