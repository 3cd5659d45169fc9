from __future__ import annotations

import datetime as dt
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import InputError
from aegis_agents.intel.documents import Document
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.formats import read
from aegis_agents.intel.feeds.formats.stix_patterns import PatternReader, Unusable
from aegis_agents.intel.feeds.parsed import Blob, Parsed

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
GREEN = "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"
RED = "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"
AMBER_STRICT_2 = "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"
TIMES = {"created": "2026-01-01T00:00:00.000Z", "modified": "2026-02-01T00:00:00.000Z", "spec_version": "2.1"}


def ref(kind: str, name: str = "a") -> str:
    return (
        f"{kind}--{uuid.UUID(bytes=uuid.uuid5(uuid.NAMESPACE_DNS, name).bytes, version=4)}"  # STIX 2.0 wants version 4
    )


def indicator(pattern: str, name: str = "a", **more: Any) -> dict[str, Any]:
    return {
        "type": "indicator", "id": ref("indicator", name), "pattern": pattern, "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z", **TIMES,
    } | more  # fmt: skip


def malware(name: str = "Example Stealer", **more: Any) -> dict[str, Any]:
    return {"type": "malware", "id": ref("malware", name), "name": name, "is_family": False, **TIMES} | more


def feed(kind: str = "stix", **more: Any) -> Feed:
    place = {"url": "https://taxii.example/api/"} if kind == "taxii" else {"path": Path("x")}
    return Feed.model_validate({"name": "cti", "kind": kind, "tlp": "green"} | place | more)


def bundle(*objects: object, **more: Any) -> Parsed:
    raw = json.dumps({"type": "bundle", "id": "bundle--1", "objects": objects}).encode()
    return read([Blob("bundle.json", raw)], feed(**more), fetched_at=NOW)


def envelope(*objects: object) -> Parsed:
    return read([Blob("page", json.dumps({"objects": objects}).encode())], feed("taxii"), fetched_at=NOW)


IP = "[ipv4-addr:value = '203.0.113.7']"


def test_an_indicator_is_found_by_its_value_and_says_how_long_it_counts() -> None:
    (document,) = bundle(
        indicator(IP, name="x", description="C2 of a botnet", confidence=80, labels=["malicious-activity"],
                  valid_until="2026-12-31T00:00:00Z",
                  kill_chain_phases=[{"kill_chain_name": "lockheed", "phase_name": "command-and-control"}])
    ).documents  # fmt: skip
    assert (document.corpus, document.id) == ("indicator", "cti/ip:203.0.113.7")
    assert document.aliases == ("ip:203.0.113.7", ref("indicator", "x"))
    assert document.observed_at == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert document.valid_until == dt.datetime(2026, 12, 31, tzinfo=dt.UTC)
    for words in ("C2 of a botnet", "Confidence 80 of 100.", "malicious-activity", "command-and-control"):
        assert words in document.text
    assert Document.model_validate(document.model_dump()) == document


@pytest.mark.parametrize(
    ("pattern", "keys"),
    [
        ("[ipv4-addr:value = '203.0.113.7']", ["ip:203.0.113.7"]),
        ("[ipv4-addr:value = '203.0.113.0/24']", ["net:203.0.113.0/24"]),
        ("[ipv4-addr:value ISSUBSET '203.0.113.0/24']", ["net:203.0.113.0/24"]),
        ("[ipv6-addr:value = '2001:DB8::1']", ["ip:2001:db8::1"]),
        ("[domain-name:value = 'Evil.Example']", ["domain:evil.example"]),
        ("[url:value = 'http://evil.example/it\\'s']", ["url:http://evil.example/it's"]),
        ("[email-addr:value = 'a@evil.example']", ["email:a@evil.example"]),
        (f"[file:hashes.MD5 = '{'a' * 32}']", [f"md5:{'a' * 32}"]),
        (f"[file:hashes.'SHA-1' = '{'a' * 40}']", [f"sha1:{'a' * 40}"]),
        (f"[file:hashes.'SHA-256' = '{'A' * 64}']", [f"sha256:{'a' * 64}"]),
        ("[domain-name:value IN ('a.example', 'b.example')]", ["domain:a.example", "domain:b.example"]),
        ("[domain-name:value = 'a.example' OR ipv4-addr:value = '203.0.113.7']", ["domain:a.example", "ip:203.0.113.7"]),
        ("[domain-name:value = 'a.example'] OR [domain-name:value = 'b.example']", ["domain:a.example", "domain:b.example"]),
        ("([domain-name:value = 'a.example'] AND [domain-name:value = 'b.example'])", ["domain:a.example", "domain:b.example"]),
        ("[(domain-name:value = 'a.example' OR process:name = 'x')]", ["domain:a.example"]),
        (f"[file:name = 'x.exe' AND file:hashes.MD5 = '{'a' * 32}']", [f"md5:{'a' * 32}"]),
    ],
)  # fmt: skip
def test_patterns_of_values_are_read(pattern: str, keys: list[str]) -> None:
    assert [i.key for i in PatternReader().values(pattern)] == keys


