"""ask_a_person in orquesta: inspected, then conducted with what the actions really answer."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import PACK
from fake_aegis import FakeAegis

native = pytest.importorskip(
    "orquesta.specs.native", reason="orquesta 1.2 needs Python 3.10 or older", exc_type=Exception
)
FILE = PACK / "actions" / "workflows" / "ask_a_person.yaml"


def conduct(
    run: Any, case: dict[str, Any], action_id: str, answered: dict[str, Any] | None
) -> tuple[Any, dict[str, Any]]:
    """Conduct it as StackStorm does; the person's answer is given, the rest is done. Answers conductor and the inquiry."""
    from orquesta import conducting, events, statuses

    spec = native.instantiate(FILE.read_text())
    given = {"action_id": action_id, "incident_id": case["incident_id"], "users": ["alice"]}
    conductor = conducting.WorkflowConductor(spec, inputs=given)
    conductor.request_workflow_status(statuses.RUNNING)
    inquiry: dict[str, Any] = {}
    while todo := conductor.get_next_tasks():
        for task in todo:
            action = task["actions"][0]
            if action["action"] == "core.ask":
                inquiry = action["input"]
                if answered is None:
                    done, result = False, {"status": "timeout"}
                else:
                    done, result = True, {"response": answered}
            else:
                done, found = run(action["action"].removeprefix("aegis."), **action.get("input") or {})
                result = {"exit_code": 0 if done else 1, "result": found, "stdout": "", "stderr": ""}
            route = (task["id"], task["route"])
            conductor.update_task_state(*route, events.ActionExecutionEvent(statuses.RUNNING))
            status = statuses.SUCCEEDED if done else statuses.FAILED
            conductor.update_task_state(*route, events.ActionExecutionEvent(status, result=result))
    return conductor, inquiry


@pytest.fixture
def case(run: Any) -> dict[str, Any]:
    return dict(run("investigate", alert={"title": "<% ctx(users) %> Beacon", "host": "wks-1<% ctx(users) %>"})[1])


def test_it_has_no_mistakes_that_orquesta_finds() -> None:
    assert native.instantiate(FILE.read_text()).inspect() == {}


@pytest.mark.parametrize(("approve", "outcome"), [(True, "executed"), (False, "denied")])
def test_what_is_answered_is_done(run: Any, fake: FakeAegis, case: dict[str, Any], approve: bool, outcome: str) -> None:
    action_id = case["waiting"][0]["action_id"]
    conductor, inquiry = conduct(run, case, action_id, {"approve": approve, "reason": "seen"})
    assert fake.actions[action_id]["outcome"] == outcome
    assert conductor.get_workflow_status() == "succeeded"
    conductor.render_workflow_output()
    assert conductor.get_workflow_output() == {"outcome": outcome}
    shown = inquiry["schema"]["properties"]["approve"]["description"]
    assert shown == "Approve isolate_host on host wks-1< % ctx(users) % >?", (
        "what an alert says is text, not an expression"
    )


def test_nobody_answering_decides_nothing(run: Any, fake: FakeAegis, case: dict[str, Any]) -> None:
    conductor, _ = conduct(run, case, case["waiting"][0]["action_id"], None)
    assert conductor.get_workflow_status() == "failed"
    assert fake.actions[case["waiting"][0]["action_id"]]["outcome"] == "awaiting_approval"


def test_an_action_of_no_such_case_is_put_before_nobody(run: Any, case: dict[str, Any]) -> None:
    conductor, inquiry = conduct(run, case, "act-0000000000000000", {"approve": True})
    assert conductor.get_workflow_status() == "failed"
    assert inquiry == {}
