"""One name in many spellings: no form of a protected asset's name is another asset, and none of an attacker's is ours."""

from __future__ import annotations

from typing import Any

import pytest
from gate_cases import NOW, incident, open_gate, request, target_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aegis_agents.errors import SettingsError
from aegis_agents.gate import AssetRegister
from aegis_agents.gate.addresses import meant, parse
from aegis_agents.gate.asset_signs import groups_in_name, groups_in_text
from aegis_agents.gate.assets import AssetFacts
from aegis_agents.gate.spelling import domains, plain, readings
from aegis_agents.records import Entity, Fact

LISTS: dict[str, Any] = {
    "own_networks": ["198.51.100.0/24", "::ffff:192.0.2.0/120"],
    "own_domains": ["example.com", "*.example.com", "bücher.example"],
    "groups": {
        "payments": {
            "hosts": ["jewel.example.com", "vault-7", " till-1 "], "users": ["EXAMPLE\\queen", "king@example.com", "prince"],
            "ips": ["10.9.0.0/28"], "domains": ["pay.example.com"],
        },
    },
}  # fmt: skip


def wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def facts_of(kind: str, value: str, *others: Entity, facts: tuple[Fact, ...] = ()) -> AssetFacts:
    named = Entity.model_validate({"kind": kind, "value": value, "role": "subject", "facts": ("t1",)})
    alert = incident((Fact(id="t1", path="it.name", value=value, trust="product"), *facts), (named, *others))
    return AssetRegister.load(LISTS).look_up(alert, target_of(kind, value), NOW)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("host", "VAULT-7"), ("host", wide("vault-7")), ("host", "vault\u20117"), ("host", "vault-7."), ("host", " vault-7 "),
        ("host", "va\u200bult-7"), ("host", "va⟦U+200B⟧ult-7"), ("host", "vаult-7"), ("host", "vault-7.corp.example"),
        ("host", "jewel"), ("host", "jewel.example.com."), ("host", "till-1"),
        ("user", "queen"), ("user", "OTHER\\queen"), ("user", "queen@example.com"), ("user", "king"), ("user", "CORP/king"),
        ("user", wide("prince")), ("user", "prínce"), ("user", "PRİNCE"), ("email", "prince+mail@example.com"),
        ("domain", "PAY.example.com."), ("domain", "pay。example。com"), ("ip", "::ffff:10.9.0.3"), ("ip", "64:ff9b::a09:3"),
    ],
)  # fmt: skip
def test_no_spelling_of_a_listed_name_is_another_asset(kind: str, value: str) -> None:
    assert facts_of(kind, value).tier == "protected"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("host", "vault-8"), ("host", "jewel2"), ("host", "example"), ("host", "com"), ("user", "princess"), ("user", "example"),
        ("user", "kingsley@example.com"), ("domain", "pay.example.net"), ("ip", "10.9.1.3"),
    ],
)  # fmt: skip
def test_other_names_are_other_assets(kind: str, value: str) -> None:
    assert facts_of(kind, value).tier == "standard"


@pytest.mark.parametrize(
    ("kind", "value", "field"),
    [
        ("domain", "xn--bcher-kva.example", "own"), ("domain", "Bücher.example.", "own"), ("domain", wide("example.com"), "own"),
        ("ip", "2002:c633:6407::1", "own"), ("ip", "64:ff9b::c633:6407", "own"), ("ip", "::198.51.100.7", "own"),
        ("ip", "192.0.2.7", "own"), ("ip", "64:ff9b::808:808", "well_known"), ("ip", "2002:0a00:0001::1", "internal"),
        ("ip", "fec0::1", "internal"), ("ip", "198.18.0.9", "internal"), ("ip", "64:ff9b:1::1", "internal"),
        ("domain", "www.google.com", "well_known"), ("domain", "co.uk", "well_known"), ("domain", "gv.at", "well_known"),
        ("domain", "Login.MicrosoftOnline.com.", "well_known"),
    ],
)  # fmt: skip
def test_what_must_not_be_blocked_is_not_in_any_form(kind: str, value: str, field: str) -> None:
    assert getattr(facts_of(kind, value), field)
    gate = open_gate(assets=LISTS)
    named = Entity.model_validate({"kind": kind, "value": value, "role": "peer", "facts": ("t1",)})
    alert = incident((Fact(id="t1", path="it.name", value=value, trust="product"),), (named,))
    asked = request(f"block_{kind}", incident=alert, target=(kind, value), approved_by=("ann", "bob"))
    assert gate.decide(asked).verb == "refuse"


@pytest.mark.parametrize(
    "value", ["exаmple.com", "bucher.example", "example.co", "evil.s3.amazonaws.com", "gοοgle.com"]
)
def test_a_domain_that_looks_like_ours_is_the_attackers_and_may_be_blocked(value: str) -> None:
    found = facts_of("domain", value)
    assert (found.own, found.well_known, found.tier) == (False, False, "standard")


@pytest.mark.parametrize("value", ["10.0.0.0/8", "0x0a000001", "010.0.0.1", "167772161", "1.2.3", "10.0.0.1;8.8.8.8"])
def test_what_is_called_an_address_and_is_none_is_refused(value: str) -> None:
    """A firewall may read it as one of our own, or as a whole network."""
    named = Entity(kind="ip", value=value, role="peer", facts=("t1",))
    alert = incident((Fact(id="t1", path="it.ip", value=value, trust="product"),), (named,))
    decision = open_gate().decide(request("block_ip", incident=alert, target=("ip", value), approved_by=("ann", "bob")))
    assert (decision.verb, decision.rule) == ("refuse", "target.malformed")


