"""The webhook against a receiver that does what the module asks of one: checks signature, age and key."""

from __future__ import annotations

import hashlib
import hmac
import inspect
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aegis_agents.errors import ConnectorError, SettingsError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors import webhook as module
from aegis_agents.tools.connectors.webhook import SIGNATURE_HEADER, WebhookConnector
from tests.connectors.contract import HOSTILE, Case, ConnectorContract, Rig, refused
from tests.connectors.loopback import Answer, Lost, Request, Vendor, serving

ALERT, ANN = Target(kind="alert", value="a1b2:incident-7"), Target(kind="user", value="ann")
SECRET = "webhook-secret-31"
OLDEST = timedelta(minutes=5)


class Receiver(Vendor):
    """Takes a message once. `clock` is its own time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = lambda: datetime.now(UTC)
        self.seen: dict[str, str] = {}
        self.events: list[tuple[str, str]] = []
        self.path = "/hook"

    def denial(self, request: Request) -> Answer:
        return Answer(403, {"error": f"{SECRET} may not"})

    def answer(self, request: Request) -> Answer:
        if request.path != self.path:
            return Answer(404)
        expected = "sha256=" + hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(request.headers.get(SIGNATURE_HEADER.lower(), ""), expected):
            return Answer(401, {"error": "the signature does not fit"})
        message = request.json()
        if abs(self.clock() - datetime.fromisoformat(message["at"])) > OLDEST:
            return Answer(400, {"error": "too old"})
        if self.denied:
            return self.denial(request)
        assert request.headers["idempotency-key"] == message["key"]
        if message["key"] in self.seen:
            if self.losing:
                self.losing -= 1
                raise Lost
            return Answer(200, {"id": self.seen[message["key"]]})
        identity = f"T-{len(self.seen) + 1}"

        def do() -> bool:
            self.seen[message["key"]] = identity
            self.events.append((message["action"], message["target"]["value"]))
            return not message["action"].startswith("undo_")

        return self.change(do, Answer(201, {"id": identity}))


class WebhookRig(Rig):
    secrets = (SECRET,)

    def __init__(self, vendor: Receiver) -> None:
        self.vendor = vendor

    def connector(self) -> WebhookConnector:
        return WebhookConnector(f"{self.vendor.url}/hook", SECRET, timeout_s=2)

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        raise NotImplementedError("a webhook can't be read back")

    def in_effect(self, action: ActionName, target: Target) -> bool:
        done = [what for what, value in self.vendor.events if value == target.value]
        return bool(done) and not done[-1].startswith("undo_")

    def effects(self) -> int:
        return self.vendor.effects

    def touched(self) -> set[str]:
        return {value for _, value in self.vendor.events}

    def forget(self, target: Target) -> None:
        """It knows no targets."""

    def deny(self) -> None:
        self.vendor.denied = True

    def ignore(self) -> None:
        self.vendor.ignoring = True

    def lose_answers(self, count: int) -> None:
        self.vendor.losing = count

    def limit_rate(self, count: int) -> None:
        self.vendor.limiting = count


@pytest.fixture
def rig() -> Iterator[WebhookRig]:
    vendor = Receiver()
    with serving(vendor):
        yield WebhookRig(vendor)
    assert vendor.complaints == []


class TestWebhook(ConnectorContract):
    cases = (Case("open_ticket", ALERT, readable=False), Case("notify_owner", ANN, readable=False))
    forgetful = False

    @pytest.fixture
    def rig(self, rig: WebhookRig) -> Rig:
        return rig

    def test_hostile_names_touch_nothing_else(self, rig: Rig, case: Case) -> None:
        """Each is told to the receiver as it is, as JSON, and as nothing else."""
        connector = rig.connector()
        for number, value in enumerate(HOSTILE):
            target = Target.model_construct(kind=case.target.kind, value=value)
            connector.apply(case.action, target, key=f"k{number}", note=value)
        assert rig.touched() == set(HOSTILE)
        assert rig.effects() == len(HOSTILE)

    def test_its_configuration(self, rig: Rig) -> None:
        """`url` may also be given by position, as it always could."""
        parameters = inspect.signature(WebhookConnector).parameters
        assert {"url", "secret", "timeout_s"} == set(parameters)
        assert WebhookConnector.secrets <= set(parameters)


def sent(rig: WebhookRig) -> Request:
    """What was sent for one ticket."""
    rig.connector().apply("open_ticket", ALERT, key="k1", note="n")
    return rig.vendor.requests[-1]


def again(rig: WebhookRig, request: Request, body: bytes | None = None) -> int:
    """The receiver's answer to somebody who sends a message that was overheard."""
    return rig.vendor.answer(Request("POST", "/hook", (), request.headers, body or request.body)).status


def test_what_was_overheard_can_not_be_sent_again_later(rig: WebhookRig) -> None:
    request = sent(rig)
    assert again(rig, request) == 200, "within the time it is the same message, and known"
    assert rig.effects() == 1
    rig.vendor.seen.clear()  # a receiver that has forgotten the key by then ...
    rig.vendor.clock = lambda: datetime.now(UTC) + timedelta(hours=1)
    assert again(rig, request) == 400, "... refuses it by its age"
    assert rig.effects() == 1


def test_neither_time_nor_key_can_be_changed(rig: WebhookRig) -> None:
    request = sent(rig)
    for field, value in (("at", datetime.now(UTC).isoformat()), ("key", "another"), ("action", "undo_open_ticket")):
        forged = json.dumps(request.json() | {field: value}, sort_keys=True).encode()
        assert again(rig, request, forged) == 401


def test_a_repeated_message_has_the_same_key_and_a_new_time(rig: WebhookRig, monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=90)

    first = sent(rig).json()
    monkeypatch.setattr(module, "datetime", Later)
    second = sent(rig).json()
    assert first["key"] == second["key"]
    assert datetime.fromisoformat(second["at"]) - datetime.fromisoformat(first["at"]) > timedelta(seconds=80)
    assert rig.effects() == 1


def test_an_answer_is_read_with_care(rig: WebhookRig, monkeypatch: pytest.MonkeyPatch) -> None:
    for body, reference in (
        ({"id": 7}, "7"), ({"id": "T\r\n1\x1b[2J"}, "T 1 [2J"), ({"id": {"a": 1}}, ""), ({"id": True}, ""), ([1], ""),
        ({"id": SECRET}, "[secret]"), ({"id": "x" * 5_000}, "x" * 197 + "..."), ({}, ""),
    ):  # fmt: skip
        monkeypatch.setattr(rig.vendor, "answer", lambda request, body=body: Answer(200, body))
        assert rig.connector().apply("open_ticket", ALERT, key="k", note="n") == reference


def test_an_address_where_nothing_is_is_no_missing_target(rig: WebhookRig) -> None:
    rig.vendor.path = "/elsewhere"
    with pytest.raises(ConnectorError, match="nothing is at its address") as caught:
        rig.connector().apply("open_ticket", ALERT, key="k", note="n")
    assert type(caught.value) is ConnectorError


def test_a_notice_can_not_be_taken_back(rig: WebhookRig) -> None:
    assert "can't be taken back" in refused(lambda: rig.connector().undo("notify_owner", ANN, key="k"))
    assert rig.vendor.requests == []


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(SettingsError, match="secret"):
        WebhookConnector("https://hook.example", " ")
