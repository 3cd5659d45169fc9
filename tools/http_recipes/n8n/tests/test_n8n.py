"""The workflows, read and conducted by n8n-workflow against a fake Aegis."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_aegis import FakeAegis

HERE = Path(__file__).parent
N8N = Path(os.environ["N8N_HOME"])
HOSTILE = '</p><script>alert(1)</script> {{ $env.SECRET }} ${7*7} "quoted" \\ \u2028'


@pytest.fixture
def fake() -> Iterator[FakeAegis]:
    with FakeAegis() as served:
        yield served


@pytest.fixture
def conduct(fake: FakeAegis) -> Any:
    def run(name: str | Path, role: str = "admin", **given: Any) -> dict[str, Any]:
        told = json.dumps({"aegis_url": fake.url, "token": fake.token(role)} | given)
        command = [
            "node", str(HERE / "conduct.cjs"), str(N8N / "node_modules"), str(N8N / "nodes.json"),
            str(name if isinstance(name, Path) else HERE.parent / f"{name}.json"), told,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    return run


def one(fake: FakeAegis, **alert: Any) -> dict[str, Any]:
    return dict(fake.investigate({"title": "Beacon", "host": "wks-1"} | alert)[0]["actions"][0])


def test_nothing_is_missing_but_the_choice_of_the_other_workflow(conduct: Any) -> None:
    found = conduct("investigate")["issues"]
    assert [issue["node"] for issue in found] == ["Ask a person"]
    assert list(found[0]["found"]["parameters"]) == ["workflowId"]
    assert conduct("ask_a_person")["issues"] == []


def test_an_alert_is_handed_in_as_it_came_and_its_action_goes_on(conduct: Any, fake: FakeAegis) -> None:
    alert = {"title": HOSTILE, "host": "wks-1", "nested": {"a": [1, None]}}
    out = conduct("investigate", trigger={"body": alert, "headers": {}, "query": {}})
    sent = out["requests"][0]
    assert (sent["method"], sent["url"], sent["status"]) == ("POST", fake.url + "/v1/incidents", 201)
    assert json.loads(sent["body"]) == alert
    assert sent["headers"]["Idempotency-Key"]
    assert [a["action"] for a in out["ran"]["Ask a person"][0]] == ["isolate_host"]
    assert "An attack" in out["ran"]
    assert "Something new" not in out["ran"]


@pytest.mark.parametrize(
    ("verdict", "where"),
    [
        ("benign_positive", "Allowed"), ("false_positive", "A wrong detection"), ("undetermined", "Undecided"),
        ("of tomorrow", "Something new"),
    ],
)  # fmt: skip
def test_each_verdict_has_its_way(conduct: Any, fake: FakeAegis, verdict: str, where: str) -> None:
    case = {"verdict": verdict, "actions": [{"action_id": "act-0123456789abcdef", "outcome": "executed"}]}
    fake.script((201, {"Content-Type": "application/json"}, json.dumps(case).encode()))
    ran = conduct("investigate", trigger={"body": {"title": "x"}})["ran"]
    assert where in ran
    assert "Ask a person" not in ran, "what was done asks nobody"


@pytest.mark.parametrize(("decision", "outcome"), [("approve", "executed"), ("deny", "denied")])
def test_what_is_answered_is_done(conduct: Any, fake: FakeAegis, decision: str, outcome: str) -> None:
    action = one(fake)
    out = conduct("ask_a_person", trigger=action, form={"decision": decision, "reason": 'because "so"'})
    assert fake.actions[action["action_id"]]["outcome"] == outcome
    assert json.loads(out["requests"][-1]["body"]) == {"reason": 'because "so" (n8n)'}


@pytest.mark.parametrize("form", [{}, {"decision": "undo"}, {"decision": "approve/../deny"}])
def test_any_other_answer_decides_nothing(conduct: Any, fake: FakeAegis, form: dict[str, str]) -> None:
    action = one(fake)
    out = conduct("ask_a_person", trigger=action, form=form)
    assert "Nobody answered" in out["ran"]
    assert fake.actions[action["action_id"]]["outcome"] == "awaiting_approval"


def test_who_comes_second_or_may_not_ends_at_not_done(conduct: Any, fake: FakeAegis) -> None:
    action = one(fake)
    refused = conduct("ask_a_person", role="viewer", trigger=action, form={"decision": "approve"})
    assert refused["ran"]["Not done"][0][0]["error"]["status"] == 403
    fake.say(action["action_id"], "deny", {}, "bob")
    late = conduct("ask_a_person", trigger=action, form={"decision": "approve"})
    assert late["ran"]["Not done"][0][0]["error"]["code"] == "already_decided"


def test_an_id_never_becomes_another_address(conduct: Any, fake: FakeAegis) -> None:
    out = conduct("ask_a_person", trigger={"action_id": "../../v1/ask?x=#"}, form={"decision": "approve"})
    assert all("/v1/actions/..%2F..%2Fv1%2Fask%3Fx%3D%23" in request["url"] for request in out["requests"])


def test_what_an_alert_says_is_text_in_the_form(conduct: Any, fake: FakeAegis, tmp_path: Path) -> None:
    """The form's description is HTML to n8n: read as n8n reads it, by way of the answer's reason."""
    workflow = json.loads((HERE.parent / "ask_a_person.json").read_text())
    form = next(node for node in workflow["nodes"] if node["name"] == "Answer")["parameters"]["formDescription"]
    approve = next(node for node in workflow["nodes"] if node["name"] == "Approve")
    approve["parameters"]["jsonBody"] = (
        "={{ JSON.stringify({ reason: " + form.removeprefix("={{").removesuffix("}}") + " }) }}"
    )
    altered = tmp_path / "altered.json"
    altered.write_text(json.dumps(workflow))
    out = conduct(altered, trigger=one(fake, host=HOSTILE), form={"decision": "approve"})
    shown = json.loads(out["requests"][-1]["body"])["reason"]
    assert "&lt;script&gt;" in shown
    assert "<" not in shown
    assert "{{ $env.SECRET }}" in shown, "an expression in an alert is text"


def test_no_redirect_takes_the_token_along_and_nothing_is_on_at_first() -> None:
    for file in HERE.parent.glob("*.json"):
        workflow = json.loads(file.read_text())
        assert workflow["active"] is False
        for node in workflow["nodes"]:
            assert not any(entry["id"] for entry in node.get("credentials", {}).values()), "an exported credential"
            if node["type"].endswith("httpRequest"):
                assert node["parameters"]["options"]["redirect"] == {"redirect": {"followRedirects": False}}
                assert node["credentials"]["httpHeaderAuth"]["name"] == "Aegis token"
