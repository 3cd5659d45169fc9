"""Okta: the contract through the real SDK, and what is its own."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from aegis_agents.errors import ConnectorError, NotPermitted, SettingsError, TargetNotFound, TransientConnectorError
from aegis_agents.records import Target
from aegis_agents.tools.connectors.okta import OktaConnector
from tests.connectors.contract import HOSTILE, Case, ConnectorContract, refused
from tests.connectors.loopback import serving
from tests.connectors.okta_org import TOKEN, OktaOrg, OktaRig

pytest.importorskip("okta", reason="the extra okta is not installed")

ANN = Target(kind="user", value="ann@example.com")


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[OktaOrg]:
    # The SDK wants https unless this says that it is a test.
    monkeypatch.setenv("OKTA_TESTING_TESTINGDISABLEHTTPSCHECK", "true")
    org = OktaOrg()
    with serving(org):
        yield org
    assert org.complaints == []


@pytest.fixture
def rig(vendor: OktaOrg) -> OktaRig:
    return OktaRig(vendor)


class TestOkta(ConnectorContract):
    cases = (
        Case("disable_user", ANN),
        Case("reset_password", ANN),
        Case("revoke_sessions", ANN, readable=False, repeatable=True),
    )
    hostile = (*HOSTILE, "ann", "ann@example.com/lifecycle/deactivate", "änn@example.com", "ann@EXAMPLE.com\n", "o'neil@x.example", "a#b@x.example")  # fmt: skip


def test_an_apostrophe_is_a_name_like_others(rig: OktaRig, vendor: OktaOrg) -> None:
    vendor.add("pat.o'neil_x.com#EXT#@example.com")
    target = Target(kind="user", value="Pat.O'Neil_x.com#EXT#@example.com")
    rig.connector().apply("disable_user", target, key="k", note="n")
    assert rig.touched() == {"pat.o'neil_x.com#EXT#@example.com"}


@pytest.mark.parametrize("login", ["änn@example.com", "ann"])
def test_what_okta_takes_for_the_same_is_not(rig: OktaRig, vendor: OktaOrg, login: str) -> None:
    # The organisation would answer with ann@example.com.
    assert vendor._find("änn@example.com", by_id_alone=False) is not None
    refused(lambda: rig.connector().apply("disable_user", Target(kind="user", value=login), key="k", note="n"))
    assert rig.touched() == set()


def test_an_answer_about_somebody_else_is_not_taken(rig: OktaRig, vendor: OktaOrg) -> None:
    vendor.users = {k: u for k, u in vendor.users.items() if u["profile"]["login"] != "ann@example.com"}
    vendor.add("änn@example.com")
    with pytest.raises(TargetNotFound):
        rig.connector().apply("disable_user", ANN, key="k", note="n")
    assert rig.touched() == set()


@pytest.mark.parametrize("status", ["LOCKED_OUT", "PASSWORD_EXPIRED", "RECOVERY", "STAGED", "PROVISIONED"])
def test_only_active_accounts_are_suspended(rig: OktaRig, status: str) -> None:
    rig._user(ANN)["status"] = status
    assert status in refused(lambda: rig.connector().apply("disable_user", ANN, key="k", note="n"))


def test_a_deactivated_account_is_out_and_stays_so(rig: OktaRig) -> None:
    rig._user(ANN)["status"] = "DEPROVISIONED"
    assert rig.connector().read("disable_user", ANN) is True
    assert "by hand" in refused(lambda: rig.connector().undo("disable_user", ANN, key="k"))


def test_a_reset_that_its_owner_finished_counts(rig: OktaRig) -> None:
    connector = rig.connector()
    connector.apply("reset_password", ANN, key="k", note="n")
    rig._user(ANN).update(status="ACTIVE", passwordChanged="2026-11-26T10:00:00.000Z")
    assert connector.read("reset_password", ANN) is True
    # A second incident needs it again.
    connector.apply("reset_password", ANN, key="k2", note="n")
    assert rig.effects() == 2


def test_a_reset_of_somebody_else_is_not_known(rig: OktaRig) -> None:
    rig._user(ANN)["status"] = "RECOVERY"
    assert rig.connector().read("reset_password", ANN) is None


def test_it_signs_in_with_a_key(rig: OktaRig, vendor: OktaOrg) -> None:
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    from cryptography.hazmat.primitives import serialization

    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    rig.options |= {"token": "", "client_id": "0oa1", "private_key": pem.decode()}
    connector = rig.connector()
    connector.apply("disable_user", ANN, key="k", note="n")
    assert connector.read("disable_user", ANN) is True, "answers are not cached"
    assert len([r for r in vendor.requests if r.path == "/oauth2/v1/token"]) == 1
    vendor.oauth = 401
    with pytest.raises((NotPermitted, ConnectorError)) as caught:
        rig.connector().read("disable_user", ANN)
    assert "PRIVATE KEY" not in str(caught.value)


def test_a_key_that_is_none(rig: OktaRig) -> None:
    rig.options |= {"token": "", "client_id": "0oa1", "private_key": "-----BEGIN nonsense S3cr3tKey"}
    assert "S3cr3tKey" not in refused(lambda: rig.connector().read("disable_user", ANN))


def test_a_wrong_token(rig: OktaRig) -> None:
    rig.options["token"] = "wrong"
    with pytest.raises(NotPermitted):
        rig.connector().read("disable_user", ANN)


def test_an_answer_that_makes_no_sense(rig: OktaRig, vendor: OktaOrg) -> None:
    vendor.answer_garbage = True
    with pytest.raises(TransientConnectorError):
        rig.connector().read("disable_user", ANN)


def test_nobody_there(rig: OktaRig, vendor: OktaOrg) -> None:
    vendor.url = "http://127.0.0.1:9"
    with pytest.raises(TransientConnectorError):
        rig.connector().read("disable_user", ANN)


def test_an_answer_that_does_not_come(rig: OktaRig, vendor: OktaOrg) -> None:
    rig.options["timeout_s"] = 0.2
    connector = rig.connector()
    connector._client  # noqa: B018 - importing the SDK is not what is timed
    vendor.lock.acquire()
    try:
        with pytest.raises(TransientConnectorError, match="did not answer"):
            connector.read("disable_user", ANN)
    finally:
        vendor.lock.release()


def test_inside_a_running_loop(rig: OktaRig) -> None:
    async def notebook() -> bool | None:
        return rig.connector().read("disable_user", ANN)

    assert asyncio.run(notebook()) is False


def test_from_many_threads(rig: OktaRig) -> None:
    connector, answers = rig.connector(), []
    threads = [threading.Thread(target=lambda: answers.append(connector.read("disable_user", ANN))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [False] * 8


def test_making_it_asks_nothing(rig: OktaRig, vendor: OktaOrg) -> None:
    rig.connector()
    assert vendor.requests == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"token": ""}, "one of the two"),
        ({"token": "t", "private_key": "k"}, "one of the two"),
        ({"token": "", "private_key": "k"}, "client_id"),
        ({"org_url": "http://okta.example"}, "org_url"),
        ({"timeout_s": -1}, "timeout_s"),
        ({"actions": ["isolate_host"]}, "isolate_host"),
    ],
)
def test_settings_that_are_wrong(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        OktaConnector(**({"org_url": "https://x.okta.com", "token": TOKEN} | given))


def test_actions_narrow_it(rig: OktaRig) -> None:
    rig.options["actions"] = ["revoke_sessions"]
    assert rig.connector().actions == {"revoke_sessions"}


def test_without_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "okta", None)
    with pytest.raises(SettingsError, match=r"aegis-soc-agents\[okta\]"):
        OktaConnector(org_url="https://x.okta.com", token=TOKEN)


def test_a_reset_that_was_under_way_says_nothing_of_ours(rig: OktaRig) -> None:
    rig._user(ANN)["status"] = "RECOVERY"
    connector = rig.connector()
    rig.ignore()
    connector.apply("reset_password", ANN, key="k", note="n")
    assert connector.read("reset_password", ANN) is None
    rig._user(ANN)["passwordChanged"] = "2026-11-26T10:00:00.000Z"
    assert connector.read("reset_password", ANN) is True