def test_a_host_is_protected_by_its_address_as_an_address_is_by_its_host() -> None:
    address = Entity(kind="ip", value="10.9.0.3", role="subject", facts=("t2",))
    beside = (Fact(id="t2", path="it.ip", value="10.9.0.3", trust="product"),)
    assert facts_of("host", "srv-9", address, facts=beside).tier == "protected"
    met = address.model_copy(update={"role": "peer"})  # somebody it talked to
    assert facts_of("host", "srv-9", met, facts=beside).tier == "standard"


def test_a_key_is_worth_what_its_owner_is() -> None:
    owner = Entity(kind="user", value="bg-admin", role="actor", facts=())
    assert facts_of("access_key", "AKIA2222", owner).tier == "protected"
    assert facts_of("access_key", "AKIA2222").tier == "standard"


def test_signs_in_names_and_tags_are_read_in_every_spelling() -> None:
    assert groups_in_name("user", wide("ceo")) == {"executives"}
    assert groups_in_name("host", "dс-01") == {"domain_controllers"}  # a Cyrillic letter
    assert groups_in_text(wide("Domain Controllers")) == {"domain_controllers"}


def test_spellings() -> None:
    assert plain("\u200bＷＥＢ－０１。example。com. ") == "web-01.example.com"
    assert "bo.ek" in readings("bö.ek")
    assert set(domains("Bücher.example")) == {"bücher.example", "xn--bcher-kva.example"}
    assert domains("xn--\u00ff.example")  # what is no name stays as it is written
    assert domains("a" * 70 + "é.example")
    address = parse("2001:0000:4136:e378:8000:63bf:3fff:fdd2")  # the Teredo address of RFC 4380's usual example
    assert address is not None
    assert {str(a) for a in meant(address)} >= {"65.54.227.120", "192.0.2.45"}


def test_one_person_in_two_spellings_is_one() -> None:
    assert request(approved_by=("ann", "ＡＮＮ", "Ann\u200b", " ann. ")).approvals == 1


@pytest.mark.parametrize(
    ("assets", "field"),
    [
        ({"windows": [{"kind": "freeze", "days": []}]}, "days"),
        ({"windows": [{"kind": "freeze", "days": "mon"}]}, "days"),
        ({"windows": [{"kind": "freeze", "days": 3}]}, "days"),
        ({"windows": [{"kind": "freeze", "days": ["mon"], "from": "08:00", "to": "08:00"}]}, "to"),
        ({"windows": [{"kind": "freeze", "days": ["mon"], "from": "08:00+02:00"}]}, "from"),
        ({"windows": [{"kind": "freeze", "days": ["mon"], "start": "2026-01-01T00:00:00+00:00"}]}, "start"),
        ({"windows": [{"kind": "freeze", "days": ["mon"], "groups": "ot"}]}, "groups"),
        ({"windows": [{"kind": "freeze", "days": ["mon"], "groups": ["lob"]}]}, "lob"),
        ({"windows": {"kind": "freeze"}}, "windows"),
        ({"groups": ["lab"]}, "groups"),
        ({"groups": {"lab": {"hosts": ["  "]}}}, "hosts"),
    ],
)
def test_a_setting_that_would_protect_nothing_is_an_error(assets: Any, field: str) -> None:
    with pytest.raises(SettingsError, match=field):
        AssetRegister.load(assets)


@pytest.mark.parametrize("groups", [float("nan"), float("inf"), 2.5, True, 1, -3, "24"])
def test_the_number_of_questions_is_a_whole_number(groups: Any) -> None:
    with pytest.raises(SettingsError, match="counterfactual_groups"):
        open_gate(counterfactual_groups=groups)


ZERO_WIDTH = ("", "\u200b", "\u2060", "\ufeff", "\u00ad")
LETTERS = {
    "a": "aＡа",
    "c": "cＣс",
    "e": "eＥе",
    "o": "oＯо",
    "p": "pＰр",
    "-": "-\u2010\u2011－",
    "1": "1１",
    "0": "0０",
}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_mixture_of_spellings_takes_a_name_out_of_protection(data: st.DataObject) -> None:
    kind, name = data.draw(
        st.sampled_from([("host", "dc-01"), ("host", "vault-7"), ("user", "prince"), ("user", "ceo")])
    )
    spelled = "".join(
        data.draw(st.sampled_from(LETTERS.get(letter, letter + letter.upper())))
        + data.draw(st.sampled_from(ZERO_WIDTH))
        for letter in name
    )
    realm = {"host": ("", ".", ".corp.example"), "user": ("", "@corp.example", "+x@corp.example")}[kind]
    spelled = data.draw(st.sampled_from(["", " "])) + spelled + data.draw(st.sampled_from(realm))
    assert facts_of(kind, spelled).tier == "protected", ascii(spelled)


@settings(max_examples=200, deadline=None)
@example("0 .", "host")
@example("0\u1680. .", "host")
@given(st.text(max_size=40), st.sampled_from(["host", "user", "email", "domain", "ip", "access_key", "process"]))
def test_any_text_at_all_has_a_reading(text: str, kind: str) -> None:
    """No text makes the look-up fail, and reading a plain name once more changes nothing."""
    assert facts_of(kind, text).tier in ("standard", "protected")
    assert plain(plain(text)) == plain(text)
