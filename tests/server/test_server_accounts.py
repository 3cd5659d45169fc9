"""Every access in the ledger; figures; headers; what is answered when something breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aegis_agents.errors import StoreError
from aegis_agents.server.accounts import Tally
from tests.server.conftest import ATTACK, Rig


def test_each_access_of_a_known_person_is_an_entry(rig: Rig) -> None:
    ana = rig.person("ana", "analyst")
    case = ana.post("/v1/incidents", json=ATTACK)
    ana.get(f"/v1/incidents/{case.json()['incident_id']}")
    ana.get("/v1/incidents/" + "x" * 250)
    ana.post("/v1/actions/act-1/approve")
    ana.get("/v1/no-such-thing")
    said = rig.entries("access")
    assert [(e["method"], e["route"], e["status"]) for e in said] == [
        ("POST", "/v1/incidents", 201), ("GET", "/v1/incidents/{incident_id}", 200),
        ("GET", "/v1/incidents/{incident_id}", 404), ("POST", "/v1/actions/{action_id}/approve", 403),
        ("GET", "none", 404),
    ]  # fmt: skip
    assert {e["principal"]["id"] for e in said} == {"token:ana"}
    assert said[1]["ids"] == {"incident_id": case.json()["incident_id"]}
    assert "ids" not in said[2]
    assert case.headers["x-request-id"] == said[0]["request"]
    assert rig.aegis.store.verify().entries > 0


def test_nobody_without_a_token_can_fill_the_ledger(serving: Callable[..., Any]) -> None:
    with serving(failures_per_address="1000/hour") as rig:
        before = rig.parts.served.newest()
        for _ in range(50):
            rig.client.get("/v1/incidents", headers={"Authorization": "Bearer wrong"})
        assert rig.parts.served.newest() == before
        aegis = rig.aegis
    (entry,) = [e.body for e in aegis.store.entries(kind="access.refused")]
    assert entry == {"counts": {"401": 50}, "addresses": 1, "most": {"testclient": 50}}


def test_the_tally_has_an_end() -> None:
    tally = Tally()
    for number in range(5_000):
        tally.count(401, str(number))
    found = tally.summary()
    assert found is not None
    assert (found["counts"], found["addresses"], len(found["most"])) == ({"401": 5_000}, 1_000, 10)
    assert tally.summary() is None


def test_what_can_not_be_entered_is_not_answered(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = rig.person("ana", "viewer")
    known = rig.aegis.store.append

    def broken(kind: str, *more: Any) -> Any:
        if kind == "access":
            raise StoreError("the disk is full")
        return known(kind, *more)

    monkeypatch.setattr(rig.aegis.store, "append", broken)
    answer = ana.get("/v1/incidents")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert "items" not in answer.text


def test_a_mistake_of_ours_tells_no_details(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(rig.aegis, "timers", broken)
    answer = rig.person("v", "viewer").get("/v1/timers")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] in answer.json()["detail"]
    assert rig.entries("access")[-1]["status"] == 500


def test_every_answer_has_its_headers(rig: Rig) -> None:
    for path in ("/healthz", "/v1/incidents", "/nowhere", "/openapi.json"):
        headers = rig.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_figures_are_for_who_has_a_token_or_is_here(rig: Rig) -> None:
    rig.person("ana", "analyst").post("/v1/incidents", json=ATTACK)
    assert rig.client.get("/metrics").status_code == 401  # the test client's address is none
    text = rig.person("v", "viewer").get("/metrics").text
    assert 'aegis_http_requests_total{method="POST",route="/v1/incidents",status="201"} 1.0' in text
    assert 'aegis_cases_total{verdict="true_positive"} 1.0' in text
    assert f"aegis_actions_waiting {float(len(rig.aegis.pending()))}" in text
    for word in ("Beacon", "wks-041", "203.0.113.9"):
        assert word not in text


@pytest.mark.parametrize(
    ("client", "headers", "status"),
    [
        (("127.0.0.1", 1), {}, 200), (("::1", 1), {}, 200), (("192.0.2.1", 1), {}, 401),
        (("127.0.0.1", 1), {"X-Forwarded-For": "192.0.2.1"}, 401), (("127.0.0.1", 1), {"Forwarded": "for=1"}, 401),
        (("127.0.0.1", 1), {"Host": "localhost:8740"}, 200), (("127.0.0.1", 1), {"Host": "rebound.example"}, 401),
        (("127.0.0.1", 1), {"Host": "[::1"}, 401),
    ],
)  # fmt: skip
def test_who_is_here_is_not_who_came_through_something_here(
    rig: Rig, client: Any, headers: dict[str, str], status: int
) -> None:
    from starlette.testclient import TestClient

    asked = TestClient(rig.client.app, client=client, base_url="http://127.0.0.1:8740")
    assert asked.get("/metrics", headers=headers).status_code == status


def test_routes_that_are_not_there_have_no_labels_of_their_own(rig: Rig) -> None:
    for number in range(20):
        rig.client.get(f"/made-up-{number}")
    text = rig.person("v", "viewer").get("/metrics").text
    assert "made-up" not in text
    assert 'route="none",status="404"} 20.0' in text


def test_health_and_readiness(rig: Rig) -> None:
    assert rig.client.get("/healthz").json()["status"] == "ok"
    rig.parts.ready = False
    assert rig.client.get("/readyz").status_code == 503
    rig.parts.ready = True
    assert rig.client.get("/readyz").json()["status"] == "ok"
    rig.parts.stopping = True
    assert rig.client.get("/readyz").json()["status"] == "stopping"


def test_only_named_hosts_are_answered(serving: Callable[..., Any]) -> None:
    with serving(hosts=("aegis.example", "*.soc.example")) as rig:
        assert rig.client.get("/healthz").status_code == 400
        wrong = rig.client.get("/healthz", headers={"Host": "aegis.example.evil"})
        assert (wrong.status_code, wrong.json()["code"]) == (400, "wrong_host")
        for name in ("aegis.example", "AEGIS.example:8740", "a.soc.example"):
            assert rig.client.get("/healthz", headers={"Host": name}).status_code == 200
        for name in ("soc.example", "", "[::1", "aegis.example@evil"):
            assert rig.client.get("/healthz", headers={"Host": name}).status_code == 400
