"""The responders over real jobs: tasks are made, and act only as their title says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import CASE, Worker
from fake_aegis import FakeAegis


def run(worker: Worker, name: str, data: Any, kind: str, **more: Any) -> dict[str, Any]:
    return worker("responders", f"Aegis_{name}", data, kind, **more)


@pytest.fixture
def task(worker: Worker) -> dict[str, str]:
    """The task that an investigation makes."""
    out = run(worker, "Investigate", CASE, "thehive:case")
    assert out["success"], out
    made = [o for o in out["operations"] if o["type"] == "CreateTask"]
    assert len(made) == 1
    return {"title": made[0]["title"], "description": made[0]["description"]}


def test_a_case_is_judged_tagged_and_given_a_task(worker: Worker) -> None:
    operations = run(worker, "Investigate", CASE, "thehive:case")["operations"]
    assert {"type": "AddTagToCase", "tag": 'aegis:verdict="true_positive"'} in operations
    task = next(o for o in operations if o["type"] == "CreateTask")
    assert task["title"].startswith("Aegis: isolate_host host wks-042 [act-")


def test_an_alert_gets_tags_and_no_task(worker: Worker) -> None:
    operations = run(worker, "Investigate", CASE, "thehive:alert")["operations"]
    assert {o["type"] for o in operations} == {"AddTagToAlert"}


def test_the_same_case_worked_on_since_is_the_same_alert(worker: Worker, fake: FakeAegis) -> None:
    run(worker, "Investigate", CASE, "thehive:case")
    run(
        worker,
        "Investigate",
        CASE | {"owner": "bob@soc", "status": "Resolved", "updatedAt": 1, "stats": {}},
        "thehive:case",
    )
    assert len(fake.cases) == 1
    assert "alice@soc" not in fake.requests[0].body.decode(), "who works on it is no alert's business"


@pytest.mark.parametrize(("service", "outcome"), [("Approve", "executed"), ("Deny", "denied")])
def test_a_task_is_decided_and_closed(
    worker: Worker, fake: FakeAegis, task: dict[str, str], service: str, outcome: str
) -> None:
    out = run(worker, service, task, "thehive:case_task")
    assert out["success"], out
    assert next(iter(fake.actions.values()))["outcome"] == outcome
    assert [o["type"] for o in out["operations"]] == ["AddLogToTask", "CloseTask"]
    assert "alice@soc" in json.loads(fake.requests[-1].body)["reason"]


def test_it_can_be_undone_from_the_same_task(worker: Worker, fake: FakeAegis, task: dict[str, str]) -> None:
    run(worker, "Approve", task, "thehive:case_task")
    assert run(worker, "Undo", task, "thehive:case_task")["full"]["action"]["outcome"] == "undone"


def test_what_was_decided_elsewhere_is_said(worker: Worker, fake: FakeAegis, task: dict[str, str]) -> None:
    action_id = next(iter(fake.actions))
    fake.say(action_id, "deny", {}, "bob")
    out = run(worker, "Approve", task, "thehive:case_task")
    assert not out["success"]
    assert "denied" in out["errorMessage"]


def test_a_title_that_says_another_target_is_refused(worker: Worker, fake: FakeAegis, task: dict[str, str]) -> None:
    altered = task | {"title": task["title"].replace("wks-042", "wks-043")}
    out = run(worker, "Approve", altered, "thehive:case_task")
    assert not out["success"]
    assert "wks-042" in out["errorMessage"]
    assert next(iter(fake.actions.values()))["outcome"] == "awaiting_approval"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (CASE, "thehive:case"), (CASE | {"title": "x [act-0000000000000000]"}, "thehive:case"),
        ({"title": "x [act-0000000000000000]"}, "thehive:alert"), ({"title": "[act-../../v1/ask]"}, "thehive:case_task"),
        ({"title": "no id"}, "thehive:case_task"), ({}, "thehive:case_task"), ("text", "thehive:case_task"),
    ],
)  # fmt: skip
def test_nothing_but_such_a_task_names_an_action(worker: Worker, fake: FakeAegis, data: Any, kind: str) -> None:
    assert not run(worker, "Approve", data, kind)["success"]
    assert fake.requests == []


def test_a_token_that_may_not_is_told_so(worker: Worker, fake: FakeAegis, task: dict[str, str]) -> None:
    out = run(worker, "Approve", task, "thehive:case_task", role="analyst")
    assert "is no approver" in out["errorMessage"]


def test_a_reason_is_no_markdown_in_the_task(worker: Worker, fake: FakeAegis) -> None:
    case = {
        "incident_id": "inc-1", "verdict": "true_positive", "confidence": 0.9, "severity": "high",
        "actions": [{
            "action_id": "act-0123456789abcdef", "action": "block_ip", "target": {"kind": "ip", "value": "203.0.113.9\n[x](http://evil.test)"},
            "outcome": "awaiting_approval", "reason": "![x](http://evil.test/pixel) <img src=x> **now**\n# big",
        }],
    }  # fmt: skip
    fake.script((201, {}, json.dumps(case).encode()))
    made = run(worker, "Investigate", CASE, "thehive:case")["operations"][-1]
    assert "\n" not in made["title"]
    for active in ("![x](", "<img", "**now**", "](http"):
        assert active not in made["description"]
    assert "\\!\\[x\\]\\(http\\://evil.test/pixel\\)" in made["description"]


def test_an_observable_is_named_for_what_it_is(worker: Worker, fake: FakeAegis) -> None:
    seen = [
        {"dataType": "ip", "data": "203.0.113.9", "message": "C2", "createdBy": "alice@soc"}, {"dataType": "hostname", "data": "wks-1"},
        {"dataType": "hash", "data": "a" * 64}, {"dataType": "of-tomorrow", "data": "x"}, "no observable",
    ]  # fmt: skip
    run(worker, "Investigate", CASE | {"observables": seen}, "thehive:case")
    assert json.loads(fake.requests[0].body)["observables"] == [
        {"type": "ip", "ip_address": "203.0.113.9", "message": "C2"}, {"type": "hostname", "hostname": "wks-1"},
        {"type": "hash", "sha256": "a" * 64}, {"type": "of-tomorrow", "value": "x"},
    ]  # fmt: skip
