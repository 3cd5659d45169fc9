from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import InputError, LimitExceeded
from aegis_agents.intel.documents import KEV_LICENCE, Document
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.formats import read
from aegis_agents.intel.feeds.parsed import Blob, Parsed

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)


def feed(kind: str, **more: Any) -> Feed:
    standard = {"trust": "high", "tlp": "clear"} if kind == "kev" else {}
    return Feed.model_validate({"name": "list", "kind": kind, "path": Path("x")} | standard | more)


def reading(content: str | bytes | object, kind: str = "indicators", name: str = "list.txt", **more: Any) -> Parsed:
    if not isinstance(content, str | bytes):
        content, name = json.dumps(content), "list.json"
    raw = content if isinstance(content, bytes) else content.encode()
    return read([Blob(name, raw)], feed(kind, **more), fetched_at=NOW)


def keys(parsed: Parsed) -> list[str]:
    return [d.aliases[0] for d in parsed.documents]


# --- lists of indicators


def test_plain_lines_with_comments_and_remarks() -> None:
    parsed = reading(
        "# a list\n; another remark\n\n203.0.113.7\n203.0.113.0/24 ; SBL1\nevil.example # seen today\n"
        "hxxp://evil[.]example/a\nevil [.] example2.example\nfoo.example,malware,2026\n198.51.100.9:4444\n"
        f"{'A' * 64}\n\t a@evil.example \r\n'quoted.example'\n"
    )
    assert keys(parsed) == [
        "ip:203.0.113.7", "net:203.0.113.0/24", "domain:evil.example", "url:http://evil.example/a",
        "domain:evil.example2.example", "domain:foo.example", "ip:198.51.100.9", f"sha256:{'a' * 64}",
        "email:a@evil.example", "domain:quoted.example",
    ]  # fmt: skip
    assert not parsed.skipped
    (first, *_) = parsed.documents
    assert (first.corpus, first.id, first.observed_at) == ("indicator", "list/ip:203.0.113.7", None)
    assert Document.model_validate(first.model_dump()) == first


