"""Entra: the contract through msgraph-sdk and azure-identity, and what is its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import ConnectorError, NotPermitted, SettingsError, TargetNotFound, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.entra import EntraConnector
from aegis_agents.tools.connectors.microsoft import CLOUDS
from tests.connectors.contract import HOSTILE, Case, ConnectorContract, Rig, refused
from tests.connectors.loopback import Answer
from tests.connectors.microsoft_cloud import CLIENT, SECRET, SECRETS, TENANT, Graph, Login, cloud

pytest.importorskip("msgraph", reason="the extra microsoft is not installed")
pytest.importorskip("azure.identity", reason="the extra microsoft is not installed")

# Their own, when msgraph-sdk's request builders are imported.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:kiota_abstractions.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:msgraph.*"),
]

ANN = Target(kind="user", value="ann@example.com")
WHO = {"tenant_id": TENANT, "client_id": CLIENT, "client_secret": SECRET}


class EntraRig(Rig):
    secrets = SECRETS

    def __init__(self, vendor: Graph, login: Login, **options: Any) -> None:
        self.vendor, self.login, self.options = vendor, login, options
        for name in ("ann@example.com", "anna@example.com", "ann@other.example", "a@example.com", "me@example.com"):
            vendor.user(name)
        self.start = {key: dict(user) for key, user in vendor.users.items()}

    def connector(self) -> EntraConnector:
        given = WHO | {
            "graph_url": self.vendor.url, "authority": self.login.url, "settle_s": 0.0, "timeout_s": 5.0,
        } | self.options  # fmt: skip
        return EntraConnector(**given)

    def named(self, target: Target) -> dict[str, Any]:
        return next(u for u in self.vendor.users.values() if u["userPrincipalName"].lower() == target.value.lower())

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        self.named(target)["accountEnabled"] = False

    def in_effect(self, action: ActionName, target: Target) -> bool:
        user = self.named(target)
        if action == "disable_user":
            return user["accountEnabled"] is False
        name = "signInSessionsValidFromDateTime" if action == "revoke_sessions" else "lastPasswordChangeDateTime"
        return bool(user[name] != self.start[user["id"]][name])

    def effects(self) -> int:
        return self.vendor.effects

    def touched(self) -> set[str]:
        return {u["userPrincipalName"] for key, u in self.vendor.users.items() if u != self.start[key]}

    def forget(self, target: Target) -> None:
        del self.vendor.users[self.named(target)["id"]]

    def deny(self) -> None:
        self.vendor.denied = True

    def ignore(self) -> None:
        self.vendor.ignoring = True

    def lose_answers(self, count: int) -> None:
        self.vendor.losing = count

    def limit_rate(self, count: int) -> None:
        self.vendor.limiting = count

    def plant(self, target: Target) -> bool:
        user = self.vendor.user(target.value)
        self.start[user["id"]] = dict(user)
        return True


@pytest.fixture
def vendor() -> Graph:
    return Graph()


@pytest.fixture
def login(vendor: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Login]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "chain.pem"))
    with cloud(vendor, tmp_path) as login:
        yield login


@pytest.fixture
def rig(vendor: Graph, login: Login) -> EntraRig:
    return EntraRig(vendor, login)


class TestEntra(ConnectorContract):
    cases = (Case("disable_user", ANN), Case("revoke_sessions", ANN), Case("reset_password", ANN))
    hostile = (
        *HOSTILE,
        "ann",
        "me-token-to-replace",
        "o'neil@x.example",
        "a#EXT#@x.example",
        "x' or accountEnabled eq 'true@a.b",
    )


def test_an_apostrophe_is_a_name_like_others(rig: EntraRig) -> None:
    target = Target(kind="email", value="Pat.O'Neil_x.com#EXT#@example.com")
    rig.plant(target)
    rig.connector().apply("disable_user", target, key="k", note="n")
    assert rig.touched() == {target.value}


def test_an_answer_about_somebody_else_is_not_taken(rig: EntraRig) -> None:
    rig.forget(ANN)
    rig.vendor.filters = False
    with pytest.raises(TargetNotFound):
        rig.connector().apply("disable_user", ANN, key="k", note="n")
    assert rig.touched() == set()


def test_a_synchronised_account_is_said_to_be_one(rig: EntraRig) -> None:
    rig.named(ANN)["onPremisesSyncEnabled"] = True
    assert "Active Directory too" in rig.connector().apply("disable_user", ANN, key="k", note="n")
    assert "in Active Directory" in refused(lambda: rig.connector().apply("reset_password", ANN, key="k", note="n"))
    assert rig.vendor.passwords == []


def test_the_new_password_is_nobodys(rig: EntraRig) -> None:
    said = rig.connector().apply("reset_password", ANN, key="k", note="n")
    rig.connector().apply("reset_password", ANN, key="k2", note="n")
    first, second = rig.vendor.passwords
    assert first != second
    assert len(first) > 60
    assert first not in said


def test_an_event_of_somebody_else_is_not_known(rig: EntraRig) -> None:
    rig.named(ANN)["signInSessionsValidFromDateTime"] = rig.vendor.now()
    assert rig.connector().read("revoke_sessions", ANN) is None


def test_it_waits_for_the_directory(rig: EntraRig) -> None:
    rig.options["settle_s"] = 0.3
    rig.ignore()
    rig.connector().apply("disable_user", ANN, key="k", note="n")
    looks = [r for r in rig.vendor.requests if r.method == "GET"]
    assert len(looks) > 2, "it looked again"


@pytest.mark.parametrize(
    ("status", "error"), [(401, NotPermitted), (400, NotPermitted), (503, TransientConnectorError)]
)
def test_a_sign_in_that_fails(rig: EntraRig, status: int, error: type[Exception]) -> None:
    rig.login.status = status
    with pytest.raises(error) as caught:
        rig.connector().read("disable_user", ANN)
    assert SECRET not in str(caught.value)
    assert rig.vendor.requests == []


def test_a_secret_that_is_wrong_is_not_shown(rig: EntraRig) -> None:
    rig.options["client_secret"] = "0ther~S3cr3t"
    with pytest.raises(NotPermitted) as caught:
        rig.connector().read("disable_user", ANN)
    assert "0ther~S3cr3t" not in str(caught.value)


def test_one_sign_in_serves_many_calls(rig: EntraRig) -> None:
    connector = rig.connector()
    connector.read("disable_user", ANN)
    connector.read("disable_user", ANN)
    assert len([r for r in rig.login.requests if r.path.endswith("/token")]) == 1


def test_nobody_there(rig: EntraRig) -> None:
    rig.options["graph_url"] = "http://127.0.0.1:9"
    with pytest.raises(TransientConnectorError):
        rig.connector().read("disable_user", ANN)
    rig.options |= {"graph_url": rig.vendor.url, "authority": "https://127.0.0.1:9"}
    with pytest.raises(TransientConnectorError):
        rig.connector().read("disable_user", ANN)


def test_an_answer_that_makes_no_sense(rig: EntraRig) -> None:
    rig.vendor.garbage = True
    with pytest.raises(TransientConnectorError):
        rig.connector().read("disable_user", ANN)


def test_an_answer_that_does_not_come(rig: EntraRig) -> None:
    rig.options["timeout_s"] = 0.3
    connector = rig.connector()
    connector.read("disable_user", ANN)
    with rig.vendor.lock, pytest.raises(TransientConnectorError):
        connector.read("disable_user", ANN)


def test_inside_a_running_loop(rig: EntraRig) -> None:
    async def notebook() -> bool | None:
        return rig.connector().read("disable_user", ANN)

    assert asyncio.run(notebook()) is False


def test_making_it_asks_nothing(rig: EntraRig) -> None:
    rig.connector()
    assert rig.vendor.requests == rig.login.requests == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tenant_id": ""}, "tenant_id"),
        ({"tenant_id": "../evil"}, "tenant"),
        ({"client_id": " "}, "client_id"),
        ({"client_secret": ""}, "client_secret"),
        ({"cloud": "mars"}, "cloud"),
        ({"graph_url": "http://graph.example"}, "graph_url"),
        ({"authority": "http://login.example"}, "authority"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"settle_s": -1}, "settle_s"),
        ({"actions": ["block_ip"]}, "block_ip"),
    ],
)
def test_settings_that_are_wrong(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        EntraConnector(**(WHO | given))


@pytest.mark.parametrize("name", list(CLOUDS))
def test_each_cloud_has_its_hosts(name: str) -> None:
    connector = EntraConnector(**WHO, cloud=name)
    assert connector._graph._url == CLOUDS[name].graph
    assert CLOUDS[name].authority.removeprefix("https://") in str(connector._graph._sign_in._credential._authority)


def test_without_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgraph", None)
    with pytest.raises(SettingsError, match=r"aegis-soc-agents\[microsoft\]"):
        EntraConnector(**WHO)
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(SettingsError, match="azure-identity"):
        EntraConnector(**WHO)


def test_what_changes_after_a_refusal_is_somebody_elses(rig: EntraRig) -> None:
    """Ann's session ends by her own doing, just when ours was refused."""
    connector = rig.connector()
    through = rig.vendor.answer

    def refuse(request: Any) -> Any:
        if request.method == "GET":
            return through(request)
        rig.named(ANN)["signInSessionsValidFromDateTime"] = rig.vendor.now()
        return rig.vendor.error(403, "Authorization_RequestDenied", "no")

    rig.vendor.answer = refuse  # type: ignore[method-assign]
    with pytest.raises(NotPermitted):
        connector.apply("revoke_sessions", ANN, key="k", note="n")
    assert connector.read("revoke_sessions", ANN) is None


@pytest.mark.parametrize("status", [302, 307, 308])
def test_the_secret_does_not_follow_a_redirect(rig: EntraRig, status: int) -> None:
    well, seen = rig.login.answer, []

    def elsewhere(request: Any) -> Any:
        if request.method == "GET":
            return well(request)
        seen.append(request.path)
        return Answer(status, None, {"Location": f"{rig.vendor.url}/v1.0/users/thief"})

    rig.login.answer = elsewhere  # type: ignore[method-assign]
    with pytest.raises(ConnectorError):
        rig.connector().read("disable_user", ANN)
    assert len(seen) == 1
    assert rig.vendor.requests == []
