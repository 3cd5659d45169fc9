"""Unit tests of the integration, against a fake Aegis server (see tools/xsoar/run_tests.sh)."""

import json
import re

import Aegis
import demistomock as demisto
import pytest
from CommonServerPython import DemistoException
from fake_aegis import FakeAegis

EVIL = '<img src=x onerror=alert(1)> [x](http://evil.example) ![y](//evil) |a|\n# b {{color:red}}(c) %%%{"d":1}%%% `e`'
ALERT = {"id": "a-1", "title": "Beacon", "host": "wks-042"}


@pytest.fixture
def fake():
    with FakeAegis() as served:
        yield served


@pytest.fixture
def client(fake):
    return Aegis.client_of({"url": fake.url, "credentials": {"password": fake.token()}})


def _run(mocker, fake, command, token="admin", last_run=None, **args):
    """One run as XSOAR does it; answers what was handed back."""
    handed = []
    params = {"url": fake.url + "/", "credentials": {"password": fake.token(token)}, "max_fetch": "2"}
    mocker.patch.object(demisto, "command", return_value=command)
    mocker.patch.object(demisto, "params", return_value=params)
    mocker.patch.object(demisto, "args", return_value=args)
    mocker.patch.object(demisto, "getLastRun", return_value=last_run or {})
    mocker.patch.object(demisto, "setLastRun", side_effect=lambda value: handed.append(value))
    mocker.patch.object(demisto, "incidents", side_effect=lambda value: handed.append(value))
    mocker.patch.object(demisto, "results", side_effect=lambda value: handed.append(value))
    try:
        Aegis.main()
    except SystemExit:
        pass
    return handed


def _case(client, **alert):
    return Aegis.investigate_command(client, {"alert": json.dumps(ALERT | alert)}).outputs


def test_test_module_says_ok_or_what_is_wrong(mocker, fake):
    assert _run(mocker, fake, "test-module") == ["ok"]
    error = _run(mocker, fake, "test-module", token="nobody")[-1]
    assert error["Type"] == 4
    assert "a token is needed" in error["Contents"]


def test_investigate_answers_the_case_and_the_same_alert_the_same_case(client):
    first, second = (Aegis.investigate_command(client, {"alert": json.dumps(ALERT)}) for _ in range(2))
    assert first.outputs == second.outputs
    assert first.outputs["verdict"] == "true_positive"
    assert (first.outputs_prefix, first.outputs_key_field) == ("Aegis.Case", "incident_id")
    assert "true_positive (97%)" in first.readable_output
    assert "isolate&#95;host" in first.readable_output
    assert first.outputs["actions"][0]["action_id"].startswith("act-")


def test_investigate_takes_a_mapping_passes_on_what_is_asked_and_never_repeats_a_key(client, fake):
    found = Aegis.investigate_command(client, {"alert": ALERT, "shadow": "true", "format": "sentinel"})
    assert found.outputs["actions"][0]["outcome"] == "would_execute"
    assert fake.requests[-1].query == {"format": "sentinel", "shadow": "true"}
    Aegis.investigate_command(client, {"alert": ALERT})
    keys = [came.headers["idempotency-key"] for came in fake.requests]
    assert len(set(keys)) == 2


@pytest.mark.parametrize("alert", ["", None, "[]", "/etc/passwd", "null", [1]])
def test_an_alert_that_is_none_is_refused_before_anything_is_sent(client, fake, alert):
    with pytest.raises(ValueError, match="alert: is no JSON object"):
        Aegis.investigate_command(client, {"alert": alert})
    assert fake.requests == []


def test_commands_run_through_main_and_fill_the_context(mocker, fake, client):
    case = _case(client)
    action_id = case["actions"][0]["action_id"]
    listed = _run(mocker, fake, "aegis-approvals-list", limit="1")[-1]
    assert listed["Contents"]["total"] == 1
    done = _run(mocker, fake, "aegis-action-approve", action_id=action_id, reason="seen it")[-1]
    (key,) = done["EntryContext"]
    assert key.startswith("Aegis.Action(val.action_id")
    assert done["EntryContext"][key]["outcome"] == "executed"
    assert done["HumanReadable"] == "isolate&#95;host on host wks-042: **executed**"
    late = _run(mocker, fake, "aegis-action-deny", action_id=action_id)[-1]
    assert late["Type"] == 4
    assert "is executed (by token:admin)" in late["Contents"]
    undone = _run(mocker, fake, "aegis-action-undo", action_id=action_id)[-1]
    assert "undone" in undone["HumanReadable"]
    read = _run(mocker, fake, "aegis-case-get", incident_id=case["incident_id"])[-1]
    assert read["Contents"]["actions"][0]["outcome"] == "undone"
    said = _run(mocker, fake, "aegis-case-confirm", incident_id=case["incident_id"], verdict="false_positive")[-1]
    assert "was false&#95;positive" in said["HumanReadable"]
    unknown = _run(mocker, fake, "aegis-nonsense")[-1]
    assert "is not implemented" in unknown["Contents"]


def test_ask_cites_what_it_rests_on(client):
    case = _case(client)
    answer = Aegis.ask_command(client, {"question": "why?", "incident_id": case["incident_id"]})
    assert answer.outputs["cites"][0]["id"] == "f1"
    assert "It rests on" in answer.readable_output
    assert "It rests on" not in Aegis.ask_command(client, {"question": "how many?"}).readable_output


