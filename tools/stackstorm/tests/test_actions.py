"""Each action against a fake Aegis."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_aegis import FakeAegis

ALERT = {"title": "Beacon", "host": "wks-1"}


@pytest.fixture
def case(run: Any) -> dict[str, Any]:
    done, found = run("investigate", alert=ALERT)
    assert done, found
    return dict(found)


def test_an_alert_is_judged(case: dict[str, Any]) -> None:
    assert case["verdict"] == "true_positive"
    assert [a["action"] for a in case["waiting"]] == ["isolate_host"]


def test_shadow_and_format_reach_the_server(run: Any, fake: FakeAegis) -> None:
    run("investigate", alert=ALERT, shadow=True, format="okta")
    assert fake.requests[-1].query == {"format": "okta", "shadow": "true"}


@pytest.mark.parametrize(("verb", "outcome"), [("approve", "executed"), ("deny", "denied")])
def test_an_action_is_decided_once(run: Any, fake: FakeAegis, case: dict[str, Any], verb: str, outcome: str) -> None:
    of = {"action_id": case["waiting"][0]["action_id"], "incident_id": case["incident_id"], "user": "alice"}
    done, report = run(verb, **of, reason="seen")
    assert (done, report["outcome"]) == (True, outcome)
    assert json.loads(fake.requests[-1].body)["reason"] == "seen (StackStorm: alice)"
    done, told = run("approve", **of)
    assert (done, told["kind"]) == (False, "AlreadyDecided")


def test_undo_and_keep(run: Any, case: dict[str, Any]) -> None:
    of = {"action_id": case["waiting"][0]["action_id"]}
    run("approve", **of)
    assert run("keep", **of)[1]["outcome"] == "executed"
    assert run("undo", **of)[1]["outcome"] == "undone"


def test_an_action_of_another_incident_is_left_alone(run: Any, fake: FakeAegis, case: dict[str, Any]) -> None:
    action_id = case["waiting"][0]["action_id"]
    done, told = run("approve", action_id=action_id, incident_id="inc-other")
    assert not done
    assert "no action of inc-other" in told["message"]
    assert fake.actions[action_id]["outcome"] == "awaiting_approval"


@pytest.mark.parametrize("bad", ["../../ask", "act-1/../..", "act-", "act-0123456789abcdef?x", "ACT-0123456789abcdef"])
def test_an_action_id_never_becomes_another_address(run: Any, fake: FakeAegis, bad: str) -> None:
    done, told = run("approve", action_id=bad)
    assert (done, told["kind"]) == (False, "InvalidInput")
    assert fake.requests == []


def test_reading_and_asking(run: Any, case: dict[str, Any]) -> None:
    assert [a["action_id"] for a in run("list_approvals")[1]] == [case["waiting"][0]["action_id"]]
    found = run("get_case", incident_id=case["incident_id"], include_facts=True)[1]
    assert "facts" in found["incident"]
    assert run("ask", question="why?", incident_id=case["incident_id"])[1]["cites"][0]["id"] == "f1"
    assert run("get_case", incident_id="inc-none")[1]["kind"] == "NotFound"


def test_a_failure_says_what_and_when_to_come_again(run: Any, fake: FakeAegis) -> None:
    body = json.dumps({"status": 429, "title": "Too Many Requests", "detail": "wait", "code": "rate_limited"}).encode()
    fake.script((429, {"Retry-After": "90"}, body))
    done, told = run("ask", question="why?")
    assert not done
    assert told == {"kind": "RateLimited", "message": "wait", "code": "rate_limited", "retry_after": 90.0}


@pytest.mark.parametrize(
    "config",
    [{}, {"url": "http://aegis.test", "token": "t"}, {"url": "https://aegis.test", "token": "t", "ca_file": "/none"}],
)
def test_a_wrong_configuration_fails_and_says_so(config: dict[str, str]) -> None:
    import look

    done, told = look.Look(config=config).run(what="approvals")
    assert not done
    assert told["message"]


@pytest.mark.parametrize(
    "text",
    [
        "<% ctx(users) %>",
        "{{ st2kv.system.secret }}",
        "{% for x in y %}",
        "{# x #}",
        "<<%%>>",
        "{{{{",
        "}}}}",
        "{%%}",
        "a%}}",
    ],
)
def test_nothing_in_a_result_is_an_expression(run: Any, text: str) -> None:
    _, found = run("investigate", alert={"title": text, "host": text})
    for mark in ("<%", "%>", "{{", "}}", "{%", "%}", "{#", "#}"):
        for said in (found["title"], found["actions"][0]["target"]["value"], found["summary"]):
            assert mark not in said
    assert run("get_case", incident_id=text)[1]["message"].count("{{") == 0
