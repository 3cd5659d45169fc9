"""Alerts in, cases out: one at a time, streamed, in batches; the queue."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.conftest import ATTACK, Rig


def _events(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.replace("\r\n", "\n").strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if "data" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def test_an_alert_is_answered_with_its_case(rig: Rig) -> None:
    ana = rig.person("ana", "analyst")
    first = ana.post("/v1/incidents", json=ATTACK)
    assert first.status_code == 201
    case = first.json()
    assert case["verdict"] == "true_positive"
    assert case == rig.aegis.case(case["incident_id"]).to_dict()
    again = ana.post("/v1/incidents", json=ATTACK)
    assert again.status_code == 200
    assert again.json() == case


def test_a_case_is_read_with_and_without_its_facts(rig: Rig) -> None:
    ana = rig.person("ana", "analyst")
    case = ana.post("/v1/incidents", json=ATTACK).json()
    path = f"/v1/incidents/{case['incident_id']}"
    assert ana.get(path).json() == case
    full = ana.get(path, params={"include": "incident"}).json()
    assert {f["path"] for f in full.pop("incident")["facts"]} >= {"title", "hostname"}
    assert full == case
    missing = ana.get("/v1/incidents/inc-none")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert missing.headers["content-type"] == "application/problem+json"


def test_the_steps_are_streamed_and_end_with_the_case(rig: Rig) -> None:
    ana = rig.person("ana", "analyst")
    answer = ana.post("/v1/incidents", json=ATTACK, headers={"Accept": "text/event-stream"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = _events(answer.text)
    assert [name for name, _ in events] == ["triage", "intel", "reasoning", "approval", "case"]
    assert events[0][1]["assessment"]["verdict"] == "true_positive"
    case = events[-1][1]
    assert case == rig.aegis.case(case["incident_id"]).to_dict()
    again = ana.post("/v1/incidents", json=ATTACK, headers={"Accept": "text/event-stream"})
    assert [name for name, _ in _events(again.text)] == ["case"]


def test_an_error_in_a_stream_is_an_event(rig: Rig) -> None:
    ana = rig.person("ana", "analyst")
    answer = ana.post("/v1/incidents", content=b"[1]", headers={"Accept": "text/event-stream", "Content-Type": "application/json"})  # fmt: skip
    ((name, problem),) = _events(answer.text)
    assert (name, problem["status"], problem["code"]) == ("error", 422, "invalid_input")


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 422), (b"{", 422), (b"[]", 422), (b'"x"', 422), (b"\xff\xfe", 422), (b'{"a":' * 100 + b"1" + b"}" * 100, 413)],
)  # fmt: skip
def test_what_is_no_alert_is_said_and_not_kept(rig: Rig, body: bytes, status: int) -> None:
    ana = rig.person("ana", "analyst")
    answer = ana.post("/v1/incidents", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert ana.get("/v1/incidents").json()["items"] == []


def test_the_format_may_be_named_and_a_wrong_one_is_refused(rig: Rig) -> None:
    ana = rig.person("ana", "analyst")
    assert ana.post("/v1/incidents", params={"format": "generic"}, json=ATTACK).status_code == 201
    wrong = ana.post("/v1/incidents", params={"format": "no-such"}, json=ATTACK)
    assert (wrong.status_code, wrong.json()["field"]) == (422, "format")


def test_shadow_decides_and_touches_nothing(serving: Callable[..., Any]) -> None:
    with serving() as rig:
        ana = rig.person("ana", "analyst")
        shadow = ana.post("/v1/incidents", params={"shadow": "true"}, json=ATTACK)
        assert shadow.status_code == 201
        assert {a["outcome"] for a in shadow.json()["actions"]} <= {"would_execute", "recommended", "refused"}
        assert rig.firewall.calls == []
        assert rig.aegis.pending() == []
        live = ana.post("/v1/incidents", json=ATTACK)
        assert live.status_code == 201
        assert live.json()["incident_id"] != shadow.json()["incident_id"]


def test_a_batch_answers_a_line_each_in_order_and_goes_on_after_a_bad_one(rig: Rig) -> None:
    ana = rig.person("ana", "analyst")
    alerts = [ATTACK | {"event_id": f"b-{n}"} for n in range(3)]
    lines = [json.dumps(alerts[0]), "{broken", "", json.dumps(alerts[1]), "[1]", json.dumps(alerts[2])]
    answer = ana.post("/v1/incidents/batch", content="\n".join(lines), headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 200
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [f.get("line") for f in found] == [None, 2, None, 5, None]
    assert [f["native_id"] for f in found if "native_id" in f] == ["b-0", "b-1", "b-2"]
    assert all(f["error"] for f in found if "line" in f)


def test_a_batch_line_that_is_too_long_is_one_bad_line(serving: Callable[..., Any]) -> None:
    with serving(body_bytes=1_000) as rig:
        ana = rig.person("ana", "analyst")
        long = json.dumps(ATTACK | {"event_id": "long", "text": "x" * 5_000})
        text = "\n".join([long, json.dumps(ATTACK), long])
        answer = ana.post("/v1/incidents/batch", content=text, headers={"Content-Type": "application/x-ndjson"})
        found = [json.loads(line) for line in answer.text.splitlines()]
        assert [f.get("line") for f in found] == [1, None, 3]
        assert found[1]["native_id"] == "a-1"


def test_the_queue_is_paged_newest_first_and_filtered(rig: Rig) -> None:
    ana = rig.person("ana", "analyst")
    for number in range(7):
        verdict = "true_positive" if number % 2 else "false_positive"
        alert = ATTACK | {
            "event_id": f"q-{number}",
            "answer": verdict,
            "title": f'n {number} "verdict":"true_positive"',
        }
        ana.post("/v1/incidents", json=alert)
    whole = ana.get("/v1/incidents").json()
    assert whole["next"] is None
    titles = [item["title"] for item in whole["items"]]
    assert [t[:3] for t in titles] == [f"n {n}" for n in reversed(range(7))]
    pages: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = ana.get("/v1/incidents", params={"limit": 3} | cursor).json()
        pages += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
        ana.post("/v1/incidents", json=ATTACK | {"event_id": f"late-{len(pages)}"})  # shifts no page
    assert [p["title"] for p in pages] == titles
    attacks = ana.get("/v1/incidents", params={"verdict": "true_positive", "limit": 100}).json()["items"]
    assert {item["verdict"] for item in attacks} == {"true_positive"}
    assert sum(item["title"].startswith("n ") for item in attacks) == 3
    waiting = ana.get("/v1/incidents", params={"state": "waiting"}).json()["items"]
    assert waiting
    assert all(item["waiting"] > 0 for item in waiting)
    assert ana.get("/v1/incidents", params={"state": "open"}).json()["items"] == []


@pytest.mark.parametrize(
    "params", [{"cursor": "!!"}, {"cursor": "YQ"}, {"limit": 0}, {"limit": 501}, {"verdict": "no"}]
)
def test_wrong_parameters_are_named(rig: Rig, params: dict[str, Any]) -> None:
    answer = rig.person("ana", "viewer").get("/v1/incidents", params=params)
    assert answer.status_code == 422
    assert answer.json()["field"] == next(iter(params))


def test_an_alert_that_is_not_decided_yet_is_in_the_queue(rig: Rig) -> None:
    incident, native = rig.aegis._read(ATTACK, None)
    rig.aegis.store.admit(incident, native, rig.aegis.context.versions)
    (item,) = rig.person("v", "viewer").get("/v1/incidents", params={"state": "open"}).json()["items"]
    assert (item["incident_id"], item["verdict"], item["title"]) == (incident.id, None, "Beacon")


def test_what_an_incident_was_can_be_said(rig: Rig) -> None:
    ana = rig.person("ana", "analyst")
    case = ana.post("/v1/incidents", json=ATTACK).json()
    path = f"/v1/incidents/{case['incident_id']}/confirm"
    answer = ana.post(path, json={"verdict": "false_positive"})
    assert answer.json() == {"incident_id": case["incident_id"], "verdict": "false_positive"}
    (said,) = rig.entries("verdict.confirmed")
    assert said["principal"]["id"] == "token:ana"
    assert ana.post(path, json={"verdict": "undetermined"}).status_code == 422
    assert ana.post("/v1/incidents/none/confirm", json={"verdict": "false_positive"}).status_code == 404


def test_text_that_is_no_unicode_can_be_answered(rig: Rig) -> None:
    ana = rig.person("ana", "analyst")
    body = b'{"event_id": "s-1", "title": "\\ud800 \\u202e", "answer": "true_positive"}'
    answer = ana.post("/v1/incidents", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 201
    assert json.loads(answer.content)["title"]