@pytest.mark.parametrize(
    "pattern",
    [
        "", "[", "[x]", "[process:name = 'x']", "[ipv4-addr:value != '203.0.113.7']", "[ipv4-addr:value NOT = '203.0.113.7']",
        "[ipv4-addr:value LIKE '203.%']", "[url:value MATCHES '(a+)+$']", "[ipv4-addr:value = 7]",
        "[ipv4-addr:value = 'evil.example']", "[domain-name:value ISSUBSET '203.0.113.0/24']",
        # an address together with a port is not the address alone
        "[ipv4-addr:value = '203.0.113.7' AND network-traffic:dst_port = 4444]",
        "[domain-name:value = 'a.example'] FOLLOWEDBY [domain-name:value = 'b.example']",
        "[domain-name:value = 'a.example'] REPEATS 5 TIMES", "[domain-name:value = 'a.example'] WITHIN 5 SECONDS",
        "[" + "(" * 3000 + "domain-name:value = 'a.example'" + ")" * 3000 + "]",
        "[domain-name:value = 'a.example' " + "OR domain-name:value = 'a.example' " * 2000 + "]",
        "[domain-name:value = 'a\u202e.example']", f"[file:hashes.MD5 = '{'a' * 64}']",
    ],
)  # fmt: skip
def test_patterns_that_one_value_does_not_meet_are_not_usable(pattern: str) -> None:
    with pytest.raises(Unusable):
        PatternReader().values(pattern)


def test_patterns_that_cost_too_much_in_all_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegis_agents.intel.feeds.formats.stix_patterns.MAX_PARSED", 100)
    reader = PatternReader()
    both = "[domain-name:value = 'a.example' OR domain-name:value = 'b.example']"
    assert len(reader.values(both)) == 2
    with pytest.raises(Unusable, match="in all"):
        reader.values(both)
    assert reader.values(IP)  # a single comparison costs next to nothing


def test_a_revoked_indicator_takes_its_value_back_unless_another_vouches_for_it() -> None:
    parsed = bundle(
        indicator(IP, "one", revoked=True), indicator("[domain-name:value = 'a.example']", "two", revoked=True),
        indicator("[domain-name:value = 'a.example']", "three"), malware(revoked=True),
    )  # fmt: skip
    assert [d.id for d in parsed.documents] == ["cti/domain:a.example"]
    assert set(parsed.removed) == {"cti/ip:203.0.113.7", f"cti/{ref('malware', 'Example Stealer')}"}


def test_an_expired_indicator_says_so_itself() -> None:
    (document,) = bundle(indicator(IP, valid_until="2026-01-02T00:00:00Z")).documents
    assert document.valid_until is not None
    assert document.valid_until < NOW


def test_a_publishers_clock_may_be_ahead_of_ours() -> None:
    soon = (NOW + dt.timedelta(minutes=1)).isoformat()
    (document,) = bundle(indicator(IP, valid_from=soon)).documents
    assert document.observed_at == NOW


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"valid_until": "soon"}, "valid_until"), ({"valid_until": 5}, "valid_until"), ({"valid_until": {}}, "valid_until"),
        ({"valid_until": "2025-01-01T00:00:00Z"}, "valid_until"), ({"valid_from": "2030-01-01T00:00:00Z"}, "2030-01-01"),
        ({"valid_from": "99999-01-01T00:00:00Z"}, "valid_from"), ({"valid_from": "0001-01-01T00:00:00Z"}, "valid_from"),
        ({"valid_from": "9999-12-31T23:59:59-14:00"}, "valid_from"), ({"valid_from": 10**400}, "valid_from"),
        ({"pattern_type": "yara"}, "yara"), ({"pattern_type": []}, "unknown type"), ({"pattern": None}, "no STIX pattern"),
        ({"id": "indicator--1"}, "id"), ({"id": ref("malware")}, "id"), ({"id": None}, "id"),
    ],
)  # fmt: skip
def test_an_indicator_that_is_not_usable_is_listed(fields: dict[str, Any], why: str) -> None:
    parsed = bundle(indicator(IP) | fields, indicator("[domain-name:value = 'a.example']", "good"))
    assert [d.id for d in parsed.documents] == ["cti/domain:a.example"]
    assert len(parsed.skipped) == 1
    assert why in parsed.skipped[0].why


