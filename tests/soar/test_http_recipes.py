"""The recipes for Tines and Shuffle: each request is filled in and sent to a fake Aegis. Neither platform runs here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from aegis_agents.server.routes import actions, batch, incidents, knowledge, records
from tests.soar.fake_aegis import FakeAegis

RECIPES = Path(__file__).parents[2] / "tools" / "http_recipes"
STORY = json.loads((RECIPES / "tines" / "aegis_story.json").read_text())
OPENAPI = json.loads((RECIPES / "shuffle" / "aegis.openapi.json").read_text())
OPERATIONS = [(path, method) for path, known in OPENAPI["paths"].items() for method in known]
HOSTILE = 'x"}, {"a": "<<CREDENTIAL.aegis_token>> </script> {{ 7*7 }}'


@pytest.fixture
def fake() -> Iterator[FakeAegis]:
    with FakeAegis() as served:
        yield served


# Tines


class Story:
    """A story, as much of Tines as it uses: <<references>>, =formulas that are references, triggers, explode."""

    def __init__(self, fake: FakeAegis) -> None:
        self.known = {"RESOURCE": {"aegis_url": fake.url}, "CREDENTIAL": {"aegis_token": fake.token()}}
        self.agents = STORY["agents"]
        self.ran: list[str] = []

    def at(self, path: str, events: dict[str, Any]) -> Any:
        found: Any = self.known | events
        for step in path.split("."):
            found = found.get(step) if isinstance(found, dict) else None
        return found

    def fill(self, given: Any, events: dict[str, Any]) -> Any:
        if isinstance(given, dict):
            return {k: self.fill(v, events) for k, v in given.items()}
        if not isinstance(given, str):
            return given
        if given.startswith("="):
            return self.at(given[1:], events)
        return re.sub(r"<<([\w.]+)>>", lambda m: str(self.at(m[1], events)), given)

    def run(self, index: int, events: dict[str, Any]) -> None:
        agent = self.agents[index]
        name, options = agent["name"].lower().replace(" ", "_"), agent["options"]
        kind = agent["type"].removeprefix("Agents::")
        made: list[Any] = [None]
        if kind == "HTTPRequestAgent":
            answer = httpx.request(
                options["method"],
                self.fill(options["url"], events),
                headers=self.fill(options["headers"], events),
                json=self.fill(options["payload"], events) if "payload" in options else None,
            )
            made = [{"status": answer.status_code, "body": answer.json()}]
        elif kind == "TriggerAgent":
            for rule in options["rules"]:
                said = str(self.fill(rule["path"], events))
                pattern = (
                    re.escape(rule["value"]) if rule["type"] == "field==value" else rule["value"].replace(r"\z", r"\Z")
                )
                if not re.search(pattern if rule["type"] == "regex" else rf"\A{pattern}\Z", said):
                    return
        elif options.get("mode") == "explode":
            made = [{options["to"]: item} for item in self.fill(options["path"], events)]
        elif kind == "EventTransformationAgent":
            made = [self.fill(options["payload"], events)]
        self.ran.append(agent["name"])
        for one in made:
            for link in STORY["links"]:
                if link["source"] == index:
                    self.run(link["receiver"], events if kind == "WebhookAgent" else events | {name: one})


@pytest.fixture
def story(fake: FakeAegis) -> Story:
    return Story(fake)


def _index(name: str) -> int:
    return [agent["name"] for agent in STORY["agents"]].index(name)


def test_a_story_takes_an_alert_to_a_person(story: Story, fake: FakeAegis) -> None:
    alert = {"title": HOSTILE, "host": "wks-1"}
    story.run(_index("Alert"), {"alert": {"body": alert}})
    assert json.loads(fake.requests[0].body) == alert
    assert [r.path for r in fake.requests] == ["/v1/incidents", f"/v1/actions/{next(iter(fake.actions))}"]
    assert story.ran[-1] == "Ask a person"


@pytest.mark.parametrize(("decision", "outcome"), [("approve", "executed"), ("deny", "denied")])
def test_the_answer_comes_back_once(story: Story, fake: FakeAegis, decision: str, outcome: str) -> None:
    action_id = fake.investigate({"title": "x"})[0]["actions"][0]["action_id"]
    answer = {"answer": {"body": {"action_id": action_id, "decision": decision, "reason": HOSTILE}}}
    story.run(_index("Answer"), answer)
    assert fake.actions[action_id]["outcome"] == outcome
    assert "Somebody was first" not in story.ran
    story.run(_index("Answer"), answer)
    assert story.ran[-1] == "Somebody was first"


@pytest.mark.parametrize(
    "body",
    [
        {"action_id": "act-0123456789abcdef", "decision": "undo"}, {"action_id": "../../v1/ask", "decision": "approve"},
        {"action_id": "act-0123456789abcdef\n/..", "decision": "approve"}, {"decision": "approve"}, {},
        {"action_id": "act-0123456789abcdef", "decision": "approve\n"},
    ],
)  # fmt: skip
def test_nothing_but_an_answer_becomes_an_address(story: Story, fake: FakeAegis, body: dict[str, str]) -> None:
    story.run(_index("Answer"), {"answer": {"body": body}})
    assert fake.requests == []


def test_a_story_is_whole_and_off_until_its_secrets_are_yours() -> None:
    count = len(STORY["agents"])
    assert all(0 <= link["source"] < count and 0 < link["receiver"] < count for link in STORY["links"])
    assert set(json.loads(STORY["diagram_layout"])) == {agent["guid"] for agent in STORY["agents"]}
    for agent in STORY["agents"]:
        if agent["type"] == "Agents::WebhookAgent":
            assert agent["disabled"]
            assert agent["options"]["secret"] == "replace-this-secret"
    assert "token-" not in json.dumps(STORY)


# Shuffle


def _served() -> set[tuple[str, str]]:
    return {
        (route.path, method.lower())
        for module in (actions, batch, incidents, knowledge, records)
        for route in module.router.routes
        for method in route.methods  # type: ignore[attr-defined]
    }


def test_every_operation_is_one_that_the_server_has() -> None:
    assert set(OPERATIONS) <= _served()


def test_it_is_valid_openapi() -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="openapi-spec-validator is not installed")
    validator.validate(OPENAPI)


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda v: str(v))
def test_every_example_is_taken(fake: FakeAegis, path: str, method: str) -> None:
    case = fake.investigate({"title": "x"})[0]
    action_id = case["actions"][0]["action_id"]
    if path.endswith(("/undo", "/keep")):
        fake.say(action_id, "approve", {}, "alice")
    known = OPENAPI["paths"][path][method]
    body = known.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
    answer = httpx.request(
        method,
        fake.url + path.format(action_id=action_id, incident_id=case["incident_id"]),
        headers={"Authorization": f"Bearer {fake.token()}"},
        json=body,
    )
    assert str(answer.status_code) in known["responses"], answer.text
    assert answer.json()
