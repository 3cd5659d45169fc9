from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from aegis_agents.errors import InputError, LimitExceeded
from aegis_agents.intel import base_technique, kev
from aegis_agents.intel.actions import action_documents
from aegis_agents.intel.attack import attack_documents
from aegis_agents.intel.crosswalk import NEWER_TO_V18
from aegis_agents.intel.documents import Document, plain
from aegis_agents.records import CATALOGUE

ENTRY = {
    "cveID": "CVE-2030-12345", "vendorProject": "Example", "product": "Example Mailer", "dateAdded": "2030-01-02",
    "knownRansomwareCampaignUse": "Known", "vulnerabilityName": "Example Mailer Overflow",
    "shortDescription": "A made-up flaw.", "requiredAction": "Update.",
}  # fmt: skip


def catalogue(tmp_path: Path, *entries: object) -> Path:
    path = tmp_path / "kev.json"
    path.write_text(json.dumps({"catalogVersion": "2030.01.02", "vulnerabilities": list(entries)}))
    return path


def test_attack_has_every_live_object_of_v18_1_and_no_other() -> None:
    documents = attack_documents()
    counts = {c: sum(d.corpus == c for d in documents) for c in ("technique", "mitigation", "group", "software")}
    assert counts == {"technique": 691, "mitigation": 44, "group": 172, "software": 784}
    assert all("Terms of Use" in d.licence and "MITRE" in d.licence for d in documents)


def test_a_technique_has_name_tactics_description_and_the_ids_it_replaced() -> None:
    powershell = next(d for d in attack_documents() if d.id == "T1059.001")
    assert powershell.title == "Command and Scripting Interpreter: PowerShell"
    assert "Tactics: Execution." in powershell.text
    assert "Adversaries may abuse PowerShell" in powershell.text
    assert powershell.aliases == ("T1086",)
    assert powershell.technique == "T1059.001"


def test_a_chain_of_revocations_ends_at_the_live_technique() -> None:
    # T1150 was replaced by T1547.011, and that by T1647
    assert {"T1150", "T1547.011"} <= set(next(d for d in attack_documents() if d.id == "T1647").aliases)


def test_no_alias_is_itself_a_live_technique() -> None:
    techniques = [d for d in attack_documents() if d.corpus == "technique"]
    assert not {d.id for d in techniques} & {a for d in techniques for a in d.aliases}


def test_every_action_of_the_catalogue_is_a_document_with_its_standard_ids() -> None:
    documents = {d.id: d for d in action_documents()}
    assert set(documents) == set(CATALOGUE)
    assert documents["isolate_host"].aliases == ("RA3102", "D3-NI")
    assert "Can't be undone" in documents["kill_process"].text


def test_crosswalk_targets_are_live_and_its_sources_are_not() -> None:
    live = {d.id for d in attack_documents() if d.corpus == "technique"}
    assert set(NEWER_TO_V18.values()) <= live
    assert not set(NEWER_TO_V18) & live


@pytest.mark.parametrize(
    ("technique", "base"),
    [("T1059.001", "T1059"), ("t1059", "T1059"), ("T1685", "T1562"), ("T1685.001", "T1562"), ("T1685.005", "T1070"),
     ("T1684.001", "T1656"), ("T9999.001", "T9999")],
)  # fmt: skip
def test_base_technique(technique: str, base: str) -> None:
    assert base_technique(technique) == base


def test_shipped_kev_is_facts_only_and_of_the_named_version() -> None:
    facts = json.loads(gzip.decompress(kev.SHIPPED_KEV.read_bytes()))
    assert facts["catalogVersion"] == kev.SHIPPED_VERSION
    assert len(facts["vulnerabilities"]) == 1404
    allowed = {"cveID", "vendorProject", "product", "dateAdded", "knownRansomwareCampaignUse"}
    assert all(set(v) == allowed for v in facts["vulnerabilities"])


def test_a_users_kev_file_brings_its_descriptions(tmp_path: Path) -> None:
    read = kev.kev_documents(catalogue(tmp_path, ENTRY))
    assert read.version == "2030.01.02"
    (document,) = read.documents
    assert document.id == "CVE-2030-12345"
    assert document.title == "CVE-2030-12345: Example Mailer"
    assert "since 2030-01-02" in document.text
    assert "ransomware campaigns: known." in document.text
    assert "A made-up flaw." in document.text
    assert document.licence == "CC0-1.0"


def test_facts_are_reduced_the_same_each_time_and_can_be_read_again(tmp_path: Path) -> None:
    source, one, two = catalogue(tmp_path, ENTRY), tmp_path / "one.gz", tmp_path / "two.gz"
    kev.write_facts(source, one)
    kev.write_facts(source, two)
    assert one.read_bytes() == two.read_bytes()
    assert b"made-up" not in gzip.decompress(one.read_bytes())
    assert kev.kev_documents(one).documents[0].id == "CVE-2030-12345"


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ("text", "vulnerabilities[0]"),
        (ENTRY | {"cveID": "CVE-1"}, "vulnerabilities[0].cveID"),
        (ENTRY | {"cveID": None}, "vulnerabilities[0].cveID"),
        (ENTRY | {"product": " "}, "vulnerabilities[0].product"),
        (ENTRY | {"dateAdded": "yesterday"}, "vulnerabilities[0].dateAdded"),
        (ENTRY | {"shortDescription": 7}, "vulnerabilities[0].shortDescription"),
    ],
)
def test_a_bad_kev_entry_is_named(tmp_path: Path, entry: object, field: str) -> None:
    with pytest.raises(InputError) as caught:
        kev.kev_documents(catalogue(tmp_path, entry))
    assert caught.value.field == field
    assert caught.value.fix


def test_a_cve_that_is_listed_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="listed twice") as caught:
        kev.kev_documents(catalogue(tmp_path, ENTRY, ENTRY))
    assert caught.value.field == "vulnerabilities[1].cveID"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"catalogVersion": "1"}', b"[" * 200_000, b"\x1f\x8bnot gzip", b"\xff\xfe\x00"]
)
def test_a_file_that_is_no_catalogue_is_an_input_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kev.json"
    path.write_bytes(content)
    with pytest.raises(InputError):
        kev.kev_documents(path)
    with pytest.raises(InputError):
        kev.kev_documents(tmp_path / "absent.json")


def test_a_gzip_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "kev.json.gz"
    path.write_bytes(gzip.compress(b" " * (kev.MAX_BYTES + 2), compresslevel=9))
    assert path.stat().st_size < 200_000
    with pytest.raises(LimitExceeded):
        kev.kev_documents(path)


def test_text_that_reads_otherwise_than_it_looks_is_made_plain() -> None:
    assert plain("a\u202eb\u200bc\x1b[31m\n\td") == "a b c [31m d"
    document = Document(corpus="kev", id="x", title="a\x00b", text="c\u2066d", licence="")
    assert (document.title, document.text) == ("a b", "c d")
