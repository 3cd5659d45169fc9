"""Incidents that a caller built: a sane answer, or an error that names the field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.agents.planning import propose
from aegis_agents.errors import InputError
from aegis_agents.records import Claim, Conclusion, Entity, Fact, Incident
from aegis_agents.sources import parse
from tests.graph.conftest import ATTACK

Make = Callable[..., Aegis]
PEER = Entity(kind="ip", value="203.0.113.9", role="peer", facts=("f1",))


def by_hand(**given: Any) -> Incident:
    answer = given.pop("answer", "true_positive")
    fields: dict[str, Any] = {
        "id": "mine-1", "source": "mine", "native_id": "1", "title": "Beacon", "observed_at": None, "claim": Claim(),
        "facts": (
            Fact(id="f1", path="to", value="203.0.113.9", trust="product"),
            Fact(id="f2", path="answer", value=answer, trust="product"),
        ),
        "entities": (PEER,), "digest": "d",
    }  # fmt: skip
    return Incident(**(fields | given))


@pytest.mark.parametrize(
    ("answer", "actions"),
    [
        ("true_positive", {"block_ip", "open_ticket"}),
        ("false_positive", {"close_alert"}),
        ("undetermined", {"open_ticket"}),
    ],
)
def test_without_an_alert_among_its_entities_it_is_the_alert_itself(make: Make, answer: str, actions: set[str]) -> None:
    case = make().investigate(by_hand(answer=answer))
    assert {action.action for action in case.actions} == actions
    assert {a.target.value for a in case.actions if a.target.kind == "alert"} == {"1"}


@pytest.mark.parametrize("verdict", ["true_positive", "false_positive", "undetermined"])
def test_the_planner_alone_asks_for_no_alert(verdict: Any) -> None:
    conclusion = Conclusion(verdict=verdict, confidence=0.9, severity="high", techniques=(), evidence=(), sentences=())
    entities = (PEER, Entity(kind="ip", value="no-address", role="actor"))
    found = {proposal.action for proposal in propose(by_hand(entities=entities), conclusion)}
    assert found == ({"block_ip"} if verdict == "true_positive" else set())


def test_names_in_a_text_push_out_no_target_that_a_field_holds() -> None:
    conclusion = Conclusion(
        verdict="true_positive", confidence=0.9, severity="high", techniques=(), evidence=(), sentences=()
    )
    decoys = tuple(Entity(kind="domain", value=f"decoy{n}.example.net", role="observed") for n in range(5))
    met = Entity(kind="domain", value="c2.example.org", role="peer", facts=("f1",))
    found = propose(by_hand(entities=(*decoys, met)), conclusion)
    assert next(p.target.value for p in found if p.action == "block_domain") == "c2.example.org"
    assert sum(p.action == "block_domain" for p in found) == 3


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"id": " "}, "incident.id"),
        ({"id": "inc-1-shadow-deadbeef"}, "incident.id"),
        ({"title": "\x1b[2J"}, "incident.title"),
        ({"title": "\ud800"}, "incident.title"),
        ({"native_id": "a\u202eb"}, "incident.native_id"),
        ({"facts": (Fact(id="f1", path="a", value="b", trust="product"),) * 2}, "incident.facts"),
        ({"facts": (Fact(id="f1", path="a", value="b", trust="product", inputs=("f7",)),)}, "incident.facts[0].inputs"),
        ({"facts": (Fact(id="f1", path="a", value="\x9b31m", trust="external"),)}, "incident.facts[0]"),
        ({"entities": (Entity(kind="ip", value="203.0.113.0/24"),)}, "incident.entities[0].value"),
        ({"entities": (Entity(kind="host", value="a", facts=("f9",)),)}, "incident.entities[0].facts"),
        ({"notes": ("\x07",)}, "incident.notes[0]"),
    ],
)
def test_what_is_wrong_with_it_is_named(make: Make, wrong: dict[str, Any], field: str) -> None:
    aegis = make()
    with pytest.raises(InputError) as caught:
        aegis.investigate(by_hand(**wrong))
    assert caught.value.field == field
    assert aegis.store.unfinished() == []


def test_two_that_share_an_id_are_not_one(make: Make) -> None:
    aegis = make()
    aegis.investigate(by_hand())
    with pytest.raises(InputError, match="another incident"):
        aegis.investigate(by_hand(digest="e", title="Something else"))
    assert aegis.investigate(by_hand()).title == "Beacon"


def test_what_sources_made_visible_passes(make: Make) -> None:
    incident = parse(ATTACK | {"note": "a\x1bb ⟦ c\nd\te", "title": "\u202eevil"})
    assert make().investigate(incident).incident_id == incident.id
