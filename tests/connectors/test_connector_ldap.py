"""Active Directory and LDAP, against a real Samba domain controller and a real slapd."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import ConnectorError, NotPermitted, SettingsError, TargetNotFound, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.directory_kinds import ActiveDirectory, DirectoryKind, OpenLdap, same_name
from aegis_agents.tools.connectors.directory_session import Entry
from aegis_agents.tools.connectors.ldap import LdapConnector
from tests.connectors.certificates import certificate
from tests.connectors.contract import Case, ConnectorContract, Rig, refused
from tests.connectors.directories import (
    Directory,
    Proxy,
    SambaDirectory,
    SlapdDirectory,
    samba,
    samba_lacks,
    slapd,
    slapd_lacks,
)

ANN, ANN_MAIL = Target(kind="user", value="ann"), Target(kind="email", value="ann@corp.example")
OLD_PASSWORD = "Old-Passw0rd-1"

needs_samba = pytest.mark.skipif(bool(samba_lacks()), reason=samba_lacks())
needs_slapd = pytest.mark.skipif(bool(slapd_lacks()), reason=slapd_lacks())


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SambaDirectory]:
    with samba(tmp_path_factory.mktemp("samba")) as found:
        yield found


@pytest.fixture(scope="module")
def openldap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlapdDirectory]:
    with slapd(tmp_path_factory.mktemp("slapd")) as found:
        yield found


class DirectoryRig(Rig):
    """A directory with Ann and Bob in it, behind a proxy: an unescaped "a*" would be Ann, and she alone."""

    def __init__(self, directory: Directory, folder: Path) -> None:
        self.directory = directory
        self.secrets = (directory.admin_password,)
        self.proxy = Proxy(directory, folder)
        self.proxy.denial = f"no rights for {directory.admin_password}"
        self.proxy.around = self._around
        self._effects, self._touched = 0, set[str]()
        self._undoing = False
        self.names: dict[str, str] = {}
        directory.clear()
        self.person("Lee\\, Ann", "ann", "ann@corp.example")
        self.person("Bob", "bob", "bob@corp.example")

    def person(self, cn: str, name: str, mail: str = "", called: str = "") -> str:
        dn = f"cn={cn},{self.directory.base}"
        self.directory.add(dn, name, mail, OLD_PASSWORD)
        self.names[dn.lower()] = called or name
        return dn

    def _around(self, dn: str, forward: Callable[[], int]) -> int:
        """What a change really did: disabled somebody, enabled somebody, or set a password."""
        before = self._state(dn)
        code = forward()
        after = self._state(dn)
        if before != after:
            self._touched.add(self.names.get(dn.lower(), dn))
        if (not before[0] and after[0]) or before[1] != after[1]:
            self._effects += 1
        return code

    def _state(self, dn: str) -> tuple[bool, object]:
        """Whether somebody is disabled, and what changes when the password does: Active Directory never shows one, but
        a reset leaves pwdLastSet at 0."""
        mark = "pwdLastSet" if self.directory.kind == "ad" else "userPassword"
        return self.directory.disabled(dn), self.directory.look(dn, mark).get(mark)

    def connector(self, **options: Any) -> LdapConnector:
        own: dict[str, Any] = (
            {"domain": "CORP"}
            if self.directory.kind == "ad"
            else {"directory": "openldap", "policy": SlapdDirectory.policy}
        )
        return LdapConnector(
            **{
                "url": f"ldaps://localhost:{self.proxy.port}", "user": self.directory.admin_name,
                "password": self.directory.admin_password, "base_dn": self.directory.base, "ca_file": self.proxy.chain,
                "timeout_s": 5.0,
            } | own | options
        )  # fmt: skip

    def dn(self, target: Target) -> str:
        name = target.value.partition("@")[0]
        return next(dn for dn, called in self.names.items() if called == name)

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        self.directory.disable(self.dn(target))

    def in_effect(self, action: ActionName, target: Target) -> bool:
        if action == "disable_user":
            return self.directory.disabled(self.dn(target))
        return not self.directory.accepts(self._login(target), OLD_PASSWORD)

    def _login(self, target: Target) -> str:
        return "ann@corp.example" if self.directory.kind == "ad" else self.dn(target)

    def effects(self) -> int:
        return self._effects

    def touched(self) -> set[str]:
        return set(self._touched)

    def forget(self, target: Target) -> None:
        dn = self.dn(target)
        self.directory.admin.delete(dn)

    def deny(self) -> None:
        self.proxy.denied = True

    def ignore(self) -> None:
        self.proxy.ignoring = True

    def lose_answers(self, count: int) -> None:
        self.proxy.losing = count

    def limit_rate(self, count: int) -> None:
        self.proxy.limiting = count

    def plant(self, target: Target) -> bool:
        from ldap3.core.exceptions import LDAPException

        value = target.value
        mail = value if "@" in value or target.kind == "email" else ""
        try:
            self.person(f"plant {len(self.names)}", f"p{len(self.names)}" if mail else value, mail, called=value)
        except (LDAPException, UnicodeError):
            return False
        return True

    def twin(self, target: Target) -> bool:
        if self.directory.kind == "ad" and "@" not in target.value:
            return False
        mail = target.value if "@" in target.value else ""
        self.person("Ann Twin", "ann3" if mail else target.value, mail)
        return True


class TestActiveDirectory(ConnectorContract):
    pytestmark = needs_samba
    cases = (
        Case("disable_user", ANN_MAIL),
        Case("reset_password", ANN, readable=False, repeatable=True),
    )

    @pytest.fixture
    def rig(self, domain: SambaDirectory, tmp_path: Path) -> Iterator[Rig]:
        rig = DirectoryRig(domain, tmp_path)
        yield rig
        rig.proxy.close()


class TestOpenLdap(ConnectorContract):
    pytestmark = needs_slapd
    cases = (Case("disable_user", ANN), Case("reset_password", ANN, readable=False, repeatable=True))

    @pytest.fixture
    def rig(self, openldap: SlapdDirectory, tmp_path: Path) -> Iterator[Rig]:
        rig = DirectoryRig(openldap, tmp_path)
        yield rig
        rig.proxy.close()


@pytest.fixture
def ad(domain: SambaDirectory, tmp_path: Path) -> Iterator[DirectoryRig]:
    rig = DirectoryRig(domain, tmp_path)
    yield rig
    rig.proxy.close()


@pytest.fixture
def ol(openldap: SlapdDirectory, tmp_path: Path) -> Iterator[DirectoryRig]:
    rig = DirectoryRig(openldap, tmp_path)
    yield rig
    rig.proxy.close()


def disable(connector: LdapConnector, value: str) -> str:
    return connector.apply("disable_user", Target(kind="user", value=value), key="k", note="n")


@needs_samba
class TestActiveDirectoryItself:
    def test_a_disabled_account_can_not_sign_in_and_keeps_its_other_flags(self, ad: DirectoryRig) -> None:
        dn = ad.dn(ANN)
        ad.directory.change(dn, userAccountControl=[str(512 | 0x10000)])  # its password does not expire
        assert ad.directory.accepts("ann@corp.example", OLD_PASSWORD)
        disable(ad.connector(), "ann")
        assert not ad.directory.accepts("ann@corp.example", OLD_PASSWORD)
        assert ad.directory.look(dn, "userAccountControl")["userAccountControl"] == [str(512 | 0x10000 | 2).encode()]
        ad.connector().undo("disable_user", ANN, key="k")
        assert ad.directory.accepts("ann@corp.example", OLD_PASSWORD)
        assert ad.directory.look(dn, "userAccountControl")["userAccountControl"] == [str(512 | 0x10000).encode()]

    def test_a_reset_password_is_nobodys_and_must_be_changed(self, ad: DirectoryRig) -> None:
        said = ad.connector().apply("reset_password", ANN, key="k", note="n")
        assert "to be changed at the next sign-in" in said
        assert not ad.directory.accepts("ann@corp.example", OLD_PASSWORD)
        assert ad.directory.look(ad.dn(ANN), "pwdLastSet")["pwdLastSet"] == [b"0"]

    @pytest.mark.parametrize("value", ["ann", "ANN", "CORP\\ann", "corp\\Ann", "ann@corp.example", "Ann@Corp.Example"])
    def test_every_form_of_the_name_finds_her(self, ad: DirectoryRig, value: str) -> None:
        assert disable(ad.connector(), value).startswith("CN=Lee\\, Ann,")
        assert ad.touched() == {"ann"}

    @pytest.mark.parametrize(
        "value", ["EVIL\\ann", "\\ann", "CORP\\CORP\\ann", "CORP\\", "ann\\", "ann@corp", "an*", "Lee, Ann"]
    )
    def test_another_name_does_not(self, ad: DirectoryRig, value: str) -> None:
        with pytest.raises(TargetNotFound):
            disable(ad.connector(), value)
        assert ad.touched() == set()

    def test_without_a_domain_a_name_with_one_is_not_hers(self, ad: DirectoryRig) -> None:
        with pytest.raises(TargetNotFound, match="setting domain: none"):
            disable(ad.connector(domain=""), "CORP\\ann")

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            ("Administrator", "built-in administrative"),
            ("krbtgt", "built-in administrative"),
            ("CORP\\krbtgt", "built-in"),
        ],
    )
    @pytest.mark.parametrize("action", ["disable_user", "reset_password"])
    def test_the_keys_of_the_domain_are_never_touched(
        self, ad: DirectoryRig, action: ActionName, value: str, why: str
    ) -> None:
        boss = ad.person("Boss", "boss")
        ad.directory.admin.modify("CN=Domain Admins,CN=Users,DC=corp,DC=example", {"member": [("MODIFY_ADD", [boss])]})
        connector = ad.connector(base_dn="DC=corp,DC=example", user="boss@corp.example", password=OLD_PASSWORD)
        message = refused(lambda: connector.apply(action, Target(kind="user", value=value), key="k", note="n"))
        assert "never touched" in message
        assert why in message
        assert ad.touched() == set()

    def test_nor_is_who_is_privileged_through_a_group_in_a_group(self, ad: DirectoryRig) -> None:
        ad.directory.admin.add(f"CN=Helpers,{ad.directory.base}", ["group"], {"sAMAccountName": "helpers"})
        helpers = {"member": [("MODIFY_ADD", [ad.dn(ANN)])]}
        ad.directory.admin.modify(f"CN=Helpers,{ad.directory.base}", helpers)
        assert disable(ad.connector(), "ann")
        ad.connector().undo("disable_user", ANN, key="k")
        backup = "CN=Backup Operators,CN=Builtin,DC=corp,DC=example"
        ad.directory.admin.modify(backup, {"member": [("MODIFY_ADD", [f"CN=Helpers,{ad.directory.base}"])]})
        assert ad.directory.look(ad.dn(ANN), "adminCount").get("adminCount", []) == [], "adminCount does not know yet"
        assert "privileged group" in refused(lambda: disable(ad.connector(), "ann"))
        ad.directory.admin.modify(backup, {"member": [("MODIFY_DELETE", [f"CN=Helpers,{ad.directory.base}"])]})
        ad.directory.change(ad.dn(ANN), adminCount=["1"])
        assert "adminCount" in refused(lambda: disable(ad.connector(), "ann"))
        assert not ad.directory.disabled(ad.dn(ANN))

    def test_who_was_disabled_before_becoming_privileged_can_be_enabled(self, ad: DirectoryRig) -> None:
        disable(ad.connector(), "ann")
        ad.directory.change(ad.dn(ANN), adminCount=["1"])
        ad.connector().undo("disable_user", ANN, key="k")
        assert not ad.directory.disabled(ad.dn(ANN))

    @pytest.mark.parametrize("name", ["ann", "CORP\\ANN", "ann@corp.example"])
    def test_never_names_who_is_not_touched(self, ad: DirectoryRig, name: str) -> None:
        assert "setting never" in refused(lambda: disable(ad.connector(never=(name,)), "ann"))
        assert disable(ad.connector(never=("bob",)), "ann")

    def test_its_own_account_is_never_touched(self, ad: DirectoryRig) -> None:
        for user, domain in (("ann@corp.example", "CORP"), ("CORP\\ann", "CORP"), ("CORP\\ann", ""), (ad.dn(ANN), "")):
            connector = ad.connector(user=user.replace(",", ", "), password=OLD_PASSWORD, domain=domain)
            assert "signs in with" in refused(lambda connector=connector: disable(connector, "ann"))

    def test_rights_are_the_directorys_to_give(self, ad: DirectoryRig) -> None:
        connector = ad.connector(user="bob@corp.example", password=OLD_PASSWORD)
        assert connector.read("disable_user", ANN) is False
        with pytest.raises(NotPermitted, match="may not"):
            disable(connector, "ann")
        with pytest.raises(NotPermitted, match="may not"):
            connector.apply("reset_password", ANN, key="k", note="n")
        with pytest.raises(NotPermitted):
            disable(ad.connector(password="wrong"), "ann")
        assert ad.touched() == set()

    def test_groups_computers_and_other_places_are_not_accounts(self, ad: DirectoryRig) -> None:
        base, add = ad.directory.base, ad.directory.admin.add
        add(f"CN=staff,{base}", ["group"], {"sAMAccountName": "staff"})
        add(f"CN=wks-7,{base}", ["computer"], {"sAMAccountName": "wks-7$"})
        add(f"OU=inner,{base}", ["organizationalUnit"])
        ad.directory.add(f"CN=Eve,OU=inner,{base}", "eve", password=OLD_PASSWORD)
        for value in ("staff", "wks-7$", "Administrator"):
            with pytest.raises(TargetNotFound):
                disable(ad.connector(), value)
        with pytest.raises(TargetNotFound):
            disable(ad.connector(scope="level"), "eve")
        assert disable(ad.connector(), "eve")

    def test_referrals_are_not_followed(self, ad: DirectoryRig) -> None:
        """The root of a domain refers to its other partitions with every search."""
        with pytest.raises(TargetNotFound):
            disable(ad.connector(base_dn="DC=corp,DC=example"), "nobody")
        ad.proxy.denied, ad.proxy.denial_code = True, 10
        for action in ad.connector().actions:
            message = refused(lambda action=action: ad.connector().apply(action, ANN, key="k", note="n"))
            assert "not followed" in message, "ldap3 alone takes a referral for success"

    def test_the_check_says_who(self, ad: DirectoryRig) -> None:
        assert ad.connector().check() == f"signed in as Administrator@corp.example; {ad.directory.base} is there"
        with pytest.raises(TargetNotFound):
            ad.connector(base_dn="OU=None,DC=corp,DC=example").check()

    def test_start_tls_is_as_good(self, ad: DirectoryRig) -> None:
        host = ad.directory.address[0]
        chain = ad.directory.chain
        assert ad.connector(url=f"ldap://{host}", start_tls=True, ca_file=chain).check().startswith("signed in as")
        assert ad.connector(url=f"ldaps://{host}", ca_file=chain).check().startswith("signed in as")


@needs_slapd
class TestOpenLdapItself:
    def test_a_locked_account_can_not_sign_in(self, ol: DirectoryRig) -> None:
        dn = ol.dn(ANN)
        assert ol.directory.accepts(dn, OLD_PASSWORD)
        disable(ol.connector(), "ann")
        assert not ol.directory.accepts(dn, OLD_PASSWORD)
        ol.connector().undo("disable_user", ANN, key="k")
        assert ol.directory.accepts(dn, OLD_PASSWORD)

    def test_a_lock_that_nothing_heeds_is_not_claimed(self, ol: DirectoryRig) -> None:
        ol.directory.disable(ol.dn(ANN))
        assert ol.connector().read("disable_user", ANN) is True
        ol.directory.change(SlapdDirectory.policy, pwdLockout=["FALSE"])
        try:
            assert ol.directory.accepts(ol.dn(ANN), OLD_PASSWORD), "slapd lets her in all the same"
            assert ol.connector().read("disable_user", ANN) is False
            assert "keep nobody out" in refused(lambda: disable(ol.connector(), "bob"))
            assert not ol.directory.disabled(ol.dn(Target(kind="user", value="bob")))
            ol.connector().undo("disable_user", ANN, key="k")
            assert not ol.directory.disabled(ol.dn(ANN))
        finally:
            ol.directory.change(SlapdDirectory.policy, pwdLockout=["TRUE"])

    def test_a_reset_password_is_hashed_and_must_be_changed(self, ol: DirectoryRig) -> None:
        ol.connector().apply("reset_password", ANN, key="k", note="n")
        found = ol.directory.look(ol.dn(ANN), "userPassword", "pwdReset")
        assert found["pwdReset"] == [b"TRUE"]
        assert found["userPassword"][0].startswith(b"{SSHA}")
        assert not ol.directory.accepts(ol.dn(ANN), OLD_PASSWORD)

    def test_two_of_one_name_are_refused_and_so_are_three(self, ol: DirectoryRig) -> None:
        for number in range(2):
            ol.person(f"Ann {number}", "ann", called="ann")
            assert "more than one" in refused(lambda: disable(ol.connector(), "ann"))
        assert ol.touched() == set()

    def test_rights_are_the_directorys_to_give(self, ol: DirectoryRig) -> None:
        connector = ol.connector(user=ol.person("reader", "reader"), password=OLD_PASSWORD)
        assert connector.read("disable_user", ANN) is False
        with pytest.raises(NotPermitted, match="may not"):
            disable(connector, "ann")

    @pytest.mark.parametrize("value", ["  ann", "ann ", "a  nn", "\uff41nn", "ann\u00ad", "an\u0301n", "\u212aann"])
    def test_names_that_the_directory_takes_for_the_same_are_not(self, ol: DirectoryRig, value: str) -> None:
        """Its matching rules (RFC 4518) drop blanks and fold width; an alert's author could aim with that."""
        with pytest.raises(TargetNotFound):
            disable(ol.connector(), value)
        assert ol.touched() == set()

    def test_without_having_signed_in_nothing_is_asked(self, ol: DirectoryRig) -> None:
        ol.proxy.bind_code = 10
        with pytest.raises(ConnectorError, match="not followed"):
            ol.connector().read("disable_user", ANN)

    def test_another_certificate_is_not_trusted(self, ol: DirectoryRig, tmp_path: Path) -> None:
        for wrong in (
            {"ca_file": None},
            {"ca_file": ol.directory.chain},
            {"url": f"ldaps://127.0.0.2:{ol.proxy.port}"},
        ):
            with pytest.raises(ConnectorError, match=r"certificate|did not answer"):
                ol.connector(**wrong).check()

    def test_a_certificate_for_another_host_is_not_accepted(self, ol: DirectoryRig, tmp_path: Path) -> None:
        chain, key = certificate(tmp_path, "other.example")
        ol.proxy._context.load_cert_chain(chain, key)
        assert "certificate" in refused(lambda: ol.connector(ca_file=chain).check())


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connector = LdapConnector(
            url=f"ldap://127.0.0.1:{server.getsockname()[1]}", user="x", password="y", base_dn="dc=x", timeout_s=1
        )
        with pytest.raises(TransientConnectorError):
            connector.read("disable_user", ANN)


