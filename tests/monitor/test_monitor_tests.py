"""Drift, agreement and calibration: found where planted, silent where nothing changes, a storm counted once."""

from __future__ import annotations

import random
from typing import Any

import pytest

from aegis_agents.monitor.agreement import Agreement
from aegis_agents.monitor.calibrated import LEAST, Calibrated, Month, error_of
from aegis_agents.monitor.drift import Drift
from aegis_agents.monitor.said import Said, same_side
from aegis_agents.monitor.signs import MOST_LINKS, Campaigns
from tests.monitor.watched import signs


def usual(rng: random.Random, number: int, **changes: Any) -> Any:
    plain = {
        "source": rng.choice(("okta", "okta", "falco", "wazuh")),
        "confidence": rng.uniform(0.5, 1),
        "verdict": rng.choice(("benign_positive", "false_positive", "false_positive", "true_positive")),
        "words": frozenset(rng.sample(range(300), 20)),
    }
    return signs(number, **(plain | changes))


CHANGES: dict[str, dict[str, Any]] = {
    "sources": {"source": "new-product"},
    "words": {"words": frozenset(range(1000, 1020))},
    "confidence": {"confidence": 0.41},
    "verdicts": {"verdict": "true_positive"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_planted_change_is_found_by_its_own_stream_and_not_before(name: str) -> None:
    rng, drift = random.Random(name), Drift()
    for number in range(300):
        drift.add(usual(rng, number), "seed", 100)
    assert drift.found(0.025) == []
    for number in range(300, 400):
        drift.add(usual(rng, number, **CHANGES[name]), "seed", 100)
    assert drift.found(0.025) == [name]


def test_a_new_reference_takes_the_change_as_usual_and_has_less_doubt_to_spend() -> None:
    rng, drift = random.Random(1), Drift()
    for number in range(400):
        drift.add(usual(rng, number, **({} if number < 200 else CHANGES["sources"])), "seed", 100)
    assert drift.found(0.025)
    again = drift.again()
    assert again.doubt(0.025) < drift.doubt(0.025)
    for number in range(400, 700):
        again.add(usual(rng, number, **CHANGES["sources"]), "seed", 100)
    assert again.found(0.025) == []


def test_the_reference_is_as_long_as_it_is_asked() -> None:
    short, long = Drift(), Drift()
    for number in range(60):
        short.add(signs(number), "seed", 40)
        long.add(signs(number), "seed", 200)
    assert short.streams
    assert not long.streams


def test_a_storm_of_one_cause_is_one_campaign() -> None:
    campaigns = Campaigns()
    assert campaigns.first(("rule", "host-1"))
    assert not any(campaigns.first(("rule", f"host-{n}")) for n in range(100))
    assert not campaigns.first(("host-7", "another"))  # joined by the storm's victim
    for number in range(MOST_LINKS):
        campaigns.first((f"new-{number}",))
    assert len(campaigns.links) == MOST_LINKS
    assert campaigns.first(("rule",))  # forgotten by then


def said(agrees: bool, right: bool | None = None, way: Any = "confirm", kind: str = "") -> Said:
    return Said(way, agrees, right, kind)


def test_people_who_contradict_one_source_are_heard_for_that_source() -> None:
    agreement = Agreement()
    for number in range(60):
        agreement.add(said(number % 4 == 0), "okta", (f"o{number}",), "2026-11", 0.3)
        for more in range(6):
            agreement.add(said(True), "falco", (f"f{number}/{more}",), "2026-11", 0.3)
    assert agreement.found(0.0125) == ["source:okta"]
    assert agreement.months["2026-11"] == (375, 45)
    agreement.again("source:okta")
    assert agreement.found(0.0125) == []
    assert agreement.groups["source:okta"].tries == 2


def test_one_campaign_is_one_voice_and_answers_are_only_counted() -> None:
    agreement = Agreement()
    for _ in range(200):
        agreement.add(said(False), "okta", ("same",), "2026-11", 0.3)
    assert agreement.groups["all"].contradicted == 1
    for number in range(200):
        agreement.add(said(False, way="answer", kind="contain"), "okta", (f"n{number}",), "2026-11", 0.3)
    assert agreement.answers == {"contain": (0, 200)}
    assert agreement.found(0.0125) == []
    agreement.add(Said("review", None, None), "okta", ("x",), "2026-11", 0.3)
    assert agreement.unclear == 1


def test_a_bound_that_is_higher_bears_more() -> None:
    found = []
    for most in (0.2, 0.8):
        agreement = Agreement()
        for number in range(100):
            agreement.add(said(number % 2 == 0), "okta", (f"{number}",), "m", most)
        found.append("all" in agreement.found(0.0125))
    assert found == [True, False]


def test_overconfidence_is_shown_and_what_is_borne_is_not() -> None:
    found = []
    for share in (0.88, 0.45):
        rng, calibrated = random.Random(4), Calibrated()
        for _ in range(150):
            calibrated.add(0.9, rng.random() < share, "2026-11", 0.1)
        found.append(calibrated.found(0.0125))
    assert found == [False, True]


def test_underconfidence_never_falls_back() -> None:
    calibrated = Calibrated()
    for _ in range(500):
        calibrated.add(0.5, True, "2026-11", 0.0)
    assert not calibrated.found(0.0125)


def test_a_months_error_has_an_interval_and_few_reviews_have_none() -> None:
    rng, month = random.Random(2), Month()
    for _ in range(LEAST - 1):
        month.add(0.9, True)
    assert error_of(month).error is None
    assert error_of(month).n == LEAST - 1
    for _ in range(400):
        month.add(sure := rng.uniform(0.5, 1.0), rng.random() < sure - 0.3)
    found = error_of(month)
    assert found.error is not None
    assert found.low is not None
    assert found.high is not None
    assert found.chance is not None
    assert 0.2 < found.low < found.error < found.high < 0.4
    assert found.chance < 0.1


@pytest.mark.parametrize(
    ("judged", "truth", "right"),
    [
        ("true_positive", "true_positive", True), ("true_positive", "benign_positive", False),
        ("false_positive", "benign_positive", True), ("benign_positive", "true_positive", False),
        ("undetermined", "true_positive", None), ("true_positive", None, None), ("true_positive", "nonsense", None),
    ],
)  # fmt: skip
def test_right_is_counted_by_sides_as_everywhere(judged: str, truth: Any, right: bool | None) -> None:
    assert same_side(judged, truth) is right
