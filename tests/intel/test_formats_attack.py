from __future__ import annotations

import datetime as dt
import json
import os
import uuid
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import InputError
from aegis_agents.intel import attack
from aegis_agents.intel.crosswalk import NEWER_TO_V18, V18_TO_NEWER, Described, paired, resolve
from aegis_agents.intel.documents import ATTACK_LICENCE
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.formats import read
from aegis_agents.intel.feeds.parsed import Blob, Parsed

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
FEED = Feed(name="mitre", kind="attack", path=Path("x"), trust="high", tlp="clear")
DATA = os.environ.get("AEGIS_DEV_DATA")


def stix_id(kind: str, name: str) -> str:
    return f"{kind}--{uuid.uuid5(uuid.NAMESPACE_DNS, name)}"


def thing(technique: str, name: str, kind: str = "attack-pattern", **more: Any) -> dict[str, Any]:
    return {
        "type": kind, "id": stix_id(kind, technique + name), "name": name, "description": f"About {name}.",
        "external_references": [{"source_name": "mitre-attack", "external_id": technique}],
        "kill_chain_phases": [{"kill_chain_name": "mitre-attack", "phase_name": "execution"}],
        "modified": "2026-05-12T15:12:00.707Z",
    } | more  # fmt: skip


def revoked_by(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {"type": "relationship", "relationship_type": "revoked-by", "source_ref": old["id"], "target_ref": new["id"]}


def bundle(*objects: object) -> Parsed:
    raw = json.dumps({"type": "bundle", "id": "bundle--1", "objects": objects}).encode()
    return read([Blob("enterprise-attack.json", raw)], FEED, fetched_at=NOW)


def test_a_bundle_brings_the_four_kinds_and_its_release() -> None:
    parsed = bundle(
        {"type": "x-mitre-collection", "id": stix_id("x-mitre-collection", "c"), "x_mitre_version": "19.1"},
        {"type": "x-mitre-tactic", "x_mitre_shortname": "execution", "name": "Getting Code to Run"},
        thing("T9001", "Parent"), thing("T9001.001", "Child"), thing("M9001", "Guard", "course-of-action"),
        thing("G9001", "Example Bear", "intrusion-set", aliases=["Example Bear", "APT900"]),
        thing("S9001", "Example RAT", "malware", x_mitre_aliases=["Example RAT", "ExRAT"]),
    )  # fmt: skip
    assert parsed.version == "19.1"
    assert parsed.complete
    found = {d.id: d for d in parsed.documents}
    assert {d.id: d.corpus for d in parsed.documents} == {
        "T9001": "technique", "T9001.001": "technique", "M9001": "mitigation", "G9001": "group", "S9001": "software",
    }  # fmt: skip
    assert found["T9001.001"].title == "Parent: Child"
    assert found["T9001.001"].text == "Parent: Child. Tactics: Getting Code to Run. About Child."
    assert "Also known as: APT900." in found["G9001"].text
    assert "Also known as: ExRAT." in found["S9001"].text
    assert {(d.feed, d.trust, d.tlp, d.licence) for d in parsed.documents} == {("mitre", 0.9, "clear", ATTACK_LICENCE)}


def test_revoked_and_deprecated_objects_are_left_out_and_chains_become_aliases() -> None:
    one, two, last = thing("T9001", "One", revoked=True), thing("T9002", "Two", revoked=True), thing("T9003", "Three")
    gone = thing("T9004", "Four", x_mitre_deprecated=True)
    parsed = bundle(one, two, last, gone, revoked_by(one, two), revoked_by(two, last))
    (document,) = parsed.documents
    assert document.id == "T9003"
    assert {"T9001", "T9002"} <= set(document.aliases)
    assert "T9004" not in document.aliases


def test_a_circle_of_revocations_ends_and_leads_nowhere() -> None:
    one, two, three = thing("T9001", "One", revoked=True), thing("T9002", "Two", revoked=True), thing("T9003", "Three")
    parsed = bundle(one, two, three, revoked_by(one, two), revoked_by(two, one), revoked_by(three, three))
    assert [(d.id, {"T9001", "T9002"} & set(d.aliases)) for d in parsed.documents] == [("T9003", set())]


def test_citations_are_removed_and_nothing_else() -> None:
    said = "Runs code.(Citation: Vendor (2020) Report) More (see below). (Citation: Other 2021)"
    (document,) = bundle(thing("T9001", "One", description=said)).documents
    assert document.text.endswith("Runs code. More (see below).")
    unclosed = "(Citation: " * 3000
    assert "Citation" in bundle(thing("T9001", "One", description=unclosed)).documents[0].text


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (thing("T1", "Short"), "no id"),
        (thing("T٩٠٠١", "Digits of another script"), "no id"),
        (thing("T9002", "Other matrix", external_references=[{"source_name": "mitre-mobile-attack", "external_id": "T9002"}]), "no id"),
        (thing("T9002", "Said elsewhere", external_references=[{"source_name": "evil", "external_id": "T9002"}]), "no id"),
        (thing("T9002", ""), "lacks a name"),
        (thing("T9002", "No id", id="attack-pattern--1"), "lacks a name or a STIX id"),
        (thing("T9001", "Twin", id=stix_id("attack-pattern", "another")), "twice"),
        ("text", "not an object"),
    ],
)  # fmt: skip
def test_what_is_no_technique_is_listed_and_the_rest_is_read(odd: object, why: str) -> None:
    parsed = bundle(thing("T9001", "One"), odd)
    assert [d.title for d in parsed.documents] == ["One"]
    assert len(parsed.skipped) == 1
    assert why in parsed.skipped[0].why