def test_a_hosts_file_lists_the_names_not_the_address() -> None:
    parsed = reading("127.0.0.1 localhost\n::1 localhost\n0.0.0.0 a.example b.example # both\n0.0.0.0 0.0.0.0\n")
    assert keys(parsed) == ["domain:a.example", "domain:b.example"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_finds_its_columns_by_their_names(delimiter: str) -> None:
    header = ["id", "First Seen", "last_seen", "IOC", "Confidence", "tags", "comment"]
    rows = [
        ["1", "2026-01-02", "2026-11-01 10:00:00", "evil.example", "90", '"a, b"', "C2"],
        ["2", "2026-01-02", "2090-01-01", "203.0.113.7", "900", "", ""],
        ["3", "", "", "no indicator", "", "", ""], ["4", "", "", "", "", "", ""], ["5"],
    ]  # fmt: skip
    parsed = reading("\n".join(delimiter.join(r) for r in [header, *rows]))
    assert keys(parsed) == ["domain:evil.example", "ip:203.0.113.7"]
    one, two = parsed.documents
    assert one.observed_at == dt.datetime(2026, 11, 1, 10, tzinfo=dt.UTC)
    for words in ("Confidence 90 of 100.", "First seen 2026-01-02.", "a, b", "C2"):
        assert words in one.text
    assert two.observed_at == NOW  # nothing was seen after it was fetched
    assert "Confidence" not in two.text
    assert [s.where for s in parsed.skipped] == ["list.txt:4", "list.txt:5", "list.txt:6"]


def test_a_header_that_is_commented_out_is_a_header() -> None:
    parsed = reading('# A list\n# "first_seen_utc","ioc_value","malware"\n"2026-01-02","evil.example","Example RAT"\n')
    assert keys(parsed) == ["domain:evil.example"]
    assert "Example RAT" in parsed.documents[0].text


def test_several_columns_of_values_are_several_indicators() -> None:
    assert keys(reading(f"md5,sha256\n{'a' * 32},{'b' * 64}\n")) == [f"md5:{'a' * 32}", f"sha256:{'b' * 64}"]


@pytest.mark.parametrize(
    "content",
    [
        ["evil.example", "203.0.113.7"],
        [{"indicator": "evil.example"}, {"ip": "203.0.113.7", "port": 443}],
        {"data": [{"host": "evil.example"}, {"host": "203.0.113.7"}]},
        {"1": [{"ioc_value": "evil.example"}], "2": [{"ioc_value": "203.0.113.7:443"}]},
        b'{"domain": "evil.example"}\n{"ip": "203.0.113.7"}\n',
        b'"evil.example"\n"203.0.113.7"\n',
    ],
)
def test_json_in_its_usual_shapes(content: object) -> None:
    name = "list.jsonl" if isinstance(content, bytes) else ""
    assert keys(reading(content, name=name)) == ["domain:evil.example", "ip:203.0.113.7"]


def test_entries_that_are_no_indicator_are_listed_up_to_a_bound() -> None:
    parsed = reading("evil.example\n" + "what is this\n" * 1500)
    assert keys(parsed) == ["domain:evil.example"]
    assert len(parsed.skipped) == 1001
    assert parsed.skipped[0] == ("list.txt:2", "'what' is no indicator")
    assert "500 further" in parsed.skipped[-1].why


def test_of_two_entries_the_later_seen_stays() -> None:
    parsed = reading("ip,last_seen\n203.0.113.7,2026-01-01\n203.0.113.7,2026-03-01\n203.0.113.7,2026-02-01\n")
    (document,) = parsed.documents
    assert document.observed_at == dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    assert len(parsed.skipped) == 2


def test_an_expiry_that_can_not_be_read_is_not_for_ever() -> None:
    parsed = reading("ip,valid_until\n203.0.113.7,soon\n203.0.113.8,2027-01-01\n")
    assert keys(parsed) == ["ip:203.0.113.8"]
    assert parsed.documents[0].valid_until == dt.datetime(2027, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize("value", ["evil\u202e.example", "http://evil.example/\u200b", "http://evil.example/\x1b[31m"])
def test_a_value_that_reads_otherwise_than_it_looks_is_no_indicator(value: str) -> None:
    assert keys(reading([value, "a.example"])) == ["domain:a.example"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "l.txt"), (b" \n", "l.txt"), (b"just some prose\nand more of it\n", "l.txt"), (b"\xff\xfe\x00", "l.txt"),
        (b"\xe9vil.example\n", "l.txt"), (b"[" * 90_000, "l.json"), (b'["a.example"', "l.json"), (b"7", "l.json"),
        (b"evil.example\x00\n", "l.txt"), (b"<html><body>Sign in</body></html>", "l.txt"), (b"[[[]]]", "l.json"),
    ],
)  # fmt: skip
def test_what_is_no_list_is_refused(content: bytes, name: str) -> None:
    with pytest.raises(InputError) as caught:
        reading(content, name=name)
    assert caught.value.fix


def test_a_line_of_spaces_does_not_take_for_ever() -> None:
    started = time.process_time()
    lines = [f"a{' ' * 1900}b{n}" for n in range(200)]
    parsed = reading("\n".join(lines) + "\nevil   [.]   example\n")
    assert keys(parsed) == ["domain:evil.example"]
    assert time.process_time() - started < 1


def test_separators_inside_a_json_text_do_not_end_a_line() -> None:
    lines = '{"domain": "a.example", "comment": "x\u2028y"}\n{"domain": "b.example"}\n'
    assert keys(reading(lines, name="l.jsonl")) == ["domain:a.example", "domain:b.example"]


def test_an_empty_list_is_one_that_says_so() -> None:
    assert reading("# nothing today\n").documents == []
    assert reading([]).documents == []


