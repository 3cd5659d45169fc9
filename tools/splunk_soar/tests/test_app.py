"""Each action against a fake Aegis server, through the SDK's own runner."""

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from soar_sdk.action_results import ActionResult
from splunk_soar.src.app import app, case_view

EVIL = '<img src=x onerror="alert(1)"> {{7*7}} [x](http://evil.example)'
ALERT = {"id": "a-1", "title": "Beacon", "host": "wks-042"}
CONTAINER = {
    "id": 7, "name": EVIL, "severity": "high", "source_data_identifier": "../../etc", "status": "new",
    "container_update_time": "2026-11-26T10:00:00Z", "artifact_count": 2, "data": {"risk": 90},
}  # fmt: skip
ARTIFACT = {"id": 1, "name": "event", "cef": {"destinationAddress": "203.0.113.9"}, "data": '{"raw": 1}', "hash": "x"}


def _investigated(run: Any, **alert: Any) -> dict[str, Any]:
    return run("investigate_alert", alert=json.dumps(ALERT | alert)).get_data()[0]


def test_connectivity_needs_a_server_and_a_token_that_may_read(run: Any, fake: Any) -> None:
    assert run("test_connectivity").get_status()
    run.asset["token"] = "wrong"
    failed = run("test_connectivity")
    assert not failed.get_status()
    assert "a token is needed" in failed.get_message()
    assert "Traceback" not in failed.get_message()


@pytest.mark.parametrize(
    ("asset", "told"),
    [
        ({"url": "aegis.example"}, "is no address"),
        ({"url": "http://aegis.example"}, "unencrypted"),
        ({"token": "a b"}, "is no token"),
        ({"timeout": 0}, "timeout"),
        ({"ca_certificate": "nonsense"}, "ca_certificate"),
    ],
)
def test_a_wrong_asset_is_named(run: Any, asset: dict[str, Any], told: str) -> None:
    run.asset |= asset
    failed = run("test_connectivity")
    assert not failed.get_status()
    assert told in failed.get_message()
    assert "misconfiguration" in failed.get_message()


def test_an_alert_becomes_a_case_with_evidence_and_what_waits(run: Any) -> None:
    result = run("investigate_alert", alert=json.dumps(ALERT))
    assert result.get_status(), result.get_message()
    case = result.get_data()[0]
    assert (case["verdict"], case["confidence"], case["techniques"]) == ("true_positive", 0.97, ["T1071.001"])
    assert case["evidence"][0] == {"id": "f1", "kind": "fact", "where": "title", "text": "Beacon", "weight": 2.1}
    assert case["evidence"][1]["where"] == "attack"
    assert case["actions"][0]["target"] == {"kind": "host", "value": "wks-042"}
    expected = {"verdict": "true_positive", "confidence": 0.97, "severity": "high", "executed": 0, "waiting": 1}
    assert result.get_summary() == expected
    assert "1 actions wait" in result.get_message()
    again = run("get_case", incident_id=case["incident_id"])
    assert again.get_data()[0] == case


def test_without_an_alert_the_container_is_investigated_and_a_second_run_is_the_same_incident(
    run: Any, fake: Any, platform: Any
) -> None:
    platform.answers = {"/rest/container/7": CONTAINER, "/rest/artifact": {"count": 1, "data": [ARTIFACT]}}
    first = run("investigate_alert")
    platform.answers["/rest/container/7"] = CONTAINER | {"container_update_time": "later", "artifact_count": 3}
    second = run("investigate_alert")
    assert first.get_data()[0]["incident_id"] == second.get_data()[0]["incident_id"]
    sent = json.loads(fake.requests[-1].body)
    assert sent["id"] == "7"
    assert sent["container"]["name"] == EVIL
    assert sent["artifacts"] == [{"name": "event", "cef": ARTIFACT["cef"], "data": {"raw": 1}}]
    assert all(re.fullmatch(r"/rest/(container/7|artifact\?[\w=&]+)", path) for path in platform.paths)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"container_id": 0}, "runs on no container"),
        ({"alert": "[]"}, "is no JSON object"),
        ({"alert": "{broken"}, "is no JSON"),
        ({"alert": "/etc/passwd"}, "is no JSON object"),
    ],
)
def test_an_alert_that_is_none_fails_the_action_and_says_why(run: Any, params: dict[str, Any], told: str) -> None:
    failed = run("investigate_alert", **params)
    assert not failed.get_status()
    assert told in failed.get_message()
    assert "Traceback" not in failed.get_message()


def test_too_many_artifacts_are_not_silently_left_out(run: Any, platform: Any) -> None:
    platform.answers = {"/rest/container/7": CONTAINER, "/rest/artifact": {"count": 501, "data": [ARTIFACT]}}
    failed = run("investigate_alert")
    assert "more than 500 artifacts" in failed.get_message()


def test_shadow_and_format_are_passed_on(run: Any, fake: Any) -> None:
    result = run("investigate_alert", alert=json.dumps(ALERT), shadow=True, format="sentinel")
    assert fake.requests[-1].query == {"format": "sentinel", "shadow": "true"}
    assert result.get_summary()["waiting"] == 0


