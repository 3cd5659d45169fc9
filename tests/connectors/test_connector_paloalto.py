"""PAN-OS against the contract: the real SDK, and a firewall's XML API on loopback over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import ConnectorError, NotPermitted, SettingsError, TransientConnectorError
from aegis_agents.ledger import SqliteStore
from aegis_agents.records import ActionName, Target
from aegis_agents.tools import WritePath, assign
from aegis_agents.tools.connectors import paloalto_api
from aegis_agents.tools.connectors.paloalto import PaloAltoConnector
from tests.connectors.contract import ALICE, Approved, Case, ConnectorContract, Rig
from tests.connectors.loopback import Answer, serving
from tests.connectors.panos_server import ADMIN, CATEGORY, KEY, TAG, TYPE, Panos, certificate, xml

pytest.importorskip("panos", reason="needs the paloalto extra")
pytest.importorskip("cryptography")

ADDRESS = Target(kind="ip", value="203.0.113.9")
DOMAIN = Target(kind="domain", value="evil.test")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def panos(pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Panos]:
    monkeypatch.setattr(paloalto_api, "JOB_POLL_S", 0.001)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    found = Panos()
    with serving(found, certificate=pair):
        yield found
    assert found.complaints == []
    assert found.unfinished_of_others not in found.running


class PanosRig(Rig):
    secrets = (KEY,)

    def __init__(self, panos: Panos, ca_file: str) -> None:
        self.panos, self.ca_file = panos, ca_file

    def connector(self, **settings: Any) -> PaloAltoConnector:
        given: dict[str, Any] = {
            "hostname": "127.0.0.1", "port": int(self.panos.url.rpartition(":")[2]), "api_key": KEY,
            "ca_file": Path(self.ca_file), "url_category": CATEGORY, "admin": ADMIN, "timeout_s": 2, "commit_s": 0.05,
        }  # fmt: skip
        return PaloAltoConnector(**(given | settings))

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        if action == "block_ip":
            self.panos.tags[target.value] = {TAG}
        else:
            self.panos.candidate.append(f"{target.value}/")
            self.panos.running.append(f"{target.value}/")

    def in_effect(self, action: ActionName, target: Target) -> bool:
        assert "bystander.example/" in self.panos.running
        assert self.panos.tags["198.51.100.200"] == {"quarantine"}
        if action == "block_ip":
            return TAG in self.panos.tags.get(target.value, ())
        return f"{target.value}/" in self.panos.running

    def effects(self) -> int:
        return self.panos.effects

    def touched(self) -> set[str]:
        return set(self.panos.touched)

    def forget(self, target: Target) -> None:
        raise NotImplementedError("a firewall takes any address and domain")

    def deny(self) -> None:
        self.panos.denied = True

    def ignore(self) -> None:
        self.panos.ignoring = True

    def lose_answers(self, count: int) -> None:
        self.panos.losing = count

    def limit_rate(self, count: int) -> None:
        self.panos.limiting = count


@pytest.fixture
def rig(panos: Panos, pair: tuple[str, str]) -> PanosRig:
    return PanosRig(panos, pair[0])


class TestPaloAlto(ConnectorContract):
    cases = (
        Case("block_ip", ADDRESS),
        Case("block_ip", Target(kind="ip", value="2001:db8::9")),
        Case("block_domain", DOMAIN),
    )
    forgetful = False


def test_a_tag_that_no_group_takes_up_blocks_nothing(rig: PanosRig, panos: Panos) -> None:
    panos.filter = f"'{TAG}-test' and 'x'"
    with pytest.raises(ConnectorError, match="takes up the tag"):
        rig.connector().apply("block_ip", ADDRESS, key="k", note="")
    assert panos.touched == set()
    panos.tags[ADDRESS.value] = {TAG}
    assert rig.connector().read("block_ip", ADDRESS) is False
    for suffices in (TAG, f"'a' or ('{TAG}' or 'and')", f'"{TAG}"'):
        panos.filter = suffices
        assert rig.connector().read("block_ip", ADDRESS) is True
    for more in (f"'{TAG}' and 'b'", f"not '{TAG}'", "", "'x"):
        panos.filter = more
        assert rig.connector().read("block_ip", ADDRESS) is False


def test_check_changes_nothing_and_finds_what_is_missing(rig: PanosRig, panos: Panos) -> None:
    assert rig.connector().check() == "a PA-440 with PAN-OS 11.1.4"
    assert panos.touched == set()
    panos.filter = "'x'"
    with pytest.raises(ConnectorError, match="takes up the tag"):
        rig.connector().check()
    panos.has_category = False
    with pytest.raises(ConnectorError, match="No such node"):
        rig.connector(actions=["block_domain"]).check()


def test_the_certificate_is_checked(rig: PanosRig, panos: Panos, tmp_path: Path) -> None:
    """The SDK by itself checks none: an API key must not go to whoever answers."""
    other, _ = certificate(tmp_path)
    for settings in ({"ca_file": None}, {"ca_file": Path(other)}, {"hostname": "localhost"}):
        with pytest.raises(ConnectorError, match="CERTIFICATE_VERIFY_FAILED"):
            rig.connector(**settings).apply("block_ip", ADDRESS, key="k", note="")
    assert panos.requests == []


def test_a_panrc_file_does_not_redirect(
    rig: PanosRig, panos: Panos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".panrc").write_text("serial=0123456789\napi_key=other\nhostname=192.0.2.1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    rig.connector().apply("block_ip", ADDRESS, key="k", note="")
    assert panos.touched == {ADDRESS.value}  # the server asserts that no `target` was sent, and the key


def test_unauthorised_in_a_plain_answer(rig: PanosRig, panos: Panos) -> None:
    """PAN-OS says no with HTTP 200, too; its words repeat the key here."""
    panos.denied = True
    panos.refusal = Answer(200, xml("error", f"<msg><line>Unauthorized request {KEY}</line></msg>", code=16), TYPE)
    with pytest.raises(NotPermitted) as caught:
        rig.connector().apply("block_domain", DOMAIN, key="k", note="")
    assert KEY not in str(caught.value)


def test_a_slow_commit_is_unconfirmed_and_not_lost(
    rig: PanosRig, panos: Panos, store: SqliteStore, approved: Approved
) -> None:
    panos.slow = True
    path = WritePath(store, assign([rig.connector()]), attempts=2, longest_wait_s=0.01)
    key = approved("block_domain", DOMAIN)
    assert path.execute(key).outcome == "unconfirmed"
    assert len(panos.jobs) == 1  # a second commit was refused while the first ran
    assert rig.connector().read("block_domain", DOMAIN) is None
    panos.finish()
    assert rig.connector().read("block_domain", DOMAIN) is True
    assert panos.effects == 1


def test_a_failed_commit_leaves_nothing_for_the_next_one(rig: PanosRig, panos: Panos) -> None:
    panos.fails = True
    with pytest.raises(ConnectorError, match="rule 7 names an address"):
        rig.connector().apply("block_domain", DOMAIN, key="k", note="")
    assert panos.candidate == panos.running == ["bystander.example/"]
    panos.fails = False
    rig.connector().apply("block_domain", DOMAIN, key="k", note="")
    panos.fails = True
    with pytest.raises(ConnectorError):
        rig.connector().undo("block_domain", DOMAIN, key="k")
    assert sorted(panos.candidate) == sorted(panos.running) == ["bystander.example/", "evil.test/"]


def test_a_locked_configuration_is_left_alone(rig: PanosRig, panos: Panos) -> None:
    panos.locked = "alice"
    with pytest.raises(ConnectorError, match="locked by alice"):
        rig.connector().apply("block_domain", DOMAIN, key="k", note="")
    assert (panos.touched, panos.jobs) == (set(), [])


def test_without_the_category_it_says_what_to_do(rig: PanosRig, panos: Panos) -> None:
    panos.has_category = False
    for ask in (rig.connector().read, lambda a, t: rig.connector().apply(a, t, key="k", note="")):
        with pytest.raises(ConnectorError, match=r"No such node|make one"):
            ask("block_domain", DOMAIN)


@pytest.mark.parametrize("value", ["EVIL.test", "evil.test.", "a_b.evil.test", "xn--nxasmq6b.test"])
def test_names_are_written_one_way(rig: PanosRig, panos: Panos, value: str) -> None:
    rig.connector().apply("block_domain", Target(kind="domain", value=value), key="k", note="")
    assert panos.touched == {value.lower().rstrip(".")}


@pytest.mark.parametrize(
    "value",
    ["*.evil.test", "evil", "test.", "evil..test", "-evil.test", "evil.test/x", "evil.test</member><member>a.test",
     "evil.test'] | //x['", "203.0.113.9", "évil.test", "a" * 64 + ".test", "a." * 127 + "test", "evil.test\n"],
)  # fmt: skip
def test_what_is_no_domain_is_refused(rig: PanosRig, panos: Panos, value: str) -> None:
    for ask in ("apply", "undo"):
        more = {"note": ""} if ask == "apply" else {}
        with pytest.raises(ConnectorError, match="no domain name"):
            getattr(rig.connector(), ask)("block_domain", Target(kind="domain", value=value), key="k", **more)
    assert panos.requests == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"<response/>", b"<response status='success'/>", b"\xff\xfe"])
def test_an_answer_that_makes_no_sense(rig: PanosRig, panos: Panos, body: bytes) -> None:
    panos.answer = lambda _: Answer(200, body, TYPE)  # type: ignore[method-assign]
    for action, target in (("block_ip", ADDRESS), ("block_domain", DOMAIN)):
        with pytest.raises(ConnectorError):
            rig.connector().apply(action, target, key="k", note="")  # type: ignore[arg-type]
        with pytest.raises(ConnectorError):
            rig.connector().read(action, target)  # type: ignore[arg-type]


def test_a_firewall_that_hangs_is_tried_again_later(rig: PanosRig, panos: Panos) -> None:
    import threading

    release = threading.Event()

    def hang(_: Any) -> Answer:
        release.wait(5)
        return Answer(503, b"", TYPE)

    panos.answer = hang  # type: ignore[method-assign]
    try:
        with pytest.raises(TransientConnectorError):
            rig.connector(timeout_s=0.2).apply("block_ip", ADDRESS, key="k", note="")
    finally:
        release.set()


def test_many_at_once(rig: PanosRig, panos: Panos) -> None:
    """The SDK keeps its last answer in one object: threads must not read each other's."""
    import threading

    connector, wrong = rig.connector(), []

    def block(n: int) -> None:
        target = Target(kind="ip", value=f"203.0.113.{n}")
        connector.apply("block_ip", target, key=f"k{n}", note="")
        if connector.read("block_ip", target) is not True:
            wrong.append(n)

    threads = [threading.Thread(target=block, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert panos.effects == 8


def test_domains_are_off_without_a_category(rig: PanosRig, store: SqliteStore, approved: Approved) -> None:
    connector = rig.connector(url_category="", admin="")
    assert connector.actions == {"block_ip"}
    for ask in (connector.apply, connector.undo):
        with pytest.raises(ConnectorError):
            ask("block_domain", DOMAIN, key="k", **({"note": ""} if ask == connector.apply else {}))  # type: ignore[operator]
    path = WritePath(store, assign([connector]), longest_wait_s=0.01)
    key = approved("block_ip", ADDRESS)
    path.execute(key)
    assert path.undo(key, ALICE).outcome == "undone"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"hostname": "https://fw.example"}, "hostname"),
        ({"api_key": " "}, "api_key"),
        ({"port": 0}, "port"),
        ({"tag": "a'b"}, "tag"),
        ({"vsys": "vsys1']/x"}, "vsys"),
        ({"url_category": "c"}, "admin"),
        ({"url_category": "c<d", "admin": "a"}, "url_category"),
        ({"never": ["office"]}, "never"),
        ({"ca_file": Path("nowhere.pem")}, "ca_file"),
        ({"actions": ["block_domain"]}, "block_domain"),
    ],
)
def test_wrong_settings_name_the_field(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        PaloAltoConnector(**({"hostname": "fw.example", "api_key": KEY} | settings))


def test_without_the_sdk_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "panos", None)
    monkeypatch.setitem(sys.modules, "panos.firewall", None)
    with pytest.raises(SettingsError, match=r"aegis-soc-agents\[paloalto\]"):
        PaloAltoConnector(hostname="fw.example", api_key=KEY)
