"""CrowdStrike: the contract through the real SDK, and what is its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from aegis_agents.errors import ConnectorError, NotPermitted, SettingsError, TargetNotFound, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools import WritePath, assign
from aegis_agents.tools.connectors.crowdstrike import CrowdStrikeConnector
from tests.connectors.contract import ALICE, Approved, Case, ConnectorContract, refused
from tests.connectors.falcon import SECRET, Falcon, FalconRig
from tests.connectors.loopback import serving

falconpy = pytest.importorskip("falconpy", reason="the extra crowdstrike is not installed")

HOST = Target(kind="host", value="WS-ANN")
HASH = Target(kind="hash", value="ab" * 32)


@pytest.fixture
def vendor() -> Iterator[Falcon]:
    falcon = Falcon()
    with serving(falcon):
        yield falcon
    assert falcon.complaints == []


@pytest.fixture
def rig(vendor: Falcon) -> FalconRig:
    return FalconRig(vendor)


def isolate(connector: CrowdStrikeConnector, name: str) -> str:
    return connector.apply("isolate_host", Target(kind="host", value=name), key="k", note="n")


class TestIsolation(ConnectorContract):
    cases = (Case("isolate_host", HOST),)
    narrowed: tuple[ActionName, ...] = ("isolate_host",)

    @pytest.fixture
    def rig(self, vendor: Falcon) -> FalconRig:
        return FalconRig(vendor, actions=self.narrowed)


class TestIndicators(ConnectorContract):
    cases = (Case("block_hash", HASH),)
    forgetful = False

    @pytest.fixture
    def rig(self, vendor: Falcon) -> FalconRig:
        return FalconRig(vendor, actions=["block_hash"])


def test_pending_containment_is_not_claimed(rig: FalconRig, vendor: Falcon, store: Any, approved: Approved) -> None:
    vendor.pending = 10**6  # the host is off
    path = WritePath(store, assign([rig.connector()]), attempts=3, longest_wait_s=0.01)
    key = approved("isolate_host", HOST)
    receipt = path.execute(key)
    assert receipt.outcome == "unconfirmed"
    assert "containment_pending" in receipt.detail
    assert vendor.effects == 1
    assert rig.connector().read("isolate_host", HOST) is None
    # It can be called off all the same.
    assert path.undo(key, ALICE).outcome == "undone"


def test_a_lift_that_waits_is_not_claimed(rig: FalconRig, vendor: Falcon, store: Any, approved: Approved) -> None:
    path = WritePath(store, assign([rig.connector()]), attempts=3, longest_wait_s=0.01)
    key = approved("isolate_host", HOST)
    assert path.execute(key).outcome == "executed"
    vendor.pending = 10**6  # the host went off
    with pytest.raises(TransientConnectorError, match="lifted once its sensor connects"):
        path.undo(key, ALICE)
    assert store.action(key).state == "unconfirmed"
    vendor.pending = 0
    assert path.undo(key, ALICE).outcome == "undone"


def test_it_waits_for_the_sensor(vendor: Falcon, store: Any, approved: Approved) -> None:
    vendor.pending = 3
    path = WritePath(store, assign([FalconRig(vendor, settle_s=0.5).connector()]), attempts=1)
    assert path.execute(approved("isolate_host", HOST)).outcome == "executed"


def test_a_full_name_must_fit_the_domain(rig: FalconRig) -> None:
    assert "contained" in isolate(rig.connector(), "ws-ann.corp.example.")
    with pytest.raises(TargetNotFound):
        isolate(rig.connector(), "ws-ann.other.example")
    assert rig.touched() == {"WS-ANN"}


def test_an_agent_id_names_its_host(rig: FalconRig, vendor: Falcon) -> None:
    device_id = next(i for i, d in vendor.devices.items() if d["hostname"] == "db1")
    isolate(rig.connector(), device_id)
    assert rig.touched() == {"db1"}
    with pytest.raises(TargetNotFound):
        isolate(rig.connector(), "0" * 32)


def test_two_hosts_of_one_name_are_named(rig: FalconRig) -> None:
    rig.twin(HOST)
    said = refused(lambda: isolate(rig.connector(), "WS-ANN"))
    assert "ambiguous: 2 devices" in said
    assert "seen 2026-11-26" in said


def test_more_than_a_page_is_refused(rig: FalconRig, vendor: Falcon) -> None:
    for _ in range(101):
        vendor.add("clone")
    assert "too many" in refused(lambda: isolate(rig.connector(), "clone"))
    assert rig.touched() == set()


def test_an_address_does_not_name_a_host(rig: FalconRig) -> None:
    for kind in ("ip", "host"):
        target = Target(kind=kind, value="10.0.0.5")  # type: ignore[arg-type]
        assert "addresses move" in refused(
            lambda target=target: rig.connector().apply("isolate_host", target, key="k", note="n")
        )


def test_somebody_elses_indicator_is_not_overruled(rig: FalconRig, vendor: Falcon) -> None:
    vendor.indicator(type="sha256", value=HASH.value, action="allow", source="an analyst")
    assert "'allow'" in refused(lambda: rig.connector().apply("block_hash", HASH, key="k", note="n"))
    assert rig.connector().read("block_hash", HASH) is False
    assert "not ours" in refused(lambda: rig.connector().undo("block_hash", HASH, key="k"))
    assert len([i for i in vendor.indicators.values() if i["value"] == HASH.value]) == 1


def test_an_indicator_of_ours_that_somebody_changed_is_theirs(rig: FalconRig, vendor: Falcon) -> None:
    connector = rig.connector()
    connector.apply("block_hash", HASH, key="k", note="n")
    mine = next(i for i in vendor.indicators.values() if i["value"] == HASH.value)
    mine["action"] = "allow"
    assert connector.undo("block_hash", HASH, key="k-undo") == ""
    assert mine["id"] in vendor.indicators


def test_an_indicator_for_some_hosts_does_not_count(rig: FalconRig, vendor: Falcon) -> None:
    vendor.indicator(type="sha256", value=HASH.value, action="prevent", source="x", applied_globally=False)
    assert rig.connector().read("block_hash", HASH) is False


@pytest.mark.parametrize("value", ["ab" * 20, "ab" * 64, "xyz", "AB" * 31 + "zz", "ab" * 31 + "' "])
def test_hashes_that_falcon_does_not_take(rig: FalconRig, value: str) -> None:
    refused(lambda: rig.connector().apply("block_hash", Target(kind="hash", value=value), key="k", note="n"))
    assert rig.effects() == 0


def test_a_hash_in_capitals_is_the_same(rig: FalconRig) -> None:
    rig.connector().apply("block_hash", Target(kind="hash", value=HASH.value.upper()), key="k", note="n")
    assert rig.connector().read("block_hash", HASH) is True


def test_the_note_reaches_the_console_on_one_line(rig: FalconRig, vendor: Falcon) -> None:
    rig.connector().apply("block_hash", HASH, key="k", note="it\r\nbeacons\x00" + "x" * 900)
    made = next(i for i in vendor.indicators.values() if i["value"] == HASH.value)
    assert made["description"].startswith("it beacons x")
    assert len(made["description"]) <= 200


@pytest.mark.parametrize(
    ("status", "error"), [(403, NotPermitted), (429, TransientConnectorError), (500, TransientConnectorError)]
)
def test_a_sign_in_that_fails(rig: FalconRig, vendor: Falcon, status: int, error: type[Exception]) -> None:
    vendor.sign_in = status
    with pytest.raises(error) as caught:
        rig.connector().read("isolate_host", HOST)
    assert SECRET not in str(caught.value)
    assert not any(r.path.startswith("/devices") for r in vendor.requests), "nothing is asked without a token"


def test_a_sign_in_that_works_again(rig: FalconRig, vendor: Falcon) -> None:
    connector = rig.connector()
    vendor.sign_in = 500
    with pytest.raises(TransientConnectorError):
        connector.read("isolate_host", HOST)
    vendor.sign_in = 201
    assert connector.read("isolate_host", HOST) is False


def test_one_sign_in_serves_many_calls(rig: FalconRig, vendor: Falcon) -> None:
    connector = rig.connector()
    connector.read("isolate_host", HOST)
    connector.read("isolate_host", HOST)
    assert len([r for r in vendor.requests if r.path == "/oauth2/token"]) == 1


@pytest.mark.parametrize(
    "garbage",
    ["text", [], 7, {"resources": "x"}, {"resources": [1]}, {"resources": [None]}, {"resources": {"a": 1}},
     {"errors": ["x"], "resources": []}, {"errors": "x"}, {"errors": [{"code": "x"}]}, {"meta": "x", "resources": ["a"]}],
)  # fmt: skip
@pytest.mark.parametrize(("action", "target"), [("isolate_host", HOST), ("block_hash", HASH)])
def test_an_answer_that_makes_no_sense(
    rig: FalconRig, vendor: Falcon, garbage: Any, action: ActionName, target: Target, store: Any, approved: Approved
) -> None:
    vendor.garbage = garbage
    path = WritePath(store, assign([rig.connector()]), attempts=2, longest_wait_s=0.01)
    assert path.execute(approved(action, target)).outcome in ("failed", "unconfirmed")


def test_from_many_threads(rig: FalconRig, vendor: Falcon) -> None:
    connector, answers = rig.connector(), []
    threads = [threading.Thread(target=lambda: answers.append(connector.read("isolate_host", HOST))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [False] * 8
    assert len([r for r in vendor.requests if r.path == "/oauth2/token"]) == 1


def test_making_it_asks_nothing(rig: FalconRig, vendor: Falcon) -> None:
    rig.connector()
    assert vendor.requests == []


def test_nobody_there(rig: FalconRig, vendor: Falcon) -> None:
    vendor.url = "http://127.0.0.1:9"
    with pytest.raises(TransientConnectorError):
        rig.connector().apply("isolate_host", HOST, key="k", note="n")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"client_secret": " "}, "client_secret"),
        ({"client_id": ""}, "client_id"),
        ({"base_url": "http://evil.example"}, "base_url"),
        ({"base_url": "https://u:p@api.example"}, "base_url"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"actions": ["block_ip"]}, "block_ip"),
        ({"actions": []}, "actions"),
    ],
)
def test_settings_that_are_wrong(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        CrowdStrikeConnector(**({"client_id": "c", "client_secret": "s"} | given))


def test_member_cid_is_signed_in_for(rig: FalconRig, vendor: Falcon) -> None:
    rig.options["member_cid"] = "m" * 32
    rig.connector().read("isolate_host", HOST)
    assert b"member_cid=" + b"m" * 32 in vendor.requests[0].body


def test_without_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "falconpy", None)
    with pytest.raises(SettingsError, match=r"aegis-soc-agents\[crowdstrike\]"):
        CrowdStrikeConnector(client_id="c", client_secret="s")


def test_what_it_does_not_do_is_refused(rig: FalconRig) -> None:
    with pytest.raises(ConnectorError):
        rig.connector().apply("block_ip", Target(kind="ip", value="192.0.2.1"), key="k", note="n")