def test_a_list_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegis_agents.intel.feeds.formats.lists.MAX_ENTRIES", 2)
    with pytest.raises(LimitExceeded):
        reading("a.example\nb.example\nc.example\n")


def test_utf16_with_a_mark_is_read() -> None:
    assert keys(reading("evil.example\n".encode("utf-16"))) == ["domain:evil.example"]


def test_columns_can_not_set_what_the_configuration_decides() -> None:
    header = "ip,trust,tlp,tenant,owner,corpus,feed,licence,signer"
    (document,) = reading(
        f"{header}\n203.0.113.7,1.0,clear,acme,mitre,technique,shipped,none,me\n", tlp="red"
    ).documents
    assert (document.trust, document.tlp, document.tenant, document.owner) == (0.3, "red", "", "list")
    assert (document.corpus, document.feed, document.licence, document.signer) == (
        "indicator",
        "list",
        "not stated",
        "",
    )


# --- EPSS

EPSS = "#model_version:v2025.03.14,score_date:2026-11-25T00:00:00+0000\ncve,epss,percentile\n"


def test_the_version_that_epss_states_has_no_hidden_characters() -> None:
    parsed = reading("#model_version:v\u202e1,score_date:x\ncve,epss,percentile\nCVE-2024-3400,0.9,0.9\n", "epss")
    assert parsed.version == "v 1, scores of an unknown day"


def test_epss_scores_are_found_by_cve() -> None:
    parsed = reading(EPSS + "CVE-2030-12345,0.94321,0.99871\nCVE-2030-12346,1,1.0\n", "epss")
    assert parsed.version == "v2025.03.14, scores of 2026-11-25"
    one = parsed.documents[0]
    assert (one.corpus, one.id, one.observed_at) == ("epss", "CVE-2030-12345", dt.datetime(2026, 11, 25, tzinfo=dt.UTC))
    assert "probability of 0.94321" in one.text
    assert "percentile 0.99871" in one.text
    assert Document.model_validate(one.model_dump()) == one


@pytest.mark.parametrize(
    "row",
    ["CVE-1,0.1,0.1", "CVE-2030-12345,1.1,0.1", "CVE-2030-12345,-0.1,0.1", "CVE-2030-12345,nan,0.1", "CVE-2030-12345,0.1",
     "CVE-2030-12345,٠.١,0.1", "CVE-2030-12345,0.1,<b>", "CVE-٢٠٣٠-12345,0.1,0.1", "CVE-2030-99999,0.2,0.2",
     'CVE-2030-12345,"0.1\n0.2",0.1', f"{'x' * 200_000},0.1,0.1"],
)  # fmt: skip
def test_a_bad_epss_row_costs_itself(row: str) -> None:
    parsed = reading(EPSS + f"CVE-2030-99999,0.1,0.1\n{row}\nCVE-2030-99998,0.1,0.1\n", "epss")
    assert [d.id for d in parsed.documents] == ["CVE-2030-99999", "CVE-2030-99998"]
    assert len(parsed.skipped) >= 1


@pytest.mark.parametrize("content", ["", "#x\n", "cve,score\nCVE-2030-12345,1\n", EPSS, "{}", EPSS + "x,y,z\n"])
def test_what_is_no_epss_is_refused(content: str) -> None:
    with pytest.raises(InputError):
        reading(content, "epss")


# --- KEV

ENTRY = {
    "cveID": "CVE-2030-12345", "vendorProject": "Example", "product": "Example Mailer", "dateAdded": "2030-01-02",
    "knownRansomwareCampaignUse": "Known", "vulnerabilityName": "Overflow", "shortDescription": "A flaw.", "requiredAction": "Update.",
}  # fmt: skip