def test_each_waiting_action_is_fetched_once(mocker, fake, client):
    for number in range(3):
        _case(client, title=f"{EVIL} {number}")
    last_run, incidents = _run(mocker, fake, "fetch-incidents")
    assert len(incidents) == 2
    last_run, more = _run(mocker, fake, "fetch-incidents", last_run=last_run)
    assert len(more) == 1
    ids = [json.loads(row["rawJSON"])["action_id"] for row in incidents + more]
    assert len(set(ids)) == 3
    assert (more[0]["severity"], more[0]["occurred"]) == (2, "2026-11-26T09:00:00Z")
    last_run, none = _run(mocker, fake, "fetch-incidents", last_run=last_run)
    assert none == []
    Aegis.COMMANDS["aegis-action-deny"](client, {"action_id": ids[0]})
    last_run, none = _run(mocker, fake, "fetch-incidents", last_run=last_run)
    assert none == []
    assert sorted(last_run["waiting"]) == sorted(ids[1:]), "what no longer waits is forgotten"


def test_a_fetch_that_fails_loses_nothing(mocker, fake):
    with pytest.raises(Exception, match="a token is needed"):
        _run(mocker, fake, "fetch-incidents", token="nobody")


def test_a_token_that_may_not_is_told_so(mocker, fake, client):
    action_id = _case(client)["actions"][0]["action_id"]
    told = _run(mocker, fake, "aegis-action-approve", token="analyst", action_id=action_id)[-1]
    assert "is no approver" in told["Contents"]
    assert fake.actions[action_id]["outcome"] == "awaiting_approval"


def test_what_an_alert_says_is_no_markup_and_no_link_in_the_war_room(client):
    case = _case(client, title=EVIL, host=EVIL)
    for found in (
        Aegis.case_get_command(client, {"incident_id": case["incident_id"]}),
        Aegis.approvals_list_command(client, {}),
        Aegis.ask_command(client, {"question": "why?", "incident_id": case["incident_id"]}),
        Aegis.answer_command("deny")(client, {"action_id": case["actions"][0]["action_id"]}),
    ):
        text = found.readable_output
        assert not re.search(r"<img|\]\(|!\[|\{\{|%%%|://|`", text)
        assert "\n# b" not in text
        rows = [line for line in text.splitlines() if line.startswith("| ")]
        header = {len(line.split("|")) for line in text.splitlines() if line.startswith("|---")}
        assert {len(row.split("|")) for row in rows} <= header, "no cell ends early"
        assert found.ignore_auto_extract
    assert case["title"] == EVIL, "the context has it as it is"


@pytest.mark.parametrize("value", ["", ".", "..", "x" * 301, None])
def test_an_id_that_is_none_is_refused_before_anything_is_sent(client, fake, value):
    for command in (Aegis.case_get_command, Aegis.answer_command("approve")):
        with pytest.raises(ValueError, match="is no id"):
            command(client, {"incident_id": value, "action_id": value})
    assert fake.requests == []


@pytest.mark.parametrize("value", ["../../healthz", "a/b?c=d#e", "%2e%2e", "ä €", "a\nb"])
def test_an_id_stays_one_segment_whatever_is_in_it(client, fake, value):
    with pytest.raises(DemistoException):
        Aegis.case_get_command(client, {"incident_id": value})
    assert re.fullmatch(r"/v1/incidents/[^/]+", fake.requests[-1].path)
    assert fake.requests[-1].query == {}


def test_redirects_are_not_followed_and_the_token_stays(client, fake):
    with FakeAegis() as thief:
        fake.script((302, {"Location": thief.url + "/v1/approvals"}, b""))
        with pytest.raises(DemistoException, match="redirects are not followed"):
            Aegis.approvals_list_command(client, {})
        assert thief.requests == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"[" * 100_000])
def test_what_is_no_json_object_is_no_answer_of_aegis(client, fake, body):
    fake.script((200, {}, body))
    with pytest.raises(DemistoException, match="is this an Aegis server"):
        Aegis.approvals_list_command(client, {})
    fake.script((503, {}, body))
    with pytest.raises(DemistoException, match="HTTP 503"):
        Aegis.approvals_list_command(client, {})


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({}, "url"),
        ({"url": "aegis.example"}, "is no address"),
        ({"url": "http://aegis.example"}, "unencrypted"),
        ({"url": "http://localhost.evil.example"}, "unencrypted"),
        ({"url": "https://bob:pw@aegis.example"}, "is no address"),
        ({"url": "https://aegis.example?x=1"}, "is no address"),
        ({"url": "https://aegis.example"}, "token"),
        ({"url": "https://aegis.example", "credentials": {"password": "a\r\nb"}}, "token"),
    ],
)
def test_a_wrong_instance_is_named(params, told):
    with pytest.raises(ValueError, match=told):
        Aegis.client_of(params)


@pytest.mark.parametrize("limit", ["0", "-1", "501", "many"])
def test_a_limit_out_of_bounds_is_named(client, limit):
    with pytest.raises(ValueError, match="limit"):
        Aegis.approvals_list_command(client, {"limit": limit})


def test_a_verdict_that_is_none_is_named(client):
    with pytest.raises(ValueError, match="verdict: is none of"):
        Aegis.confirm_command(client, {"incident_id": "inc-1", "verdict": "undetermined"})


def test_an_answer_that_lacks_something_is_an_error_that_names_it(mocker, fake):
    fake.script((200, {}, b"{}"))
    told = _run(mocker, fake, "aegis-approvals-list")[-1]
    assert told["Type"] == 4
    assert "has no 'items'" in told["Contents"]
