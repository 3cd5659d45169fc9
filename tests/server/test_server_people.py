"""Who comes in, and what they may do: tokens, roles, rates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aegis_agents.records import AEGIS
from tests.server.conftest import ATTACK, Rig


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer aegis_wrong", "Bearer " + "x" * 9_000, "Bearer a.b.c"],
)
def test_who_is_not_known_is_refused_before_the_body_is_read(rig: Rig, header: str | None) -> None:
    given = {} if header is None else {"Authorization": header}
    answer = rig.client.post("/v1/incidents", json=ATTACK, headers=given)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert rig.aegis.store.unfinished() == []
    assert rig.aegis.pending() == []


def test_two_authorization_headers_are_nobody(rig: Rig) -> None:
    token = rig.token("ana", "admin")
    headers = [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer other")]
    assert rig.client.get("/v1/approvals", headers=headers).status_code == 401


def test_a_token_ends_at_once_when_it_is_revoked(rig: Rig) -> None:
    ana = rig.person("ana", "viewer")
    assert ana.get("/v1/approvals").status_code == 200
    rig.aegis.store.revoke_token(rig.aegis.store.tokens()[-1].token_id, AEGIS)
    assert ana.get("/v1/approvals").status_code == 401


_ROUTES = [
    ("GET", "/v1/incidents", None, {"viewer", "analyst", "approver", "operator", "reviewer", "admin"}),
    ("GET", "/v1/approvals", None, {"viewer", "analyst", "approver", "operator", "reviewer", "admin"}),
    ("GET", "/v1/ledger", None, {"viewer", "analyst", "approver", "operator", "reviewer", "admin"}),
    ("POST", "/v1/incidents", ATTACK, {"analyst", "reviewer", "admin"}),
    ("POST", "/v1/incidents/x/confirm", {"verdict": "false_positive"}, {"analyst", "reviewer", "admin"}),
    ("POST", "/v1/actions/x/approve", {}, {"approver", "admin"}),
    ("POST", "/v1/actions/x/deny", {}, {"approver", "admin"}),
    ("POST", "/v1/actions/x/retarget", {"kind": "ip", "value": "1.2.3.4"}, {"approver", "admin"}),
    ("POST", "/v1/actions/x/undo", {}, {"operator", "admin"}),
    ("POST", "/v1/actions/x/keep", {}, {"operator", "admin"}),
]


@pytest.mark.parametrize(("method", "path", "body", "may"), _ROUTES, ids=[f"{m} {p}" for m, p, _, _ in _ROUTES])
def test_each_route_wants_its_role(rig: Rig, method: str, path: str, body: Any, may: set[str]) -> None:
    for role in ("viewer", "analyst", "approver", "operator", "reviewer", "admin"):
        answer = rig.person(role, role)(method, path, json=body)
        assert (answer.status_code != 403) is (role in may), (role, answer.text)


def test_every_route_of_the_api_wants_a_token(rig: Rig) -> None:
    for path, methods in rig.client.get("/openapi.json").json()["paths"].items():
        for method, about in methods.items():
            answer = rig.client.request(method.upper(), path.replace("{", "").replace("}", ""))
            open_to_all = about.get("security") == []
            assert (answer.status_code == 401) is path.startswith(("/v1/", "/metrics")), (method, path)
            assert open_to_all is (path in ("/healthz", "/readyz"))


def test_tokens_need_not_be_let_answer(serving: Callable[..., Any]) -> None:
    with serving(tokens_answer=False) as rig:
        _, action = rig.waiting()
        ada = rig.person("ada", "admin")
        assert ada.post(f"/v1/actions/{action['action_id']}/approve").status_code == 403
        assert ada.get("/v1/approvals").json()["total"] > 0


@pytest.mark.usefixtures("still_limits")
def test_a_person_may_ask_so_often(serving: Callable[..., Any]) -> None:
    with serving(rate_per_person="3/hour") as rig:
        ana, bob = rig.person("ana", "viewer"), rig.person("bob", "viewer")
        assert [ana.get("/v1/timers").status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = ana.get("/v1/timers")
        assert refused.json()["code"] == "rate_limited"
        assert 1 <= int(refused.headers["retry-after"]) <= 3600
        assert bob.get("/v1/timers").status_code == 200


@pytest.mark.usefixtures("still_limits")
def test_an_address_may_ask_so_often(serving: Callable[..., Any]) -> None:
    with serving(rate_per_address="2/hour") as rig:
        assert [rig.client.get("/healthz").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.usefixtures("still_limits")
def test_who_guesses_has_to_wait(serving: Callable[..., Any]) -> None:
    with serving(failures_per_address="3/hour") as rig:
        ana, bob = rig.person("ana", "viewer"), rig.person("bob", "viewer")
        assert bob.get("/v1/timers").status_code == 200
        wrong = {"Authorization": "Bearer aegis_guess"}
        answers = [rig.client.get("/v1/timers", headers=wrong).status_code for _ in range(4)]
        assert answers == [401, 401, 401, 429]
        assert ana.get("/v1/timers").status_code == 429  # the address waits, whoever it says it is,
        assert bob.get("/v1/timers").status_code == 200  # but who was in already is kept out by nobody
        rig.aegis.store.revoke_token(rig.aegis.store.tokens()[-1].token_id, AEGIS)
        assert bob.get("/v1/timers").status_code == 401
        assert bob.get("/v1/timers").status_code == 429


@pytest.mark.usefixtures("still_limits")
def test_a_token_is_no_pass_where_nobody_asks_who_it_is(serving: Callable[..., Any]) -> None:
    with serving(rate_per_address="4/hour") as rig:
        ana = rig.person("ana", "viewer")
        assert ana.get("/v1/timers").status_code == 200
        rig.aegis.store.revoke_token(rig.aegis.store.tokens()[-1].token_id, AEGIS)
        assert [ana.get("/healthz").status_code for _ in range(5)][-1] == 429