def test_nobody_there_may_pass() -> None:
    with pytest.raises(TransientConnectorError):
        LdapConnector(url="ldaps://127.0.0.1:9", user="x", password="y", base_dn="dc=x").read("disable_user", ANN)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"url": "ldap://dc1.corp.example"}, "start_tls"), ({"url": "https://dc1"}, "url"), ({"url": "ldaps://"}, "url"),
        ({"url": "ldaps://u:p@dc1"}, "url"), ({"start_tls": True}, "start_tls"), ({"password": ""}, "password"),
        ({"user": ""}, "user"), ({"base_dn": " "}, "base_dn"), ({"directory": "openldap"}, "policy"),
        ({"policy": "cn=x"}, "policy"), ({"directory": "openldap", "policy": "cn=x", "domain": "CORP"}, "domain"),
        ({"ca_file": Path("/no/such.pem")}, "ca_file"), ({"timeout_s": 0.0}, "timeout_s"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        LdapConnector(**{"url": "ldaps://dc1", "user": "aegis", "password": "p", "base_dn": "dc=x"} | wrong)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ann", "ann", True), ("ann", "anm", False), ("\u212a", "k", False), ("stra\u00dfe", "strasse", False),
        ("j\u00fcrgen", "ju\u0308rgen", True), ("J\u00fcrgen", "jurgen", False),
    ],
)  # fmt: skip
def test_names_are_compared_strictly(one: str, other: str, same: bool) -> None:
    assert same_name(one, other) is same


