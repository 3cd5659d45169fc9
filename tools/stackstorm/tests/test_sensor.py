"""The sensor: told once, also over restarts, and a server that is down is no end."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import PACK, SensorService, load
from fake_aegis import FakeAegis


def start(fake: FakeAegis, service: SensorService, **more: Any) -> Any:
    from approvals import ApprovalsSensor

    sensor = ApprovalsSensor(service, {"url": fake.url, "token": fake.token("viewer"), "timeout": 5} | more)
    sensor.setup()
    return sensor


def test_each_waiting_action_is_told_once(fake: FakeAegis) -> None:
    service = SensorService()
    fake.investigate({"title": "one"})
    sensor = start(fake, service)
    sensor.poll()
    sensor.poll()
    fake.investigate({"title": "two"})
    sensor.poll()
    sensor.cleanup()
    restarted = start(fake, service)
    restarted.poll()
    restarted.cleanup()
    assert len(service.told) == 2
    assert {p["action_id"] for _, p in service.told} == set(fake.actions)


def test_what_it_tells_is_what_the_trigger_declares(fake: FakeAegis) -> None:
    service = SensorService()
    fake.investigate({"title": "one"})
    sensor = start(fake, service)
    sensor.poll()
    sensor.cleanup()
    declared = load(PACK / "sensors" / "approvals.yaml")["trigger_types"][0]
    trigger, payload = service.told[0]
    assert trigger == f"aegis.{declared['name']}"
    kinds = {"string": str, "boolean": bool, "null": type(None)}
    properties = declared["payload_schema"]["properties"]
    assert payload.keys() == properties.keys()
    for name, value in payload.items():
        said = properties[name]["type"]
        assert isinstance(value, tuple(kinds[k] for k in ([said] if isinstance(said, str) else said))), name


def test_what_no_longer_waits_is_forgotten(fake: FakeAegis) -> None:
    service = SensorService()
    fake.investigate({"title": "one"})
    sensor = start(fake, service)
    sensor.poll()
    fake.say(next(iter(fake.actions)), "deny", {}, "bob")
    sensor.poll()
    sensor.cleanup()
    assert list(service.values.values()) == ["[]"]


def test_a_server_that_fails_is_tried_again(fake: FakeAegis, caplog: pytest.LogCaptureFixture) -> None:
    service = SensorService()
    fake.investigate({"title": "one"})
    sensor = start(fake, service, poll_seconds=7)
    assert sensor.interval == 7
    fake.script((500, {}, b"oops"))
    sensor.poll()
    assert service.told == []
    assert "Aegis" in caplog.text
    sensor.poll()
    sensor.cleanup()
    assert len(service.told) == 1