def test_what_waits_is_listed_approved_once_and_undone(run: Any) -> None:
    action_id = _investigated(run)["actions"][0]["action_id"]
    _investigated(run, title="another")
    listed = run("list_approvals", limit=1)
    assert [row["action_id"] for row in listed.get_data()] == [action_id]
    assert listed.get_summary() == {"waiting": 2}
    done = run("approve_action", action_id=action_id, reason="seen it too")
    assert (done.get_data()[0]["outcome"], done.get_data()[0]["detail"]) == ("executed", "seen it too")
    late = run("deny_action", action_id=action_id)
    assert not late.get_status()
    assert "is executed (by token:admin)" in late.get_message()
    assert run("undo_action", action_id=action_id).get_data()[0]["outcome"] == "undone"


def test_what_waits_can_be_denied(run: Any) -> None:
    action_id = _investigated(run)["actions"][0]["action_id"]
    assert run("deny_action", action_id=action_id).get_data()[0]["outcome"] == "denied"
    assert run("list_approvals").get_data() == []


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_limit_out_of_bounds_is_named(run: Any, limit: int) -> None:
    assert "limit: is" in run("list_approvals", limit=limit).get_message()


def test_a_token_that_may_not_is_told_so(run: Any, fake: Any) -> None:
    action_id = _investigated(run)["actions"][0]["action_id"]
    run.asset["token"] = fake.token("analyst")
    failed = run("approve_action", action_id=action_id)
    assert not failed.get_status()
    assert "is no approver" in failed.get_message()
    assert fake.actions[action_id]["outcome"] == "awaiting_approval"


def test_questions_are_answered_with_what_they_rest_on(run: Any) -> None:
    case = _investigated(run)
    answer = run("ask", question="why?", incident_id=case["incident_id"]).get_data()[0]
    assert "true_positive" in answer["text"]
    assert answer["cites"][0]["id"] == "f1"
    assert run("ask", question="how many?").get_data()[0]["text"].startswith("1 incidents")


def test_a_poll_makes_a_container_of_each_action_that_waits(run: Any, saved: dict[str, list[Any]]) -> None:
    for number in range(3):
        _investigated(run, title=f"{EVIL} {number}", host=EVIL)
    assert run("on_poll", container_count=2).get_status()
    assert len(saved["containers"]) == 2
    assert run("on_poll", container_count=4294967295).get_status()
    containers = saved["containers"][2:]
    assert len({row["source_data_identifier"] for row in containers}) == 3
    assert all(re.fullmatch(r"act-[0-9a-f]+", row["source_data_identifier"]) for row in containers)
    assert saved["artifacts"][-1]["cef"]["aegisTarget"] == EVIL
    assert [row["container_id"] for row in saved["artifacts"][-3:]] == [3, 4, 5]
    assert {row["severity"] for row in containers} == {"medium"}


def test_a_poll_that_fails_says_so(run: Any, saved: dict[str, list[Any]]) -> None:
    run.asset["token"] = "wrong"
    failed = run("on_poll")
    assert not failed.get_status()
    assert saved["containers"] == []


@pytest.mark.parametrize("answer", [b"{}", b"[]", b'{"items": [{}], "total": 1}', b'{"items": 7}'])
@pytest.mark.parametrize("action", ["list_approvals", "on_poll", "get_case", "approve_action"])
def test_an_answer_that_is_none_of_aegis_fails_without_a_traceback(
    run: Any, fake: Any, saved: dict[str, list[Any]], action: str, answer: bytes
) -> None:
    fake.script((200, {}, answer))
    failed = run(action, incident_id="inc-0", action_id="act-0")
    assert not failed.get_status()
    assert "Traceback" not in failed.get_message()
    assert saved["containers"] == []


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, _: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_case_widget_shows_what_an_alert_says_as_text(run: Any) -> None:
    case = _investigated(run, title=EVIL, host=EVIL)
    result = ActionResult(status=True, message="")
    result.add_data(case)
    summary = {"total_objects": 1, "total_objects_successful": 1}
    html = case_view(
        "investigate_alert",
        [(summary, [result])],
        {"QS": {}, "container": 7, "app": 1, "no_connection": False, "google_maps_key": ""},
    )
    page = _Tags()
    page.feed(html)
    assert "aegis-case" in html, " ".join("".join(page.text).split())[:600]
    assert "img" not in page.tags[page.tags.index("h3") :]
    assert EVIL in "".join(page.text)
    assert page.text.count(f"host {EVIL}") == 1


def test_the_manifest_names_every_action_and_hides_the_token() -> None:
    from soar_sdk.cli.manifests.processors import ManifestProcessor

    manifest = ManifestProcessor("manifest.json", str(Path(__file__).parents[1])).build().to_json_manifest()
    actions = {row["action"]: row for row in manifest["actions"]}
    assert set(actions) == {
        "test connectivity", "investigate alert", "get case", "list approvals", "approve action", "deny action",
        "undo action", "ask", "on poll",
    }  # fmt: skip
    assert manifest["configuration"]["token"]["data_type"] == "password"
    read_only = {name for name, row in actions.items() if row["read_only"]}
    assert read_only == {"test connectivity", "get case", "list approvals", "ask", "on poll"}
    paths = {row["data_path"]: row for row in actions["investigate alert"]["output"]}
    assert paths["action_result.data.*.actions.*.action_id"]["contains"] == ["aegis action id"]
    assert app.app_meta_info["python_version"] == "3.13"


def test_the_vendored_client_is_the_client() -> None:
    here = Path(__file__).resolve().parents[1] / "src" / "aegis_client"
    there = Path(os.environ["AEGIS_REPOSITORY"]) / "src" / "aegis_agents" / "client"
    assert (here / "__init__.py").exists()
    assert {f.name: f.read_bytes() for f in here.glob("*.py")} == {f.name: f.read_bytes() for f in there.glob("*.py")}
