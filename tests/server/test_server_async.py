"""`Prefer: respond-async`: answered once the alert is on disk, decided by a worker later, refused when the inbox is full."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from aegis_agents import Aegis
from aegis_agents.inbox.inbox import Inbox
from aegis_agents.inbox.opening import open_inbox
from aegis_agents.ledger.opening import open_store
from aegis_agents.records import AEGIS
from aegis_agents.server.app import create_app
from aegis_agents.settings import only
from aegis_agents.settings_server import ServerSettings
from tests.server.conftest import ATTACK, Rig

LATER = {"Prefer": "respond-async"}
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def handing(make: Callable[..., Aegis], firewall: Any, tmp_path: Path) -> Iterator[Callable[..., tuple[Rig, Inbox]]]:
    """A server with an inbox of these settings."""
    opened: list[Any] = []

    def begin(**inbox: Any) -> tuple[Rig, Inbox]:
        aegis = make()
        made = open_inbox(only(home=tmp_path / "inbox", inbox=inbox))
        client = TestClient(create_app(aegis, ServerSettings(), inbox=made), raise_server_exceptions=False)
        client.__enter__()
        opened.extend([lambda: client.__exit__(None, None, None), made.close])
        return Rig(aegis, client, firewall), made

    yield begin
    for close in opened:
        close()


def work(rig: Rig, inbox: Inbox) -> None:
    """What a worker does."""
    while held := inbox.take("w"):
        rig.aegis.investigate(held[0].message.native, format=held[0].message.format)
        inbox.done("w", held[0].number)


def test_it_is_taken_in_answered_decided_and_read(handing: Any) -> None:
    rig, inbox = handing()
    ana = rig.person("ana", "analyst")
    answer = ana.post("/v1/incidents", json=ATTACK, headers=LATER)
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    found = answer.json()
    assert found == {"incident_id": found["incident_id"], "copies": 1, "state": "waiting"}
    assert answer.headers["location"] == f"/v1/incidents/{found['incident_id']}"
    assert ana.post("/v1/incidents", json=ATTACK, headers=LATER).json()["copies"] == 2
    waiting = ana.get(answer.headers["location"])
    assert (waiting.status_code, waiting.json()["state"], waiting.json()["copies"]) == (202, "waiting", 2)
    assert waiting.headers["retry-after"]

    work(rig, inbox)
    case = ana.get(answer.headers["location"])
    assert (case.status_code, case.json()["verdict"]) == (200, "true_positive")


def test_one_that_is_alike_has_the_case_of_the_first(handing: Any) -> None:
    rig, inbox = handing()
    ana = rig.person("ana", "analyst")
    first = ana.post("/v1/incidents", json=ATTACK | {"timestamp": "2026-11-26T10:00:00Z"}, headers=LATER).json()
    again = ana.post("/v1/incidents", json=ATTACK | {"timestamp": "2026-11-26T10:01:00Z"}, headers=LATER).json()
    assert (again["incident_id"], again["copies"]) == (first["incident_id"], 2)
    from aegis_agents.sources import parse

    own = parse(ATTACK | {"timestamp": "2026-11-26T10:01:00Z"}).id
    assert own != first["incident_id"]
    assert ana.get(f"/v1/incidents/{own}").status_code == 202
    work(rig, inbox)
    assert ana.get(f"/v1/incidents/{own}").json()["incident_id"] == first["incident_id"]


@pytest.mark.parametrize(
    ("prefer", "status"),
    [
        ("respond-async", 202), ("RESPOND-ASYNC; x=1", 202), ("return=minimal, respond-async, wait=10", 202),
        ("wait=5", 201), ("respond-asynchronously", 201), ("", 201),
    ],
)  # fmt: skip
def test_the_preference_is_read_as_rfc_7240_has_it(handing: Any, prefer: str, status: int) -> None:
    rig, _ = handing()
    ana = rig.person("ana", "analyst")
    assert ana.post("/v1/incidents", json=ATTACK, headers={"Prefer": prefer}).status_code == status


def test_without_an_inbox_it_is_decided_at_once(rig: Rig) -> None:
    ana = rig.person("ana", "analyst")
    assert ana.post("/v1/incidents", json=ATTACK, headers=LATER).status_code == 201
    assert ana.get("/v1/incidents/inc-none").status_code == 404


def test_what_is_no_alert_is_refused_and_not_kept(handing: Any) -> None:
    rig, inbox = handing()
    ana = rig.person("ana", "analyst")
    for body in (b"", b"{", b"[]", b"\xff", b'{"a": "\xff"}'):
        answer = ana.post("/v1/incidents", content=body, headers=LATER | {"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    wrong = ana.post("/v1/incidents", json=ATTACK, params={"format": "none"}, headers=LATER)
    assert (wrong.status_code, wrong.json()["field"]) == (422, "format")
    shadow = ana.post("/v1/incidents", json=ATTACK, params={"shadow": True}, headers=LATER)
    assert (shadow.status_code, shadow.json()["field"]) == (422, "shadow")
    assert rig.person("vic", "viewer").post("/v1/incidents", json=ATTACK, headers=LATER).status_code == 403
    assert inbox.counts()[:4] == (0, 0, 0, 0)
    assert ana.get("/v1/incidents/inc-none").status_code == 404


def test_a_full_inbox_is_503_with_when_to_come_back(handing: Any) -> None:
    rig, inbox = handing(most_waiting=1)
    ana = rig.person("ana", "analyst")
    assert ana.post("/v1/incidents", json=ATTACK, headers=LATER).status_code == 202
    other = ana.post("/v1/incidents", json=ATTACK | {"hostname": "other", "title": "Something else"}, headers=LATER)
    assert (other.status_code, other.json()["code"]) == (503, "inbox_full")
    assert int(other.headers["retry-after"]) > 0
    lines = json.dumps(ATTACK | {"hostname": "x", "title": "Third"}).encode()
    assert ana.post("/v1/incidents/batch", content=lines, headers=LATER | NDJSON).status_code == 503
    assert inbox.counts().waiting == 1


def test_the_same_key_again_is_answered_and_not_counted(handing: Any) -> None:
    rig, inbox = handing()
    ana = rig.person("ana", "analyst")
    headers = LATER | {"Idempotency-Key": "k"}
    first = ana.post("/v1/incidents", json=ATTACK, headers=headers)
    again = ana.post("/v1/incidents", json=ATTACK, headers=headers)
    assert (again.status_code, again.json()) == (202, first.json())
    assert inbox.copies(first.json()["incident_id"]) == 1


def test_a_batch_is_answered_line_by_line(handing: Any) -> None:
    rig, inbox = handing()
    ana = rig.person("ana", "analyst")
    words = [f"{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(600)]
    lines = [json.dumps({"id": w, "title": f"Beacon of {w}", "hostname": f"wks-{w}"}) for w in words]
    body = "\n".join([lines[0], "", "{", lines[0], *lines[1:]])
    answer = ana.post("/v1/incidents/batch", content=body.encode(), headers=LATER | NDJSON)
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert len(found) == 602
    assert (found[0]["state"], found[1]["line"], found[2]["copies"]) == ("waiting", 3, 2)
    assert (inbox.counts().waiting, inbox.counts().copies, inbox.counts().dead) == (600, 1, 0)


def test_what_was_answered_is_there_after_kill_9(tmp_path: Path, intel_home: Any) -> None:
    home = tmp_path / "home"
    home.mkdir()
    store = open_store(None, home)
    token = store.add_token("ana", ("analyst",), AEGIS, valid_for=timedelta(days=1))
    store.close()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.server.handing", str(home), str(intel_home._opened.directory), str(port)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], env=os.environ | {"AEGIS_HOME": str(home)})
    url = f"http://127.0.0.1:{port}"
    try:
        _until_up(url)
        answered = []
        for word in ("one", "two", "three"):
            alert = json.dumps(ATTACK | {"event_id": word, "hostname": f"wks-{word}", "title": f"Beacon {word}"})
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} | LATER
            request = urllib.request.Request(f"{url}/v1/incidents", alert.encode(), headers)
            with urllib.request.urlopen(request, timeout=20) as answer:
                assert answer.status == 202
                answered.append(json.loads(answer.read())["incident_id"])
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    inbox = open_inbox(only(home=home))
    assert sorted(held.incident_id for held in inbox.take("w", 10)) == sorted(answered)
    inbox.close()


def _until_up(url: str) -> None:
    until = time.monotonic() + 40
    while True:
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=5).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
