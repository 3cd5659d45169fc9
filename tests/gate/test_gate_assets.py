"""Asset facts: lists, names, signs in facts, addresses, windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from gate_cases import NOW, asset_of, incident, open_gate, request, target_of

from aegis_agents.errors import SettingsError
from aegis_agents.gate import AssetRegister
from aegis_agents.gate.asset_signs import groups_in_name, groups_in_text
from aegis_agents.gate.windows import Window
from aegis_agents.records import Entity, Fact


@pytest.mark.parametrize(
    ("kind", "name", "group"),
    [
        ("host", "BW-DC-01", "domain_controllers"),
        ("host", "dc01.corp.example", "domain_controllers"),
        ("user", "krbtgt", "domain_controllers"),
        ("user", "DC01$", "domain_controllers"),
        ("host", "PLC-BOIL-03", "ot"),
        ("host", "OTGW-SUB-07", "ot"),
        ("host", "pg-orders-prod-01", "production_databases"),
        ("host", "payment-api-2", "payments"),
        ("host", "resolver1", "shared_infrastructure"),
        ("user", "bg-admin-02", "break_glass"),
        ("user", "break.glass", "break_glass"),
        ("email", "cfo@example.com", "executives"),
    ],
)
def test_names_that_suggest_protection(kind: str, name: str, group: str) -> None:
    assert group in groups_in_name(kind, name)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("host", "web-01"), ("host", "laptop-4711"), ("host", "pg-orders-dev-01"), ("host", "prod-web-3"),
        ("host", "dcota"), ("user", "j.doe"), ("user", "pedro.cionti"), ("user", "dc.smith"),
        ("domain", "dc.evil.example"), ("file", "dc.exe"),
    ],
)  # fmt: skip
def test_names_that_do_not(kind: str, name: str) -> None:
    assert groups_in_name(kind, name) == frozenset()


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("Domain Controllers", "domain_controllers"), ("tier-0", "domain_controllers"),
        ("Tier 0 asset", "domain_controllers"),
        ("Group CFO", "executives"), ("Priority account", "executives"), ("executive", "executives"),
        ("break-glass", "break_glass"), ("emergency access account", "break_glass"), ("OT", "ot"), ("SCADA zone", "ot"),
        ("PCI-DSS", "payments"), ("production database", "production_databases"),
        ("live order database", "production_databases"),
        ("company resolver", "shared_infrastructure"), ("SASE-Egress-Pool", "shared_infrastructure"),
        ("NAT range of the head office", "shared_infrastructure"),
    ],
)  # fmt: skip
def test_words_that_suggest_protection(text: str, group: str) -> None:
    assert group in groups_in_text(text)


@pytest.mark.parametrize(
    "text", ["not", "hot spare", "a lot of tools", "topics", "developer laptop", "Standard", "coffee"]
)
def test_words_that_do_not(text: str) -> None:
    assert groups_in_text(text) == frozenset()


def tagged(trust: Any, path: str = "device.tags[0]", value: str = "Domain Controllers") -> dict[str, Any]:
    return {"extra_facts": (Fact(id="t1", path=path, value=value, trust=trust),)}


def test_a_tag_of_the_organisation_protects() -> None:
    asset = asset_of(("host", "web-01"), **tagged("organization"))
    assert (asset.tier, asset.signs) == ("protected", (("domain_controllers", "fact t1"),))


def test_the_sensor_counts_where_it_speaks_of_the_asset() -> None:
    assert asset_of(("host", "web-01"), **tagged("product")).tier == "protected"
    assert asset_of(("host", "web-01"), **tagged("product", "event.action")).tier == "standard"


def test_text_that_anybody_could_write_protects_nothing() -> None:
    assert asset_of(("host", "web-01"), **tagged("external")).tier == "standard"


def test_a_tag_beside_another_asset_speaks_of_that_one() -> None:
    facts = (
        Fact(id="a", path="evidence[0].host", value="app-1", trust="product"),
        Fact(id="b", path="evidence[1].host", value="app-2", trust="product"),
        Fact(id="c", path="evidence[1].tags[0]", value="tier-0", trust="organization"),
    )
    two = (Entity(kind="host", value="app-1", facts=("a",)), Entity(kind="host", value="app-2", facts=("b",)))
    changes: dict[str, Any] = {"extra_facts": facts, "extra_entities": two}
    assert asset_of(("host", "app-1"), **changes).tier == "standard"
    assert asset_of(("host", "app-2"), **changes).tier == "protected"


def test_an_executive_does_not_protect_the_host_and_the_host_does_not_make_one() -> None:
    changes = tagged("organization", "user.title", "Group CFO")
    assert asset_of(("user", "j.doe"), **changes).tier == "protected"
    assert asset_of(("host", "web-01"), **changes).tier == "standard"


def test_an_address_beside_a_protected_host_is_protected() -> None:
    facts = (
        Fact(id="a", path="evidence[0].host", value="dc-01", trust="product"),
        Fact(id="b", path="evidence[0].ip", value="203.0.113.77", trust="product"),
    )
    two = (Entity(kind="host", value="dc-01", facts=("a",)), Entity(kind="ip", value="203.0.113.77", facts=("b",)))
    changes: dict[str, Any] = {"extra_facts": facts, "extra_entities": two}
    assert asset_of(("ip", "203.0.113.77"), **changes).tier == "protected"
    assert asset_of(("ip", "203.0.113.9"), **changes).tier == "standard"


def test_a_word_about_somewhere_else_does_not_protect_an_outsider() -> None:
    rule = (Fact(id="r", path="Rule", value="Servers-to-Resolver", trust="organization"),)
    assert asset_of(("domain", "bad.example.net"), extra_facts=rule).tier == "standard"
    assert asset_of(("ip", "203.0.113.9"), extra_facts=rule).tier == "standard"
    assert asset_of(("host", "web-01"), extra_facts=rule).tier == "protected"
    beside = (Fact(id="r", path="network.zone", value="HQ-Egress", trust="organization"),)
    assert asset_of(("ip", "203.0.113.9"), extra_facts=beside).tier == "protected"
    named = (Fact(id="r", path="x.note", value="203.0.113.9 is our NAT gateway", trust="organization"),)
    assert asset_of(("ip", "203.0.113.9"), extra_facts=named).tier == "protected"
    derived = (Fact(id="d", path="derived", value="203.0.113.9 not in egress", trust="organization", derived=True),)
    assert asset_of(("ip", "203.0.113.9"), extra_facts=derived).tier == "standard"


def test_infrastructure_in_a_fact_says_nothing_of_persons() -> None:
    rule = (Fact(id="r", path="Rule", value="Servers-to-Resolver", trust="organization"),)
    assert asset_of(("user", "j.doe"), extra_facts=rule).tier == "standard"


def test_closing_touches_all_that_the_alert_speaks_of() -> None:
    assert asset_of(("alert", "native-1"), **tagged("organization")).tier == "protected"
    assert asset_of(("alert", "native-1")).tier == "standard"


def test_a_process_is_worth_what_its_host_is() -> None:
    subject = (Entity(kind="host", value="dc-01", role="subject", facts=()),)
    assert asset_of(("process", "4711"), extra_entities=subject).tier == "protected"
    assert asset_of(("process", "4711")).tier == "standard"


SETTINGS: dict[str, Any] = {
    "own_networks": ["198.51.100.0/24"],
    "own_domains": ["corp.example", "*.corp.example"],
    "groups": {
        "payments": {"hosts": ["web-0?"], "users": ["j.doe"], "ips": ["203.0.113.0/28"]},
        "lab": {"hosts": ["lab-*"], "tier": "important"},
        "vips": {"users": ["boss"], "tier": "protected"},
        "label": {"domains": ["*.example.net"]},
    },
}


def test_lists_protect() -> None:
    for target in (("host", "web-01"), ("user", "j.doe"), ("ip", "203.0.113.9")):
        asset = asset_of(target, SETTINGS)
        assert (asset.tier, asset.groups) == ("protected", frozenset({"payments"}))
    register = AssetRegister.load(SETTINGS)
    for kind, value, tier in (
        ("host", "WEB-02.corp.example", "protected"), ("host", "web-10", "standard"), ("host", "lab-7", "important"),
        ("user", r"CORP\J.Doe", "protected"), ("email", "j.doe@corp.example", "protected"),
        ("user", "boss", "protected"),
        ("ip", "203.0.113.99", "standard"), ("ip", "::ffff:203.0.113.9", "protected"), ("ip", "no address", "standard"),
    ):  # fmt: skip
        assert register.look_up(incident(), target_of(kind, value), NOW).tier == tier, value
    assert asset_of(("domain", "bad.example.net"), SETTINGS).groups == {"label"}


@pytest.mark.parametrize(
    ("kind", "value", "field"),
    [
        ("ip", "10.22.0.2", "internal"), ("ip", "192.168.1.1", "internal"), ("ip", "127.0.0.1", "internal"),
        ("ip", "100.64.3.3", "internal"), ("ip", "fe80::1%eth0", "internal"), ("ip", "fd00::1", "internal"),
        ("ip", "::ffff:10.0.0.1", "internal"), ("ip", "255.255.255.255", "internal"), ("ip", "::1", "internal"),
        ("ip", "198.51.100.40", "own"), ("domain", "Mail.corp.example", "own"), ("ip", "8.8.8.8", "well_known"),
        ("ip", "2606:4700:4700::1111", "well_known"), ("domain", "dns.google", "well_known"),
        ("domain", "com", "well_known"), ("domain", "Microsoft.com.", "well_known"),
    ],
)  # fmt: skip
def test_addresses_that_are_never_blocked(kind: str, value: str, field: str) -> None:
    asset = AssetRegister.load(SETTINGS).look_up(incident(), target_of(kind, value), NOW)
    assert [name for name in ("internal", "own", "well_known") if getattr(asset, name)] == [field]


@pytest.mark.parametrize(
    ("kind", "value"), [("ip", "203.0.113.9"), ("ip", "192.0.2.7"), ("domain", "evil.s3.amazonaws.com")]
)
def test_addresses_that_may_be(kind: str, value: str) -> None:
    asset = AssetRegister.load(SETTINGS).look_up(incident(), target_of(kind, value), NOW)
    assert (asset.internal, asset.own, asset.well_known) == (False, False, False)


def test_own_addresses_are_not_blocked_even_with_approval() -> None:
    gate = open_gate(assets={"own_networks": ["203.0.113.0/24"]})
    decision = gate.decide(request("block_ip", approved_by=("ann", "bob")))
    assert (decision.verb, decision.rule) == ("refuse", "network.own")


def test_settings_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "assets.toml"
    path.write_text(
        '[groups.ot]\nhosts = ["web-*"]\n[[windows]]\nkind = "freeze"\n'
        "start = 2026-11-22T00:00:00+00:00\nend = 2026-11-23T00:00:00+00:00\n"
    )
    asset = AssetRegister.load(path).look_up(incident(), target_of("host", "web-01"), NOW)
    assert (asset.tier, asset.window) == ("protected", "freeze")
    path.write_text("[groups")
    with pytest.raises(SettingsError, match=r"assets\.toml"):
        AssetRegister.load(path)


def test_a_freeze_asks() -> None:
    window = {"kind": "freeze", "start": NOW - timedelta(hours=1), "end": NOW + timedelta(hours=1)}
    gate = open_gate(assets={"windows": [window]})
    assert gate.decide(request("isolate_host")).rule == "window.freeze"
    assert gate.decide(request("isolate_host", now=NOW + timedelta(hours=1))).verb == "execute"


def test_windows_of_one_group_leave_the_others_alone() -> None:
    window = {
        "kind": "maintenance",
        "groups": ["lab"],
        "start": NOW - timedelta(hours=1),
        "end": NOW + timedelta(hours=1),
    }
    settings: dict[str, Any] = {"groups": {"lab": {"hosts": ["web-01"]}}, "windows": [window]}
    assert asset_of(("host", "web-01"), settings).window == "maintenance"
    assert asset_of(("user", "j.doe"), settings).window == ""


def test_weekly_windows_run_past_midnight_in_their_own_zone() -> None:
    window = Window.load(
        {"kind": "maintenance", "days": ["sat"], "from": "22:00", "to": "04:00", "tz": "Europe/Vienna"}, "windows[0]"
    )

    def holds(day: int, hour: int, minute: int = 0) -> bool:
        return window.holds(datetime(2026, 11, day, hour, minute, tzinfo=UTC), frozenset())

    assert not holds(21, 20, 59)  # Saturday, 21:59 in Vienna
    assert holds(21, 21)
    assert holds(22, 2, 59)
    assert not holds(22, 3)
    assert not holds(22, 21)


def test_weekly_windows_within_a_day() -> None:
    window = Window.load({"kind": "freeze", "days": ["sun"], "from": "08:00", "to": "13:00"}, "windows[0]")
    assert window.holds(NOW, frozenset())
    assert not window.holds(NOW + timedelta(hours=1), frozenset())
    assert not window.holds(NOW + timedelta(days=1), frozenset())


@pytest.mark.parametrize(
    ("window", "says"),
    [
        ({"kind": "party"}, "kind"),
        ({"kind": "freeze", "start": "2026-01-01T00:00:00", "end": "2026-01-02T00:00:00"}, "offset"),
        ({"kind": "freeze", "start": "soon", "end": "later"}, "start"),
        ({"kind": "freeze", "start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "end"),
        ({"kind": "freeze", "days": ["someday"]}, "days"),
        ({"kind": "freeze", "days": ["sat"], "from": "late"}, "from"),
        ({"kind": "freeze", "days": ["sat"], "tz": "Mars/Olympus"}, "tz"),
        ({"kind": "freeze", "days": ["sat"], "color": "red"}, "color"),
    ],
)
def test_wrong_windows_name_themselves(window: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        AssetRegister.load({"windows": [window]})