def test_the_newest_version_of_an_object_counts_wherever_it_stands() -> None:
    new = malware(description="new", modified="2026-03-01T00:00:00.000Z")
    old = malware(description="old")
    for order in ([old, new], [new, old], [new, old, new]):
        (document,) = bundle(*order).documents
        assert "new" in document.text
    assert "same id and time" in bundle(old, malware(description="other")).skipped[0].why


def test_what_tells_of_something_becomes_a_report() -> None:
    note = {
        "type": "note",
        "id": ref("note"),
        "content": "Seen in a campaign",
        "object_refs": [ref("malware")],
        **TIMES,
    }
    opinion = {
        "type": "opinion", "id": ref("opinion"), "opinion": "disagree", "explanation": "A sinkhole", **TIMES,
        "object_refs": [ref("indicator")],
    }  # fmt: skip
    flaw = {"type": "vulnerability", "id": ref("vulnerability"), "name": "CVE-2030-12345", **TIMES}
    uses = {
        "type": "relationship", "id": ref("relationship"), "relationship_type": "exploits",
        "source_ref": ref("malware", "Example Stealer"), "target_ref": flaw["id"], **TIMES,
    }  # fmt: skip
    parsed = bundle(malware(aliases=["ExSteal"], description="Steals."), note, opinion, flaw, uses)
    assert not parsed.skipped
    found = {d.id: d for d in parsed.documents}
    assert {d.corpus for d in parsed.documents} == {"report"}
    stealer = found[f"cti/{ref('malware', 'Example Stealer')}"]
    assert "Also known as: ExSteal. Steals." in stealer.text
    assert "exploits CVE-2030-12345" in stealer.text
    assert "Seen in a campaign" in found[f"cti/{note['id']}"].text
    assert "A sinkhole" in found[f"cti/{opinion['id']}"].text
    assert "CVE-2030-12345" in found[f"cti/{flaw['id']}"].aliases


def test_stix_2_0_is_read_too() -> None:
    old = {
        "type": "tool", "id": ref("tool"), "name": "Example Scanner", "labels": ["network-capture"],
        "created": TIMES["created"], "modified": TIMES["modified"],
    }  # fmt: skip
    before = {k: v for k, v in indicator(IP).items() if k not in ("spec_version", "pattern_type")}
    assert [d.corpus for d in bundle(old, before | {"labels": ["malicious-activity"]}).documents] == [
        "report",
        "indicator",
    ]


@pytest.mark.parametrize(
    ("markings", "tlp"),
    [
        ([], "green"), ([RED], "red"), ([GREEN], "green"), ([AMBER_STRICT_2], "amber+strict"), ([GREEN, RED], "red"),
        ([ref("marking-definition", "white")], "green"), ([ref("marking-definition", "amber")], "amber"),
        ([ref("marking-definition", "extension")], "red"), ([ref("marking-definition", "strange")], "red"),
        ([ref("marking-definition", "statement")], "green"), ([ref("marking-definition", "absent")], "red"),
        ([7], "red"), (RED, "red"),
    ],
)  # fmt: skip
def test_markings_only_restrict_further(markings: object, tlp: str) -> None:
    def marking(name: str, **more: Any) -> dict[str, Any]:
        return {"type": "marking-definition", "id": ref("marking-definition", name), "created": TIMES["created"]} | more

    definitions = [
        marking("white", definition_type="tlp", definition={"tlp": "white"}),
        marking("amber", definition_type="tlp", definition={"tlp": "amber"}),
        marking("extension", extensions={"extension-definition--1": {"tlp_2_0": "red"}}),
        marking("strange", definition_type="tlp", definition=["?"]),
        marking("statement", definition_type="statement", definition={"statement": "tlp:clear for all"},
                object_marking_refs=[ref("marking-definition", "statement")]),
    ]  # fmt: skip
    (document,) = bundle(indicator(IP, object_marking_refs=markings), *definitions).documents
    assert document.tlp == tlp


def test_a_well_known_marking_can_not_be_redefined_as_less() -> None:
    lie = {"type": "marking-definition", "id": RED, "definition_type": "tlp", "definition": {"tlp": "white"}}
    (document,) = bundle(indicator(IP, object_marking_refs=[RED]), lie).documents
    assert document.tlp == "red"


