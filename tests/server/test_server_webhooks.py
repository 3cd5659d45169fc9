"""Receivers hear of what happened: signed, in order, again after an error, and on after a restart."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from aegis_agents.server import webhooks
from aegis_agents.server.signing import signed_headers
from aegis_agents.settings_server import ServerSettings, WebhookSettings
from tests.server.conftest import ATTACK

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


class Receiver:
    """Takes messages on loopback; answers with the statuses that stand in `say`, then 204."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.say: list[int] = []
        self.redirected = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer.say.pop(0) if outer.say else 204
                if self.path != "/":
                    outer.redirected += 1
                outer.taken.append(({k.lower(): v for k, v in self.headers.items()} | {"status": str(status)}, body))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"http://127.0.0.1:{outer.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def good(self) -> list[dict[str, Any]]:
        return [json.loads(body) for headers, body in self.taken if headers["status"] == "204"]

    def wait(self, count: int) -> list[dict[str, Any]]:
        until = time.monotonic() + 10
        while len(self.good()) < count and time.monotonic() < until:
            time.sleep(0.01)
        return self.good()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(webhooks, "LOOK_S", 0.02)
    monkeypatch.setattr(webhooks, "FIRST_WAIT_S", 0.02)
    made = Receiver()
    yield made
    made.close()


def _hook(receiver: Receiver, **given: Any) -> WebhookSettings:
    return WebhookSettings(**{"name": "siem", "url": receiver.url, "secret": SecretStr(SECRET)} | given)