def test_a_kev_catalogue_is_read_and_a_bad_entry_costs_itself() -> None:
    entries = [ENTRY, ENTRY | {"cveID": "x"}, 5, ENTRY | {"cveID": "CVE-2030-12346", "product": "\ud800"}, ENTRY]
    parsed = reading({"catalogVersion": "2030.01.02", "vulnerabilities": entries}, "kev")
    assert parsed.version == "2030.01.02"
    document, odd = parsed.documents
    assert odd.title == "CVE-2030-12346: Example"  # a lone surrogate is no text
    assert (document.corpus, document.id, document.feed, document.trust) == ("kev", "CVE-2030-12345", "list", 0.9)
    assert document.licence == KEV_LICENCE
    assert len(parsed.skipped) == 3


@pytest.mark.parametrize("content", [[], {}, {"catalogVersion": "1", "vulnerabilities": [5]}, "nonsense"])
def test_what_is_no_catalogue_is_refused(content: object) -> None:
    with pytest.raises(InputError):
        reading(content, "kev")


# --- warning lists


def warning_list(kind: object, *entries: object, **more: Any) -> dict[str, Any]:
    return {
        "name": "Top Sites & Co",
        "version": 7,
        "type": kind,
        "list": entries,
        "matching_attributes": ["ip-dst"],
    } | more


@pytest.mark.parametrize(
    ("kind", "entry", "key", "alias"),
    [
        ("hostname", "Google.com", "domain:google.com", "warn:domain:google.com"),
        ("hostname", ".google.com", "domain:google.com", "warn:domain:google.com"),
        ("string", "google.com", "domain:google.com", "warn:exact:domain:google.com"),
        ("cidr", "8.8.8.0/24", "net:8.8.8.0/24", "warn:net:8.8.8.0/24"),
        ("cidr", "2001:4860::/32", "net:2001:4860::/32", "warn:net:2001:4860::/32"),
        ("string", "8.8.8.8", "net:8.8.8.8/32", "warn:net:8.8.8.8/32"),
        ("hostname", "8.8.8.8", "net:8.8.8.8/32", "warn:net:8.8.8.8/32"),
        ("string", "A" * 32, f"md5:{'a' * 32}", f"warn:exact:md5:{'a' * 32}"),
    ],
)
def test_an_entry_of_a_warning_list_is_found_by_what_it_covers(kind: str, entry: str, key: str, alias: str) -> None:
    (document,) = reading(warning_list(kind, entry), "warninglist").documents
    assert (document.corpus, document.id) == ("warning", f"list/top-sites-co/{key}")
    assert (document.title, document.aliases) == ("Top Sites & Co", (alias,))
    assert Document.model_validate(document.model_dump()) == document


@pytest.mark.parametrize(
    ("kind", "entry"),
    [("cidr", "0.0.0.0/0"), ("cidr", "::/0"), ("cidr", "google.com"), ("hostname", "com"), ("hostname", "http://a.example/"),
     ("string", "(a+)+$"), ("string", 7), ("string", None), ("hostname", "a\u202eb.example"), ("cidr", "1.1.1.1/99")],
)  # fmt: skip
def test_an_entry_that_covers_nothing_or_everything_is_left_out(kind: str, entry: object) -> None:
    parsed = reading(warning_list(kind, entry, "9.9.9.9" if kind == "cidr" else "fine.example"), "warninglist")
    assert len(parsed.documents) == 1
    assert len(parsed.skipped) == 1


def test_lists_of_expressions_and_of_parts_are_left_out_with_the_reason() -> None:
    blobs = [
        Blob(f"{n}.json", json.dumps(value).encode())
        for n, value in enumerate([
            warning_list("string", "a.example"), warning_list("regex", "(a+)+$"), warning_list("substring", "x"),
            warning_list([], "x"), {"name": "x"}, [], warning_list("string", name=5),
        ])
    ]  # fmt: skip
    parsed = read(blobs, feed("warninglist"), fetched_at=NOW)
    assert len(parsed.documents) == 1
    assert parsed.version == "7"
    assert [s.where for s in parsed.skipped] == ["1.json", "2.json", "3.json", "4.json", "5.json", "6.json"]
    assert "take for ever" in parsed.skipped[0].why
