"""Clients that mean harm: bodies that are held, batches without end, made-up parameters, other people's conversations."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest

from aegis_agents.records import AEGIS
from tests.people import token_of
from tests.server.conftest import ATTACK, Rig

_DAY = timedelta(days=1)
NDJSON = {"Content-Type": "application/x-ndjson"}
EVENTS = {"Accept": "text/event-stream", "Content-Type": "application/json"}


def test_a_streamed_alert_is_held_until_it_was_worked_on(serving: Callable[..., Any]) -> None:
    with serving(workers=1, bodies_bytes=3_000) as rig:
        ana, go = rig.person("ana", "analyst"), threading.Event()
        blocking = rig.parts.workroom._workers.submit(go.wait, 20)
        alert = ATTACK | {"text": "x" * 2_000}
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(ana.post, "/v1/incidents", json=alert, headers={"Accept": "text/event-stream"})
            until = time.monotonic() + 10
            while rig.parts.bodies.held < 2_000 and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.1)  # the route has long answered with its stream
            second = ana.post("/v1/incidents", json=alert | {"event_id": "a-2"})
            assert (second.status_code, second.json()["code"]) == (503, "busy")
            go.set()
            assert first.result().text.count("event: case") == 1
        blocking.result()
        _until(lambda: rig.parts.bodies.held == 0)  # the client has its last byte before the server has given back


def test_a_stream_that_can_not_begin_holds_nothing(serving: Callable[..., Any]) -> None:
    with serving(workers=1, waiting_room=0) as rig:
        ana, go = rig.person("ana", "analyst"), threading.Event()
        rig.parts.workroom._inside = 1
        said = ana.post("/v1/incidents", json=ATTACK, headers={"Accept": "text/event-stream"}).text
        assert '"code":"busy"' in said
        _until(lambda: rig.parts.bodies.held == 0)
        rig.parts.workroom._inside = 0
        go.set()


def test_batches_at_once_are_few_and_nobody_has_all(serving: Callable[..., Any]) -> None:
    with serving(batches=2) as rig:
        ana, bob = rig.person("ana", "analyst"), rig.person("bob", "analyst")
        line, known, go = json.dumps(ATTACK), rig.aegis.begin, threading.Event()

        def slow(*given: Any, **more: Any) -> Any:
            go.wait(20)
            return known(*given, **more)

        rig.aegis.begin = slow
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(ana.post, "/v1/incidents/batch", content=line, headers=NDJSON)
            _until(lambda: rig.parts.bodies._batches["token:ana"] == 1)
            again = ana.post("/v1/incidents/batch", content=line, headers=NDJSON)
            assert (again.status_code, again.json()["code"]) == (503, "busy")
            assert again.headers["retry-after"]
            second = pool.submit(bob.post, "/v1/incidents/batch", content=line, headers=NDJSON)
            _until(lambda: rig.parts.bodies._batches["token:bob"] == 1)
            go.set()
            assert [first.result().status_code, second.result().status_code] == [200, 200]
        _until(lambda: not rig.parts.bodies._batches)
        assert ana.post("/v1/incidents/batch", content=line, headers=NDJSON).status_code == 200


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    assert true()


def test_a_batch_goes_on_after_a_mistake_of_ours(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    known = rig.aegis.begin

    def broken(alert: Any, **more: Any) -> Any:
        if b"b-1" in alert:
            raise RuntimeError("secret detail")
        return known(alert, **more)

    monkeypatch.setattr(rig.aegis, "begin", broken)
    lines = "\n".join(json.dumps(ATTACK | {"event_id": f"b-{n}"}) for n in range(3))
    answer = rig.person("ana", "analyst").post("/v1/incidents/batch", content=lines, headers=NDJSON)
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [f.get("line") for f in found] == [None, 2, None]
    assert "secret" not in answer.text
    streamed = rig.person("eve", "analyst").post("/v1/incidents", content=json.dumps(ATTACK | {"event_id": "b-1"}), headers=EVENTS)  # fmt: skip
    assert "event: error" in streamed.text
    assert '"code":"internal"' in streamed.text
    assert "secret" not in streamed.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/incidents?shaddow=true"), ("POST", "/v1/incidents/batch?Shadow=true"), ("GET", "/v1/incidents?sate=open"),
        ("POST", "/v1/actions/x/approve?reason=y"), ("GET", "/v1/ledger/verify?x"), ("GET", "/v1/timers?limit=1"),
    ],
)  # fmt: skip
def test_a_parameter_that_is_not_known_is_refused_and_nothing_is_done(rig: Rig, method: str, path: str) -> None:
    answer = rig.person("ada", "admin")(method, path, **({"json": ATTACK} if method == "POST" else {}))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert rig.parts.served.newest() == len(rig.aegis.store.entries(limit=1000))
    assert rig.entries("intake.admitted") == []


def test_a_packed_body_is_refused(rig: Rig) -> None:
    ana = rig.person("ana", "analyst")
    for path, kind in (("/v1/incidents", "application/json"), ("/v1/incidents/batch", "application/x-ndjson")):
        headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
        answer = ana.post(path, content=gzip.compress(json.dumps(ATTACK).encode()), headers=headers)
        assert (answer.status_code, answer.json()["field"]) == (415, "Content-Encoding")


def test_a_slow_small_body_is_not_waited_for(make: Callable[..., Any], listening: Callable[..., Any]) -> None:
    aegis = make()
    token = aegis.store.add_token("ann", ("approver",), AEGIS, valid_for=_DAY)

    def trickle() -> Any:
        yield b"{"
        time.sleep(1.5)
        yield b"}"

    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with listening(aegis, body_s=0.2) as url:
        answer = httpx.post(f"{url}/v1/actions/x/deny", content=trickle(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (408, "body_timeout")


def test_many_who_check_the_ledger_share_one_look(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    known, looks = rig.aegis.store.verify, []

    def slow() -> Any:
        looks.append(1)
        time.sleep(0.3)
        return known()

    monkeypatch.setattr(rig.aegis.store, "verify", slow)
    viewer = rig.person("v", "viewer")
    with ThreadPoolExecutor(8) as pool:
        answers = [call.result() for call in [pool.submit(viewer.get, "/v1/ledger/verify") for _ in range(8)]]
    assert {a.json()["intact"] for a in answers} == {True}
    assert len(looks) <= 3


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "PROPFIND"])
@pytest.mark.parametrize(
    "path",
    [
        "/v1/incidents", "/v1/incidents/", "//v1/incidents", "/V1/incidents", "/v1//incidents", "/%76%31/incidents",
        "/v1/incidents%2f", "/v1/../v1/ledger", "/healthz/../v1/ledger", "/v1/ledger;x=1", "/metrics", "/metrics/",
        "/%6detrics", "/v1", "/v1/", "/docs", "/redoc",
    ],
)  # fmt: skip
def test_no_way_of_writing_a_path_lets_anybody_in(rig: Rig, method: str, path: str) -> None:
    answer = rig.client.request(method, path)
    assert answer.status_code in (401, 404, 405)
    assert "items" not in answer.text


def test_a_key_and_a_conversation_are_their_person_s_own(rig: Rig) -> None:
    from aegis_agents.records import Principal
    from aegis_agents.server.library import conversation
    from aegis_agents.server.people import sender

    one = Principal(name="alice", method="oidc", detail="https://login.example sub u-1")
    other = one.model_copy(update={"detail": "https://login.example sub u-2"})  # a name that passed to somebody else
    assert sender(one) != sender(other)
    pairs = [(Principal(name="a", method="token"), "b:c"), (Principal(name="a:b", method="token"), "c")]
    assert len({conversation(who, thread) for who, thread in [*pairs, (one, "c"), (other, "c")]}) == 4
    assert conversation(one, None) is None


def test_a_conversation_goes_on_for_who_began_it(rig: Rig) -> None:
    case, _ = rig.waiting()
    rig.aegis.investigate(ATTACK | {"event_id": "a-2", "title": "Another", "destination_ip": "203.0.113.44"})
    ana, bob = rig.person("ana", "analyst"), rig.person("bob", "analyst")
    asked = {"question": f"why was {case['incident_id']} decided so?", "thread": "t"}
    first = ana.post("/v1/ask", json=asked).json()
    assert (first["thread"], first["incident_id"]) == ("t", case["incident_id"])
    follow = {"question": "and what was done about it?", "thread": "t"}
    assert ana.post("/v1/ask", json=follow).json()["incident_id"] == case["incident_id"]
    assert bob.post("/v1/ask", json=follow).json()["incident_id"] != case["incident_id"]
    streamed = ana.post("/v1/ask", json=follow, headers={"Accept": "text/event-stream"}).text
    last = json.loads(streamed.rsplit("data: ", 1)[1].split("\r\n")[0])
    assert last["thread"] == "t"


def test_a_wish_waits_for_an_approver(rig: Rig) -> None:
    far = [f"198.51.100.{n}" for n in range(1, 7)]  # only three of them are proposed
    case, action = rig.waiting(remote_ips=far)
    proposed = {a["target"]["value"] for a in case["actions"]}
    ana, path = rig.person("ana", "analyst"), f"/v1/incidents/{case['incident_id']}/actions"
    other = next(ip for ip in far if ip not in proposed)
    wish = {"action": "block_ip", "kind": "ip", "value": other, "reason": "to be sure"}
    for wrong in (
        {"action": "nuke"},
        {"value": "192.0.2.77"},
        {"kind": "mailbox"},
        {"reason": "x" * 501},
        {"by": "bob"},
    ):
        assert ana.post(path, json=wish | wrong).status_code == 422, wrong
    assert ana.post("/v1/incidents/none/actions", json=wish).status_code == 404
    assert rig.person("ann", "approver").post(path, json=wish).status_code == 403
    made = ana.post(path, json=wish)
    assert made.status_code == 200, made.text
    assert made.json()["outcome"] == "awaiting_approval"
    (said,) = rig.entries("action.asked")
    assert (said["principal"]["id"], said["reason"]) == ("token:ana", "to be sure")
    assert rig.firewall.calls == []
    assert ana.post(path, json=wish).json()["action_id"] == made.json()["action_id"]
    same = {"action": "block_ip", "kind": "ip", "value": action["target"]["value"]}
    assert ana.post(path, json=same).json()["action_id"] == action["action_id"]


def test_a_revoked_approver_corrects_no_target(rig: Rig) -> None:
    """The library looks again at whom the doorkeeper let in."""
    from aegis_agents.errors import IdentityError

    far = [f"198.51.100.{n}" for n in range(1, 7)]
    case, action = rig.waiting(remote_ips=far)
    proposed = {a["target"]["value"] for a in case["actions"]}
    who = rig.aegis.store.authenticate(token_of(rig.aegis.store, "ann"))
    rig.aegis.store.revoke_token(rig.aegis.store.tokens()[-1].token_id, AEGIS)
    other = next(ip for ip in far if ip not in proposed)
    with pytest.raises(IdentityError):
        rig.aegis.retarget(action["action_id"], "ip", other, token=who)
    assert rig.aegis.store.action(action["action_id"]).state == "awaiting"


def test_a_batch_ends_when_its_sender_s_token_does(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from aegis_agents.server.routes import batch

    monkeypatch.setattr(batch, "LOOK_AGAIN_S", 0.0)
    ana, known = rig.person("ana", "analyst"), rig.aegis.begin

    def revoking(alert: Any, **more: Any) -> Any:
        if b"b-1" in alert:
            rig.aegis.store.revoke_token(rig.aegis.store.tokens()[-1].token_id, AEGIS)
        return known(alert, **more)

    monkeypatch.setattr(rig.aegis, "begin", revoking)
    lines = "\n".join(json.dumps(ATTACK | {"event_id": f"b-{n}"}) for n in range(4))
    answer = ana.post("/v1/incidents/batch", content=lines, headers=NDJSON)
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [f.get("native_id") for f in found] == ["b-0", "b-1", None]
    assert found[-1]["line"] == 3
    assert "revoked" in found[-1]["error"]