def test_what_happens_is_told_in_order_and_signed(serving: Callable[..., Any], receiver: Receiver) -> None:
    with serving(webhooks=(_hook(receiver),)) as rig:
        case, action = rig.waiting()
        rig.person("ann", "approver").post(f"/v1/actions/{action['action_id']}/approve")
        waiting = len(rig.aegis.pending()) + 1
        told = receiver.wait(waiting + 3)
    kinds = [m["type"] for m in told]
    assert kinds.count("case.decided") == 1
    assert kinds.count("action.waiting") == waiting
    done = [m["data"] for m in told if m["type"] == "action.done" and m["data"]["action_id"] == action["action_id"]]
    assert [(d["outcome"], d["connector"], d["target"]["value"]) for d in done] == [("executed", "fake-firewall", "203.0.113.9")]  # fmt: skip
    decided = next(m for m in told if m["type"] == "case.decided")
    assert decided["data"]["incident_id"] == case["incident_id"]
    assert decided["data"]["verdict"] == "true_positive"
    assert [m["timestamp"] for m in told] == sorted(m["timestamp"] for m in told)
    for headers, body in receiver.taken:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(b"k" * 32, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
        assert b"Beacon" not in body
    ids = [headers["webhook-id"] for headers, _ in receiver.taken]
    assert len(set(ids)) == len(ids)


def test_the_specification_s_own_example_is_signed_as_it_says() -> None:
    secret = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = signed_headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_not_taken_is_told_again_with_the_same_id(serving: Callable[..., Any], receiver: Receiver) -> None:
    receiver.say = [500, 302, 429]
    with serving(webhooks=(_hook(receiver, events=("case.decided",)),)) as rig:
        rig.aegis.investigate(ATTACK)
        (told,) = receiver.wait(1)
    assert told["type"] == "case.decided"
    assert [h["status"] for h, _ in receiver.taken] == ["500", "302", "429", "204"]
    assert len({h["webhook-id"] for h, _ in receiver.taken}) == 1
    assert receiver.redirected == 0


def test_it_goes_on_after_a_restart_and_with_what_others_decided(
    serving: Callable[..., Any], receiver: Receiver
) -> None:
    hooks = (_hook(receiver, events=("case.decided",)),)
    with serving(webhooks=hooks) as rig:
        rig.aegis.investigate(ATTACK)
        receiver.wait(1)
        receiver.say = [503] * 1_000
        rig.aegis.investigate(ATTACK | {"event_id": "a-2"})
        time.sleep(0.1)
    with serving() as rig:  # nobody is told: the command line, say
        rig.aegis.investigate(ATTACK | {"event_id": "a-3"})
    receiver.say = []
    with serving(webhooks=hooks) as rig:
        told = receiver.wait(3)
        time.sleep(0.1)
    assert len(receiver.good()) == 3
    assert len({m["data"]["incident_id"] for m in told}) == 3


def test_who_is_new_hears_no_old_news(serving: Callable[..., Any], receiver: Receiver) -> None:
    with serving() as rig:
        rig.aegis.investigate(ATTACK)
    with serving(webhooks=(_hook(receiver, events=("case.decided",)),)) as rig:
        case = rig.aegis.investigate(ATTACK | {"event_id": "a-2"})
        (told,) = receiver.wait(1)
    assert told["data"]["incident_id"] == case.incident_id


def test_one_that_is_deaf_holds_up_nobody_else_and_is_given_up(serving: Callable[..., Any], receiver: Receiver) -> None:
    deaf = _hook(receiver, name="deaf", url="http://127.0.0.1:9/", events=("case.decided",))
    hooks = (deaf, _hook(receiver, events=("case.decided",)))
    with serving(webhooks=hooks, webhook_give_up_hours=0.00005) as rig:
        rig.aegis.investigate(ATTACK)
        receiver.wait(1)
        until = time.monotonic() + 10
        while not rig.entries("webhook.given_up") and time.monotonic() < until:
            time.sleep(0.02)
        (given_up,) = rig.entries("webhook.given_up")
        assert (given_up["receiver"], given_up["event"]) == ("deaf", "case.decided")
        text = rig.person("v", "viewer").get("/metrics").text
        assert 'aegis_webhooks_total{event="case.decided",outcome="given_up"} 1.0' in text


def test_shadow_runs_are_nobody_s_news(serving: Callable[..., Any], receiver: Receiver) -> None:
    with serving(webhooks=(_hook(receiver),)) as rig:
        ana = rig.person("ana", "analyst")
        ana.post("/v1/incidents", params={"shadow": "true"}, json=ATTACK)
        ana.post("/v1/incidents", json=ATTACK | {"event_id": "a-2", "answer": "false_positive"})
        told = receiver.wait(1)
        time.sleep(0.1)
    assert told
    assert not any("-shadow-" in m["data"]["incident_id"] for m in receiver.good())


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://siem.example/"}, {"url": "https://u:p@siem.example/"}, {"url": "file:///x"}, {"name": "A b"},
        {"secret": "short"}, {"secret": "whsec_" + base64.b64encode(b"k" * 8).decode()}, {"events": ("no.such",)},
    ],
)  # fmt: skip
def test_a_receiver_that_can_not_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WebhookSettings(**{"name": "siem", "url": "https://siem.example/", "secret": SECRET} | wrong)


def test_two_receivers_of_one_name_are_refused() -> None:
    one = WebhookSettings(name="siem", url="https://siem.example/", secret=SecretStr(SECRET))
    with pytest.raises(ValidationError, match="one name"):
        ServerSettings(webhooks=(one, one))


def test_one_that_answers_a_byte_at_a_time_is_not_waited_for(
    serving: Callable[..., Any], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setattr(webhooks, "_WHOLE_S", 0.2)
    monkeypatch.setattr(webhooks, "FIRST_WAIT_S", 0.01)
    done, connected = threading.Event(), []

    def trickle(listener: socket.socket) -> None:
        while not done.is_set():
            try:
                taken, _ = listener.accept()
            except OSError:
                return
            connected.append(taken)
            threading.Thread(target=drip, args=(taken,), daemon=True).start()

    def drip(taken: socket.socket) -> None:
        try:
            taken.sendall(b"HTTP/1.1 200 OK\r\n")
            while not done.wait(0.02):
                taken.sendall(b"X: y\r\n")
        except OSError:
            pass
        taken.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=trickle, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        hook = WebhookSettings(name="slow", url=url, secret=SecretStr(SECRET))
        with serving(webhooks=(hook,)) as rig:
            rig.aegis.investigate(ATTACK)
            until = time.monotonic() + 20
            while len(connected) < 3 and time.monotonic() < until:
                time.sleep(0.02)
            assert len(connected) >= 3  # it was given up on, and tried again
            done.set()
