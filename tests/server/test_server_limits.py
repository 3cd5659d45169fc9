"""What is too long, too slow, of another type or too much at once; the same request again."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.requests import Request

from aegis_agents.ledger.served import Answered
from aegis_agents.server.bodies import Bodies
from aegis_agents.server.problems import Refused
from aegis_agents.server.workroom import Workroom
from aegis_agents.settings_server import ServerSettings
from tests.server.conftest import ATTACK, Rig

JSON = {"Content-Type": "application/json"}


def test_a_body_is_refused_by_its_length_and_while_it_comes(serving: Callable[..., Any]) -> None:
    with serving(body_bytes=1_000, batch_bytes=2_000) as rig:
        ana = rig.person("ana", "analyst")
        big = json.dumps(ATTACK | {"text": "x" * 2_000}).encode()
        said = ana.post("/v1/incidents", content=big, headers=JSON)
        assert (said.status_code, said.json()["code"]) == (413, "too_large")
        sent: list[int] = []

        def chunks() -> Iterator[bytes]:
            for number in range(50):
                sent.append(number)
                yield b" " * 100

        streamed = ana.post("/v1/incidents", content=chunks(), headers=JSON)  # no Content-Length
        assert streamed.status_code == 413
        batch = ana.post("/v1/incidents/batch", content=big * 2, headers={"Content-Type": "application/x-ndjson"})
        assert batch.status_code == 413
        assert rig.parts.bodies.held == 0


def test_people_answer_while_alerts_fill_the_room() -> None:
    async def full() -> str:
        room, blocked = Workroom(1, 1), threading.Event()
        waiting = [asyncio.create_task(room.work(blocked.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Refused, match="waiting room is full"):
            await room.work(lambda: True)
        said = await room.act(lambda: "denied")
        blocked.set()
        await asyncio.gather(*waiting)
        room.close()
        return said

    assert asyncio.run(full()) == "denied"


def test_a_small_body_is_small(rig: Rig) -> None:
    _, action = rig.waiting()
    ann = rig.person("ann", "approver")
    answer = ann.post(f"/v1/actions/{action['action_id']}/deny", content=b'{"reason": "' + b"x" * 50_000 + b'"}', headers=JSON)  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert rig.aegis.store.action(action["action_id"]).state == "awaiting"


@pytest.mark.parametrize("given", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_another_type_is_refused(rig: Rig, given: str | None) -> None:
    ada = rig.person("ada", "admin")
    headers = {"Content-Type": given} if given else {}
    assert ada.post("/v1/incidents", content=b"{}", headers=headers).status_code == 415
    assert ada.post("/v1/incidents/batch", content=b"{}", headers=headers).status_code == 415
    _, action = rig.waiting()
    assert ada.post(f"/v1/actions/{action['action_id']}/deny", content=b"{}", headers=headers).status_code == 415
    assert rig.aegis.store.action(action["action_id"]).state == "awaiting"


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def never() -> Any:
        await asyncio.sleep(60)

    async def read() -> None:
        scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
        await Bodies(ServerSettings(body_s=0.05)).alert(Request(scope, never))

    with pytest.raises(Refused) as refused:
        asyncio.run(read())
    assert refused.value.problem.status == 408


def test_all_bodies_together_have_a_limit() -> None:
    async def read() -> None:
        bodies = Bodies(ServerSettings(bodies_bytes=1_000))
        bodies.held = 990
        scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}

        async def receive() -> Any:
            return {"type": "http.request", "body": b"x" * 100, "more_body": False}

        try:
            await bodies.alert(Request(scope, receive))
        finally:
            for step in scope["state"]["after"]:  # type: ignore[index]
                step()
            assert bodies.held == 990

    with pytest.raises(Refused) as refused:
        asyncio.run(read())
    assert refused.value.problem.status == 503


def test_a_full_waiting_room_says_when_to_come_again() -> None:
    async def fill() -> list[Any]:
        room, go = Workroom(1, 2), threading.Event()
        tasks = [asyncio.create_task(room.work(go.wait)) for _ in range(4)]
        await asyncio.sleep(0.01)
        assert room.inside == 3
        go.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)
        assert room.inside == 0
        room.close()
        return found

    found = asyncio.run(fill())
    assert found[:3] == [True, True, True]
    assert isinstance(found[3], Refused)
    assert found[3].problem.status == 503
    assert found[3].headers["Retry-After"]


def test_work_goes_on_when_who_asked_has_gone() -> None:
    async def ask() -> bool:
        room, go, done = Workroom(1, 2), threading.Event(), threading.Event()

        def work() -> None:
            go.wait(5)
            done.set()

        task = asyncio.create_task(room.work(work))
        await asyncio.sleep(0.01)
        task.cancel()
        go.set()
        await asyncio.gather(task, return_exceptions=True)
        room.close()
        return done.is_set()

    assert asyncio.run(ask())


# Idempotency-Key


def test_the_same_key_again_answers_the_same_and_does_nothing(rig: Rig) -> None:
    _, action = rig.waiting()
    ann, path = rig.person("ann", "approver"), f"/v1/actions/{action['action_id']}/approve"
    key = {"Idempotency-Key": "k-1"}
    first = ann.post(path, json={"reason": "a"}, headers=key)
    again = ann.post(path, json={"reason": "a"}, headers=key)
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert rig.firewall.calls == [("block_ip", "203.0.113.9")]
    other = ann.post(path, json={"reason": "b"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    elsewhere = ann.post(path.replace("approve", "deny"), json={"reason": "a"}, headers=key)
    assert elsewhere.status_code == 422
    bob = rig.person("bob", "approver").post(path, json={"reason": "a"}, headers=key)
    assert (bob.status_code, bob.json()["code"]) == (409, "already_decided")  # a key is its sender's own


def test_an_answer_is_kept_across_a_restart(serving: Callable[..., Any]) -> None:
    key = {"Idempotency-Key": "k-1"}
    with serving() as rig:
        ana = rig.person("ana", "analyst")
        first = ana.post("/v1/incidents", json=ATTACK, headers=key)
        assert first.status_code == 201
    with serving() as rig:
        ana = type(ana)(rig.client, ana.token)
        again = ana.post("/v1/incidents", json=ATTACK, headers=key)
        assert (again.status_code, again.json()) == (201, first.json())


def test_an_error_is_not_kept(rig: Rig) -> None:
    ann, key = rig.person("ann", "approver"), {"Idempotency-Key": "k-1"}
    path = "/v1/actions/act-none/approve"
    assert [ann.post(path, headers=key).status_code for _ in range(2)] == [404, 404]
    assert rig.parts.idempotency._under_way == {}


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a_wrong_key_is_named(rig: Rig, key: str) -> None:
    answer = rig.person("ana", "analyst").post("/v1/incidents", json=ATTACK, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")


def test_two_at_once_with_one_key_are_one(rig: Rig) -> None:
    _, action = rig.waiting()
    ann = rig.person("ann", "approver")
    path, key = f"/v1/actions/{action['action_id']}/approve", {"Idempotency-Key": "k-1"}
    with ThreadPoolExecutor(6) as pool:
        answers = [f.result() for f in [pool.submit(ann.post, path, headers=key) for _ in range(6)]]
    assert [a.status_code for a in answers] == [200] * 6
    assert len({a.text for a in answers}) == 1
    assert sum("idempotency-replayed" in a.headers for a in answers) == 5
    assert len(rig.firewall.calls) == 1


def test_old_answers_are_forgotten(rig: Rig) -> None:
    from datetime import timedelta

    rig.parts.served.keep("d", Answered("r", 200, "{}"))
    assert rig.parts.served.forget(timedelta(hours=1)) == 0
    assert rig.parts.served.forget(timedelta(seconds=-1)) == 1
    assert rig.parts.served.answered("d") is None
