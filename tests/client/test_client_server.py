"""The clients against the real server; and the fake server that SOAR packages are tested with, held against it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the server extra is not installed")
pytest.importorskip("uvicorn", reason="the server extra is not installed")

from aegis_agents.client import (
    AlreadyDecided,
    AsyncClient,
    Client,
    Forbidden,
    InvalidInput,
    NotFound,
    Unauthorised,
    Unavailable,
)
from aegis_agents.records import AEGIS
from tests.server.conftest import ATTACK, firewall, intel_home, listening, make  # noqa: F401 - fixtures
from tests.soar.fake_aegis import FakeAegis


class Served:
    """A real server: its address, and tokens."""

    def __init__(self, aegis: Any, url: str) -> None:
        self.aegis, self.url = aegis, url

    def token(self, *roles: str) -> str:
        name = "-".join(roles)
        return str(self.aegis.store.add_token(name, roles, AEGIS, valid_for=timedelta(days=1)))


@pytest.fixture
def served(make: Callable[..., Any], listening: Callable[..., Any]) -> Iterator[Served]:  # noqa: F811
    aegis = make()
    with listening(aegis) as url:
        yield Served(aegis, url)


@pytest.fixture
def real(served: Served, connect: Callable[..., Any]) -> Any:
    return connect(served.url, served.token("admin"), timeout=20)


def _waiting(case: Any) -> str:
    return next(str(a["action_id"]) for a in case["actions"] if a["outcome"] == "awaiting_approval")


def test_from_alert_to_undone(real: Any) -> None:
    case = real.investigate(ATTACK)
    assert real.investigate(ATTACK)["incident_id"] == case["incident_id"]
    facts = real.incident(case["incident_id"], include_facts=True)["incident"]["facts"]
    assert facts
    action_id = _waiting(case)
    assert action_id in {row["action_id"] for row in real.approvals()["items"]}
    assert real.approve(action_id, "seen it too")["outcome"] == "executed"
    assert real.action(action_id)["outcome"] == "executed"
    with pytest.raises(AlreadyDecided) as told:
        real.deny(action_id)
    assert told.value.code == "already_decided"
    assert real.undo(action_id)["outcome"] == "undone"
    assert real.incidents(limit=1)["items"][0]["incident_id"] == case["incident_id"]
    assert real.confirm(case["incident_id"], "true_positive")["verdict"] == "true_positive"
    assert real.verify_ledger()["intact"] is True
    assert real.ledger(incident=case["incident_id"])["items"]
    assert real.health()["status"] == "ok"


def test_a_wish_is_put_before_the_gate_and_waits(real: Any) -> None:
    case = real.investigate(ATTACK)
    host = next(a["target"] for a in case["actions"] if a["target"]["kind"] == "host")
    wished = real.propose(case["incident_id"], "snapshot_disk", host["kind"], host["value"], "keep the evidence")
    assert (wished["action"], wished["outcome"]) == ("snapshot_disk", "awaiting_approval")
    with pytest.raises(InvalidInput):
        real.propose(case["incident_id"], "isolate_host", "host", "not-in-the-alert")


def test_a_thread_is_a_conversation(real: Any) -> None:
    case = real.investigate(ATTACK)
    real.ask("why was this decided?", case["incident_id"], thread="t-1")
    real.investigate(ATTACK | {"event_id": "t-2", "hostname": "srv-777", "host": "srv-777"})
    again, alone = real.ask("and which hosts?", thread="t-1"), real.ask("and which hosts?")
    assert again["text"] != alone["text"], "the second question knows the case of the first"
    assert real.ask_stream("and which hosts?", thread="t-1")[-1][0] == "answer"


def test_streams_end_with_the_case_and_batches_keep_their_order(real: Any) -> None:
    events = real.investigate_stream(ATTACK | {"title": "Beacon \u2028 <b>"})
    assert events[-1][0] == "case"
    assert len(events) > 1
    answers = real.investigate_many([ATTACK | {"event_id": "b-1"}, "{broken", ATTACK | {"event_id": "b-2"}])
    assert [a.get("native_id") for a in answers] == ["b-1", None, "b-2"]
    assert answers[1]["line"] == 2


def test_what_is_wrong_is_named(served: Served, real: Any, connect: Callable[..., Any]) -> None:
    with pytest.raises(NotFound):
        real.incident("inc-../../healthz")
    with pytest.raises(NotFound):
        real.action("act-0")
    with pytest.raises(InvalidInput):
        real.investigate("{broken")
    with pytest.raises(InvalidInput) as told:
        real.investigate(ATTACK, format="nonsense")
    assert told.value.field == "format"
    with pytest.raises(Forbidden):
        connect(served.url, served.token("viewer")).investigate(ATTACK)
    with pytest.raises(Unauthorised):
        connect(served.url, "wrong").incidents()
    real.investigate(ATTACK, idempotency_key="k-1")
    with pytest.raises(InvalidInput) as told:
        real.investigate(ATTACK | {"title": "other"}, idempotency_key="k-1")
    assert told.value.code == "idempotency_key_reused"


def test_questions_are_answered_whole_and_as_a_stream(real: Any) -> None:
    case = real.investigate(ATTACK)
    try:
        answer = real.ask("why was this decided?", case["incident_id"])
    except Unavailable as error:
        if error.code == "no_assistant":
            pytest.skip("the façade has no assistant yet")
        raise
    assert answer["text"]
    assert real.ask_stream("why was this decided?", case["incident_id"])[-1][1]["text"] == answer["text"]


def test_two_approvers_at_once_and_one_wins(served: Served) -> None:
    with Client(served.url, served.token("admin"), timeout=20) as client:
        action_id = _waiting(client.investigate(ATTACK))
        tokens = [served.token("approver", "viewer"), served.token("approver", "analyst")]

        def approve(token: str) -> str:
            with Client(served.url, token, timeout=20) as mine:
                try:
                    return str(mine.approve(action_id)["outcome"])
                except AlreadyDecided:
                    return "late"

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(approve, tokens)) == ["executed", "late"]


def test_many_tasks_share_one_client(served: Served) -> None:
    async def run() -> list[Any]:
        async with AsyncClient(served.url, served.token("admin"), timeout=30) as client:
            alerts = [ATTACK | {"event_id": f"m-{number}"} for number in range(30)]
            return await asyncio.gather(*(client.investigate(alert) for alert in alerts))

    assert [case["native_id"] for case in asyncio.run(run())] == [f"m-{number}" for number in range(30)]


def _shape(value: Any, at: str = "") -> set[str]:
    """The fields of an answer, without what they say. `versions` and the ledger's bodies are anything's."""
    if isinstance(value, dict) and not at.endswith(("versions", "body")):
        return {path for name, inner in value.items() for path in _shape(inner, f"{at}.{name}")}
    return {f"{at}[]" if isinstance(value, list) else at}


def test_the_fake_server_answers_as_the_real_one(served: Served) -> None:
    """Names of fields, and errors' statuses and codes. The SOAR packages' tests are worth as much as this one."""
    shapes, errors = [], []
    with FakeAegis() as fake:
        for url, token, viewer in (
            (fake.url, fake.token(), fake.token("viewer")),
            (served.url, served.token("admin"), served.token("viewer")),
        ):
            with Client(url, token, timeout=20) as client, Client(url, viewer) as looker:
                case = client.investigate(ATTACK)
                action_id = _waiting(case)
                approvals = client.approvals()
                shapes.append(
                    {
                        "case": _shape(case), "evidence": _shape(case["evidence"][0]), "action": _shape(case["actions"][0]),
                        "approvals": _shape(approvals), "approval": _shape(approvals["items"][0]),
                        "queue": _shape(client.incidents()), "row": _shape(client.incidents()["items"][0]),
                        "one": _shape(client.action(action_id)), "done": _shape(client.approve(action_id)),
                        "confirmed": _shape(client.confirm(case["incident_id"], "true_positive")),
                        "ledger": _shape(client.ledger(limit=1)), "health": _shape(client.health()),
                    }
                )  # fmt: skip
                calls: list[Callable[[], Any]] = [
                    lambda c=client, a=action_id: c.deny(a), lambda c=client: c.action("act-0"),
                    lambda c=client: c.incident("inc-0"), lambda c=looker, a=action_id: c.undo(a),
                    lambda c=client: c.investigate("{broken"),
                ]  # fmt: skip
                found = []
                for call in calls:
                    with pytest.raises(Exception) as told:  # noqa: PT011 - which one is what is compared
                        call()
                    found.append((type(told.value).__name__, told.value.status, told.value.code))  # type: ignore[attr-defined]
                errors.append(found)
    for name, shape in shapes[1].items():
        assert shapes[0][name] == shape, name
    assert errors[0] == errors[1]


def test_the_fake_server_lets_each_role_do_what_the_real_one_does(served: Served) -> None:
    calls: dict[str, Callable[[Client, str], Any]] = {
        "read": lambda c, a: c.incidents(), "hand in": lambda c, a: c.investigate(ATTACK),
        "deny": lambda c, a: c.deny(a), "undo": lambda c, a: c.undo(a), "keep": lambda c, a: c.keep(a),
        "confirm": lambda c, a: c.confirm("inc-0", "true_positive"), "ledger": lambda c, a: c.ledger(),
    }  # fmt: skip
    allowed: list[set[tuple[str, str]]] = []
    with FakeAegis() as fake:
        for where in (fake, served):
            found = set()
            for role in ("viewer", "analyst", "approver", "operator", "admin"):
                with Client(where.url, where.token(role), timeout=20, retries=0) as client:
                    for name, call in calls.items():
                        try:
                            call(client, "act-0")
                        except Forbidden:
                            continue
                        except NotFound:
                            pass  # it was let in, and found nothing there
                        found.add((role, name))
            allowed.append(found)
    assert allowed[0] == allowed[1]