def test_a_deep_object_is_left_out() -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    parsed = bundle(thing("T9001", "One"), thing("T9002", "Two", x=deep))
    assert [d.id for d in parsed.documents] == ["T9001"]
    assert "too deep" in parsed.skipped[0].why


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"null", b'{"objects": 5}', b"[" * 100_000, b"\xff\xfe\x00", b"{"]
)
def test_what_holds_no_technique_is_refused(content: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read([Blob("a.json", content)], FEED, fetched_at=NOW)
    assert caught.value.fix


def test_text_decides_nothing_about_itself() -> None:
    lie = {"trust": 1.0, "tlp": "clear", "tenant": "acme", "owner": "mitre", "corpus": "action", "feed": "shipped"}
    (document,) = bundle(thing("T9001", "a\u202eb\x00c", **lie)).documents
    assert (document.trust, document.tenant, document.owner, document.corpus, document.feed) == (
        0.9, "", "mitre", "technique", "mitre",
    )  # fmt: skip
    assert document.title == "ab c"


def test_pairs_are_made_by_name_then_by_description_and_only_of_what_moved() -> None:
    long = "Adversaries may do a certain thing with a certain tool in order to reach a certain end. " * 3
    old = {
        "T1": Described("Parent: Same Name", "a"), "T2": Described("Old Name", long), "T3": Described("Stays", long),
        "T4": Described("Gone", "Nothing like it."), "T5": Described("Empty", ""),
    }  # fmt: skip
    new = {
        "T3": Described("Stays", long), "T8": Described("Other Parent: same name", "b"),
        "T9": Described("New Name", long.replace("may do", "can do")), "T10": Described("Void", ""),
    }  # fmt: skip
    assert paired(old, new) == {"T1": "T8", "T2": "T9"}


def test_a_name_that_two_techniques_bear_pairs_nothing() -> None:
    old = {"T1": Described("Python", "x")}
    assert paired(old, {"T8": Described("A: Python", "y"), "T9": Described("B: Python", "z")}) == {}


def test_ids_resolve_both_ways() -> None:
    before = {"T1562.001": "T1562.001", "T1086": "T1059.001"}
    after = {"T1685": "T1685"}
    assert resolve("t1685", before) == "T1562.001"
    assert resolve("T1562.001 ", after) == "T1685"
    assert resolve("T1086", before) == "T1059.001"
    assert resolve("T9999", after) is None
    assert len(V18_TO_NEWER) == len(NEWER_TO_V18)


@pytest.mark.skipif(DATA is None, reason="needs AEGIS_DEV_DATA")
def test_ids_of_v18_resolve_after_a_newer_release_is_synced() -> None:
    raw = (Path(str(DATA)) / "mitre_attack" / "techniques_from_atomic_index.jsonl").read_bytes()
    parsed = read([Blob("techniques.jsonl", raw)], FEED, fetched_at=NOW)
    assert len(parsed.documents) == 697
    assert not parsed.skipped
    assert parsed.version == "of 2026-05-12"
    assert not any("(Citation:" in d.text for d in parsed.documents)
    names = {n.upper(): d.id for d in parsed.documents for n in (d.id, *d.aliases)}
    assert names["T1562.001"] == "T1685"
    assert names["T1086"] == "T1059.001"  # v18.1 had revoked it; the lines do not say so
    shipped = [d for d in attack.attack_documents() if d.corpus == "technique"]
    lost = sorted(d.id for d in shipped if resolve(d.id, names) is None)
    # Impair Defenses was split up in the newer release; nothing there has these names or descriptions.
    assert lost == ["T1562", "T1562.002", "T1562.006", "T1562.007", "T1562.011", "T1562.013"]
    assert len(shipped) - len(lost) == 685
    aliases = [a for d in parsed.documents for a in d.aliases]
    assert len(aliases) == len(set(aliases))
    assert not set(aliases) & {d.id for d in parsed.documents}


@pytest.mark.skipif(DATA is None, reason="needs AEGIS_DEV_DATA")
def test_the_table_of_newer_ids_is_what_pairing_finds() -> None:
    raw = (Path(str(DATA)) / "mitre_attack" / "techniques_from_atomic_index.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in raw.splitlines()]
    new = {t["id"]: Described(t["name"], t["description"]) for t in lines}
    old = {t["external_id"]: Described(t["name"], t["description"]) for t in attack.live(attack.packaged().techniques)}
    assert paired(old, new) == dict(V18_TO_NEWER)