def test_a_marking_of_a_part_counts_for_the_whole() -> None:
    part = [{"marking_ref": RED, "selectors": ["description"]}]
    assert [d.tlp for d in bundle(malware(description="x", granular_markings=part), tlp="clear").documents] == ["red"]


@pytest.mark.parametrize("secret", ["target", "relationship"])
def test_a_relation_is_told_only_to_whom_both_its_ends_are(secret: str) -> None:
    target = malware(**({"object_marking_refs": [RED]} if secret == "target" else {}))
    indicates = {
        "type": "relationship", "id": ref("relationship"), "relationship_type": "indicates", "source_ref": ref("indicator"),
        "target_ref": target["id"], **TIMES,
    } | ({"object_marking_refs": [RED]} if secret == "relationship" else {})  # fmt: skip
    plain, marked = (
        next(d for d in bundle(indicator(IP, object_marking_refs=refs), target, indicates).documents if d.corpus == "indicator")
        for refs in ([], [RED])
    )  # fmt: skip
    assert "Example Stealer" not in plain.text
    assert "It indicates Example Stealer." in marked.text


def test_anything_but_a_plain_no_takes_an_indicator_back() -> None:
    for said in (True, "true", 1, "no", []):
        parsed = bundle(indicator(IP, revoked=said), malware())
        assert parsed.removed == ("cti/ip:203.0.113.7",)
    assert len(bundle(indicator(IP, revoked=False)).documents) == 1


def test_an_envelope_is_not_complete_and_may_refer_to_what_came_before() -> None:
    parsed = envelope(indicator(IP, object_marking_refs=[ref("marking-definition", "earlier")]))
    assert not parsed.complete
    assert [d.tlp for d in parsed.documents] == ["green"]
    assert envelope().documents == []
    assert read([Blob("page", b"{}")], feed("taxii"), fetched_at=NOW).documents == []
    assert bundle(indicator(IP)).complete


def test_references_that_run_in_circles_or_nowhere_do_no_harm() -> None:
    one = {"type": "report", "id": ref("report", "1"), "name": "One", "published": TIMES["created"],
           "object_refs": [ref("report", "2")], "description": "a", **TIMES}  # fmt: skip
    two = one | {"id": ref("report", "2"), "name": "Two", "object_refs": [ref("report", "1"), ref("malware", "absent")]}
    loop = [
        {"type": "relationship", "id": ref("relationship", f"{a}{b}"), "relationship_type": "related-to",
         "source_ref": ref("report", a), "target_ref": ref("report", b), **TIMES}
        for a, b in (("1", "2"), ("2", "1"), ("1", "1"), ("1", "absent"))
    ]  # fmt: skip
    parsed = bundle(one, two, *loop)
    assert [d.title for d in parsed.documents] == ["One", "Two"]
    assert not parsed.skipped


def test_objects_that_are_none_are_listed() -> None:
    deep: Any = {}
    for _ in range(500):
        deep = {"a": deep}
    parsed = bundle(malware(), 5, None, [], "x", {}, malware("Deep", x=deep), malware("No family", is_family="perhaps"))
    assert [d.title for d in parsed.documents] == ["Example Stealer"]
    assert len(parsed.skipped) == 7


def test_what_is_left_out_is_counted_even_where_it_is_not_listed() -> None:
    parsed = bundle(malware(), *range(2500))
    assert len(parsed.skipped) == 1001
    assert parsed.skipped[-1].why == "1500 further entries were left out"


@pytest.mark.parametrize(
    "content",
    [b"", b"5", b"{}", b'{"objects": {}}', b'{"type": "bundle", "objects": 5}', b'{"a":' * 90_000, b"NaN", b'"x"'],
)
def test_what_is_no_bundle_is_refused(content: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read([Blob("b.json", content)], feed(), fetched_at=NOW)
    assert caught.value.fix
    assert caught.value.field


def test_a_bundle_of_which_nothing_is_usable_does_not_empty_the_store() -> None:
    with pytest.raises(InputError, match="nothing usable"):
        bundle(indicator("[process:name = 'x']"))


def test_text_decides_nothing_about_itself() -> None:
    lie = {"trust": 1.0, "tlp": "clear", "tenant": "acme", "owner": "vendor", "corpus": "technique", "feed": "shipped",
           "licence": "none", "signer": "me"}  # fmt: skip
    parsed = bundle(indicator(IP, **lie), malware(**lie), tenant="north", tlp="red")
    for d in parsed.documents:
        assert (d.trust, d.tlp, d.tenant, d.owner, d.feed, d.signer) == (0.3, "red", "north", "cti", "cti", "")
        assert d.corpus in ("indicator", "report")
        assert d.technique is None
