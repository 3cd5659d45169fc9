"""Defender for Endpoint: the contract, signing in through azure-identity, and what is its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import ConnectorError, NotPermitted, SettingsError, TargetNotFound, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools import WritePath, assign
from aegis_agents.tools.connectors.defender import DefenderConnector
from aegis_agents.tools.connectors.microsoft import CLOUDS
from tests.connectors.contract import ALICE, Approved, Case, ConnectorContract, Rig, refused
from tests.connectors.defender_api import Defender
from tests.connectors.microsoft_cloud import CLIENT, SECRET, SECRETS, TENANT, Login, cloud

pytest.importorskip("azure.identity", reason="the extra microsoft is not installed")

HOST = Target(kind="host", value="WS-ANN")
HASH = Target(kind="hash", value="ab" * 32)
ADDRESS = Target(kind="ip", value="203.0.113.9")
DOMAIN = Target(kind="domain", value="evil.example")
WHO = {"tenant_id": TENANT, "client_id": CLIENT, "client_secret": SECRET}
SORTS = {"hash": "FileSha256", "ip": "IpAddress", "domain": "DomainName"}


class DefenderRig(Rig):
    """ws-ann.corp.example and bystanders."""

    secrets = SECRETS

    def __init__(self, vendor: Defender, login: Login, **options: Any) -> None:
        self.vendor, self.login, self.options = vendor, login, options
        for name in ("ws-ann.corp.example", "ws-ann2.corp.example", "db1.corp.example", "a", "admin"):
            vendor.machine(name)
        vendor.indicator("FileSha256", "0" * 64)

    def connector(self) -> DefenderConnector:
        given = WHO | {
            "base_url": self.vendor.url, "authority": self.login.url, "settle_s": 0.0, "timeout_s": 5.0,
        } | self.options  # fmt: skip
        return DefenderConnector(**given)

    def named(self, target: Target) -> str:
        short = target.value.lower()
        return next(
            k for k, m in self.vendor.machines.items() if m["computerDnsName"] in (short, f"{short}.corp.example")
        )

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        if action == "isolate_host":
            self.vendor.order(self.named(target), "Isolate")
        else:
            self.vendor.indicator(SORTS[target.kind], target.value)

    def in_effect(self, action: ActionName, target: Target) -> bool:
        if action == "isolate_host":
            return self.vendor.isolated(self.named(target))
        return any(i["indicatorValue"] == target.value for i in self.vendor.indicators.values())

    def effects(self) -> int:
        return self.vendor.effects

    def touched(self) -> set[str]:
        hosts = {m["computerDnsName"] for key, m in self.vendor.machines.items() if self.vendor.isolated(key)}
        return hosts | {i["indicatorValue"] for i in self.vendor.indicators.values() if i["application"] != "someone"}

    def forget(self, target: Target) -> None:
        del self.vendor.machines[self.named(target)]

    def deny(self) -> None:
        self.vendor.denied = True

    def ignore(self) -> None:
        self.vendor.ignoring = True

    def lose_answers(self, count: int) -> None:
        self.vendor.losing = count

    def limit_rate(self, count: int) -> None:
        self.vendor.limiting = count

    def plant(self, target: Target) -> bool:
        if target.kind != "host":
            return False
        self.vendor.machine(target.value)
        return True

    def twin(self, target: Target) -> bool:
        if target.kind != "host":
            return False
        self.vendor.machine("ws-ann.other.example")
        return True


@pytest.fixture
def vendor() -> Defender:
    return Defender()


@pytest.fixture
def login(vendor: Defender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Login]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "chain.pem"))
    with cloud(vendor, tmp_path) as login:
        yield login


@pytest.fixture
def rig(vendor: Defender, login: Login) -> DefenderRig:
    return DefenderRig(vendor, login)


class TestIsolation(ConnectorContract):
    cases = (Case("isolate_host", HOST),)

    @pytest.fixture
    def rig(self, vendor: Defender, login: Login) -> DefenderRig:
        return DefenderRig(vendor, login, actions=["isolate_host"])


class TestIndicators(ConnectorContract):
    cases = (Case("block_hash", HASH), Case("block_ip", ADDRESS), Case("block_domain", DOMAIN))
    forgetful = False

    @pytest.fixture
    def rig(self, vendor: Defender, login: Login) -> DefenderRig:
        return DefenderRig(vendor, login, actions=["block_hash", "block_ip", "block_domain"])


def isolate(rig: DefenderRig, name: str = "WS-ANN") -> str:
    return rig.connector().apply("isolate_host", Target(kind="host", value=name), key="k", note="it beacons")


def test_an_order_that_waits_is_not_claimed(rig: DefenderRig, store: Any, approved: Approved) -> None:
    rig.vendor.pending = 10**6
    path = WritePath(store, assign([rig.connector()]), attempts=3, longest_wait_s=0.01)
    key = approved("isolate_host", HOST)
    receipt = path.execute(key)
    assert receipt.outcome == "unconfirmed"
    assert "Pending" in receipt.detail
    assert rig.effects() == 1, "one order is enough"
    assert rig.connector().read("isolate_host", HOST) is None
    rig.vendor.pending = 0
    assert rig.connector().read("isolate_host", HOST) is True
    assert path.undo(key, ALICE).outcome == "undone"
    assert rig.touched() == set()


def test_a_release_that_waits_is_not_claimed(rig: DefenderRig, store: Any, approved: Approved) -> None:
    path = WritePath(store, assign([rig.connector()]), attempts=3, longest_wait_s=0.01)
    key = approved("isolate_host", HOST)
    assert path.execute(key).outcome == "executed"
    rig.vendor.pending = 10**6  # the machine went off
    with pytest.raises(TransientConnectorError, match="once machine"):
        path.undo(key, ALICE)
    assert store.action(key).state == "unconfirmed"
    rig.vendor.pending = 0
    assert path.undo(key, ALICE).outcome == "undone"


def test_orders_of_one_second_are_told_apart(rig: DefenderRig) -> None:
    machine = rig.named(HOST)
    rig.vendor.order(machine, "Isolate")["creationDateTimeUtc"] = "2026-11-26T09:00:00Z"
    rig.vendor.order(machine, "Unisolate")["creationDateTimeUtc"] = "2026-11-26T09:00:00.12Z"
    assert rig.connector().read("isolate_host", HOST) is False
    rig.vendor.order(machine, "Isolate")["creationDateTimeUtc"] = "2026-11-26T09:00:00.123Z"
    assert rig.connector().read("isolate_host", HOST) is True


def test_it_waits_for_the_machine(rig: DefenderRig) -> None:
    rig.vendor.pending = 3
    rig.options["settle_s"] = 0.5
    isolate(rig)
    assert rig.in_effect("isolate_host", HOST)


@pytest.mark.parametrize("status", ["Failed", "TimeOut", "Cancelled"])
def test_an_order_that_fails_is_told(rig: DefenderRig, status: str) -> None:
    rig.vendor.ends_as = status
    assert status in refused(lambda: isolate(rig))
    assert rig.connector().read("isolate_host", HOST) is False


def test_the_latest_order_counts(rig: DefenderRig) -> None:
    machine = rig.named(HOST)
    for sort, status, state in (
        ("Isolate", "Succeeded", True),
        ("Unisolate", "Failed", True),
        ("Unisolate", "Succeeded", False),
        ("Isolate", "Cancelled", False),
    ):
        rig.vendor.order(machine, sort, status)
        assert rig.connector().read("isolate_host", HOST) is state


def test_full_and_short_names_are_the_same_machine(rig: DefenderRig) -> None:
    isolate(rig, "WS-Ann.Corp.Example.")
    assert rig.touched() == {"ws-ann.corp.example"}
    assert rig.connector().read("isolate_host", HOST) is True
    with pytest.raises(TargetNotFound):
        isolate(rig, "ws-ann.other.example")


def test_what_was_only_seen_on_the_network_takes_no_order(rig: DefenderRig) -> None:
    rig.vendor.machine("printer.corp.example", "CanBeOnboarded")
    with pytest.raises(TargetNotFound):
        isolate(rig, "printer")


def test_two_machines_of_one_name_are_named(rig: DefenderRig) -> None:
    rig.twin(HOST)
    said = refused(lambda: isolate(rig))
    assert "ambiguous: 2 machines" in said
    assert "seen 2026-11-26" in said


def test_more_than_a_page_is_refused(rig: DefenderRig) -> None:
    for number in range(100):
        rig.vendor.machine(f"clone.d{number}.example")
    assert "too many" in refused(lambda: isolate(rig, "clone"))


def test_the_sort_of_isolation_is_a_setting(rig: DefenderRig) -> None:
    rig.options["isolation"] = "Selective"
    isolate(rig)
    sent = next(r.json() for r in rig.vendor.requests if r.path.endswith("/isolate"))
    assert sent == {"Comment": "Aegis Agents k: it beacons", "IsolationType": "Selective"}


@pytest.mark.parametrize(("target", "action"), [(HASH, "block_hash"), (ADDRESS, "block_ip"), (DOMAIN, "block_domain")])
def test_somebody_elses_indicator_is_not_overruled(rig: DefenderRig, target: Target, action: ActionName) -> None:
    rig.vendor.indicator(SORTS[target.kind], target.value, "Allowed")
    assert "'Allowed'" in refused(lambda: rig.connector().apply(action, target, key="k", note="n"))
    assert rig.connector().read(action, target) is False
    assert "not ours" in refused(lambda: rig.connector().undo(action, target, key="k"))


def test_an_indicator_of_ours_that_somebody_changed_is_theirs(rig: DefenderRig) -> None:
    connector = rig.connector()
    connector.apply("block_ip", ADDRESS, key="k", note="n")
    mine = next(i for i in rig.vendor.indicators.values() if i["indicatorValue"] == ADDRESS.value)
    mine["action"] = "Audit"
    assert connector.undo("block_ip", ADDRESS, key="k-undo") == ""
    assert mine["id"] in rig.vendor.indicators


def test_an_indicator_for_some_machines_does_not_count(rig: DefenderRig) -> None:
    rig.vendor.indicator("IpAddress", ADDRESS.value, rbacGroupNames=["team1"])
    assert rig.connector().read("block_ip", ADDRESS) is False


@pytest.mark.parametrize(
    "target",
    [
        Target(kind="ip", value="127.0.0.1"),
        Target(kind="ip", value="10.1.2.3"),
        Target(kind="ip", value="203.0.113.0/24"),
        Target(kind="ip", value="fe80::1%eth0"),
        Target(kind="domain", value="*.example"),
        Target(kind="domain", value="com"),
        Target(kind="hash", value="ab" * 31),
    ],
)
def test_what_is_never_blocked(rig: DefenderRig, target: Target) -> None:
    rig.options["never"] = ["10.0.0.0/8"]
    refused(lambda: rig.connector().apply(f"block_{target.kind}", target, key="k", note="n"))  # type: ignore[arg-type]
    assert rig.effects() == 0


def test_a_mapped_address_is_the_address(rig: DefenderRig) -> None:
    rig.connector().apply("block_ip", Target(kind="ip", value="::ffff:203.0.113.9"), key="k", note="n")
    assert rig.connector().read("block_ip", ADDRESS) is True


def test_a_list_of_none_may_be_a_404(rig: DefenderRig, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.connectors.loopback import Answer

    monkeypatch.setattr(Defender, "_list", staticmethod(lambda *_: Answer(404, {"error": {"code": "NotFound"}})))
    with pytest.raises(TargetNotFound):
        isolate(rig)


@pytest.mark.parametrize("garbage", ["text", [], {}, {"value": None}, {"value": "x"}])
def test_an_answer_that_makes_no_sense(rig: DefenderRig, garbage: Any) -> None:
    rig.vendor.garbage = garbage
    with pytest.raises(TransientConnectorError):
        rig.connector().read("isolate_host", HOST)


def test_an_odd_machine_id_is_no_path(rig: DefenderRig) -> None:
    rig.vendor.garbage = {"value": [{"id": "../indicators", "computerDnsName": "ws-ann"}]}
    assert "odd machine id" in refused(lambda: isolate(rig))
    assert {r.path for r in rig.vendor.requests} == {"/api/machines"}


@pytest.mark.parametrize(("status", "error"), [(401, NotPermitted), (503, TransientConnectorError)])
def test_a_sign_in_that_fails(rig: DefenderRig, status: int, error: type[Exception]) -> None:
    rig.login.status = status
    with pytest.raises(error) as caught:
        rig.connector().read("isolate_host", HOST)
    assert SECRET not in str(caught.value)
    assert rig.vendor.requests == []


def test_nobody_there(rig: DefenderRig) -> None:
    rig.options["base_url"] = "http://127.0.0.1:9"
    with pytest.raises(TransientConnectorError):
        rig.connector().read("isolate_host", HOST)


def test_what_it_does_not_do_is_refused(rig: DefenderRig) -> None:
    with pytest.raises(ConnectorError):
        rig.connector().apply("disable_user", Target(kind="user", value="a@b.c"), key="k", note="n")


@pytest.mark.parametrize("name", ["global", "gcc", "gcc_high", "dod"])
def test_each_cloud_has_its_hosts(name: str) -> None:
    assert DefenderConnector(**WHO, cloud=name)._url == CLOUDS[name].defender


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cloud": "china"}, "base_url"),
        ({"cloud": "mars"}, "cloud"),
        ({"isolation": "UnManagedDevice"}, "isolation"),
        ({"never": ["10.0.0.0/99"]}, "never"),
        ({"settle_s": -1}, "settle_s"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"base_url": "http://x.example"}, "base_url"),
        ({"actions": ["kill_process"]}, "kill_process"),
    ],
)
def test_settings_that_are_wrong(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        DefenderConnector(**(WHO | given))
