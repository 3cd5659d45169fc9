from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import pytest

from aegis_agents.errors import InputError
from aegis_agents.intel.documents import Document
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.formats import read
from aegis_agents.intel.feeds.parsed import Blob, Parsed

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
ONE, TWO = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


def attribute(kind: str, value: object, **more: Any) -> dict[str, Any]:
    return {"type": kind, "value": value, "to_ids": True, "timestamp": "1790000000"} | more


def event(*attributes: object, key: object = ONE, **more: Any) -> dict[str, Any]:
    return {"Event": {"uuid": key, "info": "Phishing wave", "date": "2026-09-01", "Attribute": attributes} | more}


def feed(**more: Any) -> Feed:
    return Feed.model_validate({"name": "circl", "kind": "misp", "path": "x", "tlp": "green"} | more)


def reading(*files: object, **more: Any) -> Parsed:
    blobs = [Blob(f"{n}.json", json.dumps(f).encode()) for n, f in enumerate(files)]
    return read(blobs, feed(**more), fetched_at=NOW)


def keys(parsed: Parsed) -> list[str]:
    return [d.aliases[0] for d in parsed.documents if d.corpus == "indicator"]


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("ip-dst", "203.0.113.7", ["ip:203.0.113.7"]), ("ip-src", "203.0.113.0/24", ["net:203.0.113.0/24"]),
        ("ip-dst|port", "203.0.113.7|443", ["ip:203.0.113.7"]), ("hostname|port", "a.example|443", ["domain:a.example"]),
        ("domain", "evil[.]example", ["domain:evil.example"]), ("hostname", "Www.Evil.Example", ["domain:www.evil.example"]),
        ("domain|ip", "a.example|203.0.113.7", ["domain:a.example", "ip:203.0.113.7"]),
        ("url", "hxxp://a.example/x|y", ["url:http://a.example/x|y"]), ("email-src", "a@evil.example", ["email:a@evil.example"]),
        ("md5", "A" * 32, [f"md5:{'a' * 32}"]), ("sha1", "a" * 40, [f"sha1:{'a' * 40}"]),
        ("filename|sha256", f"a|b.exe|{'a' * 64}", [f"sha256:{'a' * 64}"]),
        ("malware-sample", f"a.exe|{'a' * 32}", [f"md5:{'a' * 32}"]),
    ],
)  # fmt: skip
def test_attributes_become_indicators(kind: str, value: str, found: list[str]) -> None:
    assert keys(reading(event(attribute(kind, value)))) == found


def test_an_indicator_says_when_it_was_seen_and_in_what_event() -> None:
    seen = attribute("ip-dst", "203.0.113.7", first_seen="2026-08-01T00:00:00+00:00", last_seen="2026-08-20T00:00:00+02:00",
                     comment="C2", Tag=[{"name": 'misp-galaxy:mitre-attack-pattern="PowerShell - T1059.001"'}])  # fmt: skip
    document, report = reading(event(seen)).documents
    assert document.id == "circl/ip:203.0.113.7"
    assert document.observed_at == dt.datetime(2026, 8, 19, 22, tzinfo=dt.UTC)
    for words in ("Phishing wave", "C2", "First seen 2026-08-01", "T1059.001"):
        assert words in document.text
    assert ONE in document.aliases
    assert (report.corpus, report.id, report.title) == ("report", f"circl/{ONE}", "Phishing wave")
    assert "C2" in report.text
    assert Document.model_validate(document.model_dump()) == document


def test_without_last_seen_the_attributes_time_counts_then_the_events() -> None:
    dated = reading(
        event(attribute("ip-dst", "203.0.113.7"), attribute("ip-dst", "203.0.113.8", timestamp=None))
    ).documents
    assert dated[0].observed_at == dt.datetime.fromtimestamp(1790000000, dt.UTC)
    assert dated[1].observed_at == dt.datetime(2026, 9, 1, tzinfo=dt.UTC)


def test_a_time_to_come_counts_as_now() -> None:
    (document, _) = reading(event(attribute("ip-dst", "203.0.113.7", last_seen="2090-01-01T00:00:00Z"))).documents
    assert document.observed_at == NOW


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (attribute("ip-dst", "203.0.113.8", to_ids=False), "to_ids"), (attribute("ip-dst", "203.0.113.8", deleted=True), "deleted"),
        (attribute("comment", "203.0.113.8"), "not looked up"), (attribute("invented", "x"), "not looked up"),
        (attribute("ip-dst", "evil.example"), "no ip"), (attribute("md5", "a" * 64), "no md5"), (attribute("ip-dst", 7), "no ip"),
        (attribute("ip-dst", None), "no MISP attribute"), (attribute("ip-dst", "203.0.113.8", to_ids="perhaps"), "neither"),
        (attribute("ip-dst", "203.0.113.8", category="Invented"), "MISP attribute"), (attribute([], "203.0.113.8"), "not looked up"),
        (attribute("ip-dst", "203.0.113.8", decay_score=[{"score": 0, "decayed": True}]), "decayed"), ("text", "not an object"),
    ],
)  # fmt: skip
def test_an_attribute_that_is_no_indicator_is_listed(bad: object, why: str) -> None:
    parsed = reading(event(attribute("ip-dst", "203.0.113.7"), bad))
    assert keys(parsed) == ["ip:203.0.113.7"]
    assert len(parsed.skipped) == 1
    assert why in parsed.skipped[0].why


