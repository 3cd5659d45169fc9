"""Every method of both clients, over loopback HTTP."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_type_hints

import pytest

from aegis_agents.client import AlreadyDecided, AsyncClient, Client, Forbidden, InvalidInput, NotFound, Unauthorised
from tests.soar.fake_aegis import FakeAegis

ALERT = {"id": "a-1", "title": "Beacon <b>&\u2028\x85", "host": "wks-042"}


def _action(client: Any, alert: dict[str, Any] = ALERT) -> str:
    return str(client.investigate(alert)["actions"][0]["action_id"])


def test_an_alert_becomes_a_case_and_the_same_alert_the_same_case(client: Any, fake: FakeAegis) -> None:
    first, second = client.investigate(ALERT), client.investigate(ALERT)
    assert first["verdict"] == "true_positive"
    assert first["title"] == ALERT["title"]
    assert first == second
    keys = {came.headers["idempotency-key"] for came in fake.requests}
    assert len(keys) == 2, "each call has a key of its own"


@pytest.mark.parametrize(
    "given",
    [
        json.dumps(ALERT),
        json.dumps(ALERT, indent=2).encode(),
        b"\xef\xbb\xbf" + json.dumps(ALERT).encode(),
        MappingProxyType(ALERT),
        MappingProxyType({**ALERT, "nested": MappingProxyType({"a": 1})}),
    ],
    ids=["text", "bytes", "byte order mark", "mapping", "nested mapping"],
)
def test_an_alert_may_be_text_bytes_or_a_mapping(client: Any, given: Any) -> None:
    assert client.investigate(given)["title"] == ALERT["title"]


def test_an_alert_may_be_a_file_and_a_str_is_never_a_path(client: Any, tmp_path: Path) -> None:
    file = tmp_path / "alert.json"
    file.write_text(json.dumps(ALERT), "utf-8")
    assert client.investigate(file)["title"] == ALERT["title"]
    with pytest.raises(InvalidInput, match="is no JSON object"):
        client.investigate(str(file))
    with pytest.raises(InvalidInput, match="can't be read"):
        client.investigate(tmp_path / "missing.json")


def test_a_lone_surrogate_arrives_as_its_escape(client: Any, fake: FakeAegis) -> None:
    client.investigate('{"title": "\udc80"}')
    client.investigate({"title": "\udc80"})
    assert [json.loads(came.body)["title"] for came in fake.requests] == ["\udc80", "\udc80"]
    assert all(came.body.decode("utf-8") for came in fake.requests), "what is sent is UTF-8"


def test_format_shadow_and_key_are_passed_on(client: Any, fake: FakeAegis) -> None:
    case = client.investigate(ALERT, format="sentinel", shadow=True, idempotency_key="k-1")
    assert case["actions"][0]["outcome"] == "would_execute"
    assert fake.requests[-1].query == {"format": "sentinel", "shadow": "true"}
    assert fake.requests[-1].headers["idempotency-key"] == "k-1"
    with pytest.raises(InvalidInput, match="used for another request") as told:
        client.investigate({"title": "other"}, idempotency_key="k-1")
    assert told.value.field == "Idempotency-Key"
    assert told.value.code == "idempotency_key_reused"


def test_a_stream_of_steps_ends_with_the_case(client: Any) -> None:
    events = client.investigate_stream(ALERT)
    assert [name for name, _ in events] == ["triage", "case"]
    assert events[-1][1]["title"] == ALERT["title"], "U+2028 and U+0085 in a title end no line"


def test_many_alerts_answer_a_line_each_in_order_and_a_bad_one_says_so(client: Any, fake: FakeAegis) -> None:
    titles = [f"alert {number}\u2028" for number in range(5)]
    pretty = json.dumps({"title": titles[1]}, indent=2).replace("\n", "\r\n")
    alerts: list[Any] = [{"title": titles[0]}, pretty, '{"title": broken', {"title": titles[3]}, {"title": titles[4]}]
    answers = client.investigate_many(iter(alerts), format="generic", shadow=True)
    assert [a.get("title") for a in answers] == [titles[0], titles[1], None, titles[3], titles[4]]
    assert answers[2] == {"error": "the alert is no JSON", "line": 3}
    assert fake.requests[-1].query == {"format": "generic", "shadow": "true"}
    before = len(fake.requests)
    assert client.investigate_many([]) == []
    assert len(fake.requests) == before, "nothing to ask, nothing asked"


def test_the_queue_comes_page_by_page(client: Any, fake: FakeAegis) -> None:
    for number in range(3):
        client.investigate({"title": f"alert {number}"})
    page = client.incidents(limit=2)
    rest = client.incidents(limit=2, cursor=page["next"])
    assert [row["title"] for row in page["items"] + rest["items"]] == ["alert 2", "alert 1", "alert 0"]
    assert rest["next"] is None
    assert client.incidents(verdict="false_positive", state="waiting")["items"] == []
    assert fake.requests[-1].query == {"limit": "50", "verdict": "false_positive", "state": "waiting"}


def test_a_case_can_be_read_with_its_facts_and_confirmed(client: Any) -> None:
    case = client.investigate(ALERT)
    assert "incident" not in client.incident(case["incident_id"])
    assert client.incident(case["incident_id"], include_facts=True)["incident"]["facts"] == []
    said = client.confirm(case["incident_id"], "false_positive")
    assert said == {"incident_id": case["incident_id"], "verdict": "false_positive"}
    with pytest.raises(InvalidInput) as told:
        client.confirm(case["incident_id"], "undetermined")
    assert (told.value.field, told.value.status) == ("verdict", 422)


def test_what_waits_is_approved_once_and_undone(client: Any, fake: FakeAegis) -> None:
    action_id = _action(client)
    assert client.approvals()["items"][0]["action_id"] == action_id
    assert client.approvals(limit=1)["total"] == 1
    done = client.approve(action_id, "seen it too")
    assert (done["outcome"], done["detail"]) == ("executed", "seen it too")
    with pytest.raises(AlreadyDecided) as told:
        client.deny(action_id)
    assert (told.value.status, told.value.code) == (409, "already_decided")
    assert fake.requests[-1].body == b"{}", "an empty reason is none"
    assert client.keep(action_id)["outcome"] == "executed"
    assert client.undo(action_id, "false alarm")["outcome"] == "undone"
    assert client.action(action_id)["outcome"] == "undone"
    assert client.approvals()["items"] == []


def test_what_waits_is_denied_or_aimed_elsewhere(client: Any) -> None:
    new = client.retarget(_action(client), "host", "wks-043", reason="that is the one")
    assert new["target"] == {"kind": "host", "value": "wks-043"}
    assert client.deny(new["action_id"], "no")["outcome"] == "denied"


def test_questions_are_answered_whole_and_as_a_stream(client: Any) -> None:
    case = client.investigate(ALERT)
    answer = client.ask("why?", case["incident_id"])
    assert answer["sentences"][0]["cites"] == ["f1"]
    assert client.ask("how many?")["text"] == "1 incidents are in the queue."
    events = client.ask_stream("why?", case["incident_id"])
    assert events[0][0] == "cite"
    assert events[-1][0] == "answer"
    assert "".join(data["text"] for name, data in events if name == "token").split() == answer["text"].split()


def test_the_ledger_can_be_read_and_checked(client: Any) -> None:
    case = client.investigate(ALERT)
    client.investigate({"title": "other"})
    page = client.ledger(limit=1)
    assert page["items"][0]["incident_id"] == case["incident_id"]
    assert [e["seq"] for e in client.ledger(after=page["next"])["items"]] == [2]
    assert client.ledger(incident=case["incident_id"], kind="nothing")["items"] == []
    assert client.verify_ledger() == {"intact": True, "entries": 2, "head": "0" * 64}


def test_health_needs_no_token(fake: FakeAegis, connect: Any) -> None:
    assert connect(fake.url).health()["status"] == "ok"
    assert "authorization" not in fake.requests[-1].headers


def test_each_role_may_what_it_may(client: Any, fake: FakeAegis, connect: Any) -> None:
    viewer, approver = connect(fake.url, fake.token("viewer")), connect(fake.url, fake.token("approver"))
    for who in (viewer, approver):
        with pytest.raises(Forbidden) as told:
            who.investigate(ALERT)
        assert told.value.status == 403
    assert viewer.incidents()["items"] == []
    action_id = _action(client)
    approver.approve(action_id)
    with pytest.raises(Forbidden):
        approver.undo(action_id)
    with pytest.raises(Unauthorised):
        connect(fake.url, "wrong").incidents()
    with pytest.raises(Unauthorised):
        connect(fake.url).incidents()


@pytest.mark.parametrize("id_", ["inc-0", "../../healthz", "a/b?c=d#e", "%2e%2e", "ä €", "a\nb"])
def test_an_id_stays_one_segment_whatever_is_in_it(client: Any, fake: FakeAegis, id_: str) -> None:
    with pytest.raises(NotFound):
        client.incident(id_)
    from urllib.parse import unquote

    sent = fake.requests[-1].path.removeprefix("/v1/incidents/")
    assert "/" not in sent
    assert unquote(sent) == id_


def test_a_server_below_a_path_is_found(fake: FakeAegis, connect: Any) -> None:
    fake.script((200, {"Content-Type": "application/json"}, b'{"items": [], "next": null}'))
    connect(f"{fake.url}/aegis/", fake.token()).incidents()
    assert fake.requests[-1].path == "/aegis/v1/incidents"


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, Any]:
        return {n: m for n, m in inspect.getmembers(kind, inspect.isfunction) if not n.startswith("_")}

    sync, asynchronous = methods(Client), methods(AsyncClient)
    assert set(sync) - {"close"} == set(asynchronous) - {"aclose"}
    for name in set(sync) - {"close", "investigate_stream", "ask_stream"}:
        assert inspect.signature(sync[name]) == inspect.signature(asynchronous[name])
        assert inspect.getdoc(sync[name]) == inspect.getdoc(asynchronous[name])
        assert get_type_hints(sync[name]) == get_type_hints(asynchronous[name])
