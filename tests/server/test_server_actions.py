"""What people say of actions over HTTP: once, by whom, and what the ledger has of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.server.conftest import ATTACK, Rig


def test_what_waits_is_shown_with_what_an_approver_needs(rig: Rig) -> None:
    case, action = rig.waiting()
    found = rig.person("v", "viewer").get("/v1/approvals").json()
    assert found["total"] == len(found["items"]) == len(rig.aegis.pending())
    item = next(i for i in found["items"] if i["action_id"] == action["action_id"])
    assert item["target"] == {"kind": "ip", "value": "203.0.113.9"}
    assert (item["undo"], item["reversible"], item["approvals"]) == ("unblock_ip", True, [])
    assert (item["title"], item["verdict"], item["confidence"]) == ("Beacon", "true_positive", case["confidence"])
    assert item["why_waiting"]
    assert any(cite["text"] == "destination_ip: 203.0.113.9" for cite in item["cites"])
    assert rig.person("v2", "viewer").get(f"/v1/actions/{action['action_id']}").json() == item


def test_an_approval_is_done_and_names_who_it_was(rig: Rig) -> None:
    _, action = rig.waiting()
    ann = rig.person("ann", "approver")
    answer = ann.post(f"/v1/actions/{action['action_id']}/approve", json={"reason": "seen it"})
    assert answer.status_code == 200
    assert (answer.json()["outcome"], answer.json()["by"]) == ("executed", "ann")
    assert rig.firewall.calls == [("block_ip", "203.0.113.9")]
    (said,) = rig.entries("action.answered")
    assert (said["principal"]["id"], said["reason"]) == ("token:ann", "seen it")
    second = rig.person("bob", "approver").post(f"/v1/actions/{action['action_id']}/deny")
    assert (second.status_code, second.json()["code"]) == (409, "already_decided")
    assert "ann" in second.json()["detail"]


def test_one_of_two_at_once_wins(rig: Rig) -> None:
    _, action = rig.waiting()
    people = [rig.person(f"p{n}", "approver") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        verbs = ("approve", "deny")
        calls = [pool.submit(p.post, f"/v1/actions/{action['action_id']}/{verbs[n % 2]}") for n, p in enumerate(people)]
        codes = sorted(call.result().status_code for call in calls)
    assert codes == [200] + [409] * 7
    assert len(rig.firewall.calls) <= 1


def test_it_is_denied_undone_and_kept(serving: Callable[..., Any]) -> None:
    with serving({"lifetimes": {"block_ip": 1.0}}) as rig:
        ada = rig.person("ada", "admin")
        _, one = rig.waiting()
        assert ada.post(f"/v1/actions/{one['action_id']}/deny", json={}).json()["outcome"] == "denied"
        _, two = rig.waiting(event_id="a-2", destination_ip="203.0.113.10")
        path = f"/v1/actions/{two['action_id']}"
        assert ada.post(f"{path}/keep").json()["code"] == "not_allowed"
        assert ada.post(f"{path}/approve").json()["outcome"] == "executed"
        (timer,) = ada.get("/v1/timers").json()["items"]
        assert timer["action_id"] == two["action_id"]
        assert ada.post(f"{path}/keep", json={"reason": "bad"}).status_code == 200
        assert ada.get("/v1/timers").json()["items"] == []
        assert ada.post(f"{path}/undo").json()["outcome"] == "undone"
        assert rig.firewall.in_effect == set()
        assert ada.post(f"{path}/undo").status_code == 409


def test_four_eyes_are_two_people(serving: Callable[..., Any], tmp_path: Any) -> None:
    assets = tmp_path / "assets.toml"
    assets.write_text('[groups.executives]\nusers = ["ceo*"]\n', "utf-8")
    with serving({"assets": assets}) as rig:
        case = rig.aegis.investigate(ATTACK | {"user_name": "ceo.ann", "event_id": "a-4"}).to_dict()
        destroying = next(a for a in case["actions"] if a["action"] == "revoke_sessions")
        ann, bob = rig.person("ann", "approver"), rig.person("bob2", "approver")
        path = f"/v1/actions/{destroying['action_id']}"
        first = ann.post(f"{path}/approve")
        assert first.json()["outcome"] == "awaiting_approval"
        again = ann.post(f"{path}/approve")
        assert again.json()["outcome"] == "awaiting_approval"
        assert ann.get(path).json()["approvals"] == ["ann"]
        assert bob.post(f"{path}/approve").json()["outcome"] != "awaiting_approval"


def test_an_action_is_aimed_at_another_entity_of_the_incident(rig: Rig) -> None:
    far = [f"198.51.100.{n}" for n in range(1, 7)]  # only three of them are proposed
    case, action = rig.waiting(remote_ips=far)
    proposed = {a["target"]["value"]: a["action_id"] for a in case["actions"] if a["action"] == "block_ip"}
    other = next(ip for ip in far if ip not in proposed)
    ann = rig.person("ann", "approver")
    path = f"/v1/actions/{action['action_id']}/retarget"
    here = action["target"]["value"]
    for kind, value, status in (("ip", "192.0.2.99", 422), ("host", "wks-041", 422), ("ip", here, 422)):
        assert ann.post(path, json={"kind": kind, "value": value}).status_code == status, (kind, value)
    forbidden = ann.post(path, json={"kind": "ip", "value": "10.1.2.3"})  # the gate sees to corrections too
    assert (forbidden.status_code, forbidden.json()["code"]) == (409, "not_allowed")
    there = next(ip for ip in proposed if ip != here)
    assert ann.post(path, json={"kind": "ip", "value": there}).json()["code"] == "already_decided"
    assert rig.aegis.store.action(action["action_id"]).state == "awaiting"
    new = ann.post(path, json={"kind": "ip", "value": other, "reason": "the other end"})
    assert new.status_code == 200, new.text
    item = new.json()
    assert (item["outcome"], item["target"]["value"]) == ("awaiting_approval", other)
    assert rig.aegis.store.action(action["action_id"]).state == "denied"
    chosen = rig.aegis.store.action(item["action_id"]).decision
    assert (chosen.inputs["wish"], chosen.inputs["wish.by"]) == ("ask", "token:ann"), (
        "it shows nothing of what Aegis would choose"
    )
    assert rig.firewall.calls == []
    (said,) = rig.entries("action.retargeted")
    assert (said["instead_of"], said["principal"]["id"]) == (action["action_id"], "token:ann")
    shown = rig.aegis.case(case["incident_id"]).actions
    assert {a.action_id: a.outcome for a in shown}[item["action_id"]] == "awaiting_approval"
    done = ann.post(f"/v1/actions/{item['action_id']}/approve")
    assert done.json()["outcome"] == "executed"
    assert rig.firewall.calls == [("block_ip", other)]
    assert ann.post(path, json={"kind": "ip", "value": other}).status_code == 409


def test_who_the_library_would_refuse_is_refused(rig: Rig) -> None:
    ann = rig.person("ann", "approver")
    unknown = ann.post("/v1/actions/act-none/approve")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    _, action = rig.waiting()
    long = ann.post(f"/v1/actions/{action['action_id']}/approve", json={"reason": "x" * 2_001})
    assert (long.status_code, long.json()["field"]) == (422, "reason")
    strange = ann.post(f"/v1/actions/{action['action_id']}/approve", json={"by": "somebody else"})
    assert strange.status_code == 422
    assert rig.aegis.store.action(action["action_id"]).state == "awaiting"


def test_a_system_that_takes_its_time_holds_up_no_investigation(serving: Callable[..., Any]) -> None:
    with serving(workers=1) as rig:
        ada, go = rig.person("ada", "admin"), threading.Event()
        _, action = rig.waiting()
        known = rig.firewall.apply

        def slow(*given: Any, **more: Any) -> str:
            go.wait(20)
            return known(*given, **more)

        rig.firewall.apply = slow  # type: ignore[method-assign]
        with ThreadPoolExecutor(1) as pool:
            approving = pool.submit(ada.post, f"/v1/actions/{action['action_id']}/approve")
            assert (
                ada.post("/v1/incidents", json=ATTACK | {"event_id": "a-2", "answer": "false_positive"}).status_code
                == 201
            )
            assert not approving.done()
            go.set()
            assert approving.result().json()["outcome"] == "executed"