def test_a_samples_archive_is_never_opened() -> None:
    sample = attribute("malware-sample", f"a.exe|{'a' * 32}", data="UEsDBAoAAAAAAA==", malware_filename="../../x")
    assert keys(reading(event(sample))) == [f"md5:{'a' * 32}"]


def test_the_attributes_of_objects_are_read_too() -> None:
    objects = [
        {"name": "file", "Attribute": [attribute("sha256", "a" * 64)]},
        {"name": "file", "deleted": True, "Attribute": [attribute("sha256", "b" * 64)]},
        "text", {"Attribute": "text"},
    ]  # fmt: skip
    assert keys(reading(event(Object=objects))) == [f"sha256:{'a' * 64}"]


@pytest.mark.parametrize(
    ("event_tag", "attribute_tag", "event_tlp", "attribute_tlp"),
    [
        ("tlp:white", "tlp:clear", "green", "green"), ("tlp:amber", None, "amber", "amber"), (None, "TLP:RED", "green", "red"),
        ("tlp:red", "tlp:white", "red", "red"), ("tlp:amber+strict", None, "amber+strict", "amber+strict"),
        ("tlp:invented", None, "red", "red"), ("tlp:ex:chr", None, "red", "red"), ("TLP-AMBER", None, "amber", "amber"), ("tlp-like", None, "green", "green"),
    ],
)  # fmt: skip
def test_tags_only_restrict_further(
    event_tag: str | None, attribute_tag: str | None, event_tlp: str, attribute_tlp: str
) -> None:
    def tags(name: str | None) -> list[dict[str, str]]:
        return [] if name is None else [{"name": name}]

    one = attribute("ip-dst", "203.0.113.7", Tag=tags(attribute_tag))
    indicator, report = reading(event(one, Tag=tags(event_tag))).documents
    assert (report.tlp, indicator.tlp) == (event_tlp, attribute_tlp)


def test_a_comment_that_is_restricted_further_stays_out_of_the_events_report() -> None:
    secret = attribute("ip-dst", "203.0.113.7", comment="our source is Bob", Tag=[{"name": "tlp:red"}])
    report = reading(event(secret)).documents[-1]
    assert report.tlp == "green"
    assert "Bob" not in report.text


def test_a_feed_of_manifest_and_events_says_which_are_missing() -> None:
    manifest = Blob("feed/manifest.json", json.dumps({ONE: {"timestamp": 1}, TWO: {"timestamp": 2}, "x": 5}).encode())
    blob = Blob(
        f"feed/{ONE}.json", json.dumps(event(attribute("ip-dst", "203.0.113.7"), timestamp="1790000000")).encode()
    )
    parsed = read([manifest, blob], feed(), fetched_at=NOW)
    assert keys(parsed) == ["ip:203.0.113.7"]
    assert [s.where for s in parsed.skipped] == [f"{TWO}.json"]
    assert parsed.version == "of 2026-09-21T14:13:20+00:00"
    assert parsed.complete


def test_events_are_read_in_every_shape_in_which_they_are_exported() -> None:
    one, two = event(attribute("ip-dst", "203.0.113.7")), event(attribute("ip-dst", "203.0.113.8"), key=TWO)
    both = ["ip:203.0.113.7", "ip:203.0.113.8"]
    assert keys(reading({"response": [one, two]})) == both
    assert keys(reading([one, two["Event"]])) == both
    assert keys(reading(one, two)) == both
    assert "twice" in reading(one, one).skipped[0].why


def test_event_reports_are_part_of_the_prose() -> None:
    prose = [
        {"name": "Summary", "content": "They used Mimikatz."},
        {"name": "Old", "content": "secret", "deleted": True},
    ]
    (report,) = reading(event(EventReport=prose)).documents
    assert "Summary: They used Mimikatz." in report.text
    assert "secret" not in report.text


@pytest.mark.parametrize(
    "content", [b"", b"5", b"{}", b'{"Event": 5}', b'{"Event": {"x": 1}}', b"[" * 90_000, b"\xff\xfe\x00"]
)
def test_what_is_no_event_is_refused(content: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read([Blob("e.json", content)], feed(), fetched_at=NOW)
    assert caught.value.fix


def test_text_decides_nothing_about_itself() -> None:
    lie = {"trust": 1, "tlp": "clear", "tenant": "acme", "owner": "misp", "corpus": "kev", "feed": "shipped"}
    parsed = reading(event(attribute("ip-dst", "203.0.113.7", **lie), **lie), tenant="north", tlp="red")
    assert {(d.trust, d.tlp, d.tenant, d.owner, d.feed) for d in parsed.documents} == {
        (0.3, "red", "north", "circl", "circl")
    }
    assert [d.corpus for d in parsed.documents] == ["indicator", "report"]