@pytest.mark.parametrize("kind", [ActiveDirectory("CORP"), OpenLdap("cn=x")])
@pytest.mark.parametrize("value", ["a*", "*)(uid=*", "a)(|(uid=*)", "x\x00", "\u00e9", "(", ")", "a@*)(mail=*"])
def test_a_name_can_not_leave_its_place_in_the_filter(kind: DirectoryKind, value: str) -> None:
    """The first of two locks; the second compares what was found with what was asked for."""
    query = kind.query(value)
    assert query.isascii()
    assert query.isprintable()
    assert re.sub(r"\\[0-9a-f]{2}", "", query).count("*") == query.count("=*)")
    assert query.count("(") == kind.query("a@b" if "@" in value else "a").count("(")
    decoded = re.sub(rb"\\([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), query.encode()).decode()
    assert f"={value})" in decoded


@pytest.mark.parametrize(
    ("control", "touched"),
    [
        (0x200, True),
        (0x10202, True),
        (0x1000, False),
        (0x1002, False),
        (0x2000, False),
        (0x82000, False),
        (0x820, False),
    ],
)
def test_the_account_of_a_computer_is_no_persons(control: int, touched: bool) -> None:
    """Alerts name WS1$ as the user of what a machine did; without its account it leaves the domain."""

    class Session:
        def search(self, *_: Any) -> list[Entry]:
            return [Entry("cn=x", {"tokenGroups": [b"\x01\x05" + b"\x00" * 22 + b"\x01\x02\x00\x00"]})]

    sid = b"\x01\x05" + b"\x00" * 22 + b"\x51\x04\x00\x00"
    account = Entry("cn=x", {"userAccountControl": [str(control).encode()], "objectSid": [sid]})
    why = ActiveDirectory("CORP").guarded(Session(), account)  # type: ignore[arg-type]
    assert (why == "") is touched
    assert touched or "not a person's" in why
