"""What an attacker writes into an alert takes no protection away, and makes nothing a target."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from gate_cases import NOW, incident

from aegis_agents.gate import AssetRegister
from aegis_agents.gate.redact import redact
from aegis_agents.records import Entity, Fact, Incident, Target
from aegis_agents.sources import parse

PAST = (NOW - timedelta(hours=1)).isoformat()
FUTURE = (NOW + timedelta(hours=1)).isoformat()


def tier(alert: Incident, kind: Any, value: str, **assets: Any) -> str:
    return AssetRegister.load(assets).look_up(alert, Target(kind=kind, value=value), NOW).tier


@pytest.mark.parametrize("mentions", [0, 18, 25, 300])
def test_a_host_that_a_command_line_names_often_keeps_the_tag_beside_its_name(mentions: int) -> None:
    alert = parse({
        "title": "Suspicious process on host web-07", "args": [f"x host web-07 {n}" for n in range(mentions)],
        "device": {"hostname": "web-07", "ip": "10.1.2.3", "tags": "Domain Controller"},
    })  # fmt: skip
    assert tier(alert, "host", "web-07") == "protected"


@pytest.mark.parametrize(
    ("facts", "entities", "assets"),
    [
        ((), (Entity(kind="host", value="hq-auth-01", role="subject", facts=()),), {"groups": {"domain_controllers": {"hosts": ["hq-auth-*"]}}}),
        ((), (Entity(kind="host", value="dc01", role="peer", facts=()),), {}),
        ((), (Entity(kind="user", value="ann", role="actor", facts=()),), {"groups": {"executives": {"users": ["ann"]}}}),
        ((Fact(id="f90", path="device.tags", value="Domain Controller", trust="product"),), (), {}),
        ((Fact(id="f91", path="user.groups", value="break-glass", trust="organization"),), (), {}),
    ],
)  # fmt: skip
def test_closing_an_alert_touches_whatever_it_is_about(facts: Any, entities: Any, assets: dict[str, Any]) -> None:
    assert tier(incident(), "alert", "native-1") == "standard"
    assert tier(incident(facts, entities), "alert", "native-1", **assets) == "protected"


def test_a_name_in_prose_alone_protects_no_alert() -> None:
    named = (Entity(kind="host", value="dc01", role="observed", facts=()),)
    assert tier(incident((), named), "alert", "native-1") == "standard"


@pytest.mark.parametrize("order", [("maintenance", "freeze"), ("freeze", "maintenance")])
def test_a_freeze_holds_beside_a_maintenance_window(order: tuple[str, str]) -> None:
    windows = [{"kind": kind, "start": PAST, "end": FUTURE} for kind in order]
    asset = AssetRegister.load({"windows": windows}).look_up(incident(), Target(kind="host", value="web-01"), NOW)
    assert asset.window == "freeze"


@pytest.mark.parametrize(
    ("kind", "value", "group"),
    [
        ("ip", "104.16.1.1", True), ("ip", "::ffff:104.16.1.1", True), ("ip", "64:ff9b::6810:101", True),
        ("domain", "github.io", True), ("domain", "www.GitHub.io.", True), ("domain", "gmail.com", True),
        ("domain", "evil.github.io", False), ("ip", "203.0.113.9", False),
    ],
)  # fmt: skip
def test_what_everybody_uses_is_not_blocked_alone(kind: str, value: str, group: bool) -> None:
    asset = AssetRegister().look_up(incident(), Target(kind=kind, value=value), NOW)
    assert ("shared_infrastructure" in asset.groups, asset.tier == "protected") == (group, group)
    assert not asset.well_known, "a person may allow it"


def test_digits_of_other_scripts_end_no_redaction() -> None:
    for text in ("abcdef٣٣A٣٣A٣٣٣A", "٣٣٣٣٣٣٣٣Z", "756.١٢٣٤.١٢٣٤.١٢", "١١١.٢٢٢.٣٣٣-٤٤", "ssn: ١٢٣٤٥٦٧٨٩", "²²²²²²²²Z"):
        assert redact(text) == text
    assert all("masked" in redact(text) for text in ("born 12.03.1981", "12345678Z"))
