"""Relations between facts: right where they hold, silent where they say nothing."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

from aegis_agents.sources import parse
from aegis_agents.sources.relation_domains import imitation

AT = "2026-04-14T08:30:00Z"


def derived(alert: dict[str, Any], name: str | None = None) -> list[str]:
    facts = [fact for fact in parse({"time": AT, **alert}).facts if fact.derived]
    assert [fact.id for fact in facts] == [f"d{n}" for n in range(1, len(facts) + 1)]
    return [fact.value for fact in facts if name is None or fact.path == f"derived.{name}"]


@pytest.mark.parametrize(
    ("source", "named", "inside"),
    [
        ("192.0.2.60", "192.0.2.56/29", True),
        ("198.51.100.61", "192.0.2.56/29", False),
        ("192.0.2.127", "192.0.2.128/26", False),
        ("192.0.2.128", "192.0.2.128/26", True),
        ("203.0.113.10", "pool 203.0.113.5 - 203.0.113.10 only", True),
        ("203.0.113.11", "pool 203.0.113.5-203.0.113.10 only", False),
        ("2001:db8::5", "2001:db8::/64", True),
        ("2001:db8:1::5", "2001:db8::/64", False),
    ],
)
def test_address_and_range(source: str, named: str, inside: bool) -> None:
    texts = derived({"senderIP": source, "labels": {"vendor_range": named}}, "address_in_range")
    assert len(texts) == 1
    assert texts[0].startswith(f"address {'inside' if inside else 'outside'} named range: senderip {source}")
    assert "labels.vendor_range" in texts[0]


def test_ranges_that_say_nothing_are_silent() -> None:
    assert derived({"src_ip": "203.0.113.9", "labels": {"all": "0.0.0.0/0"}}) == []
    assert derived({"dest_ip": "10.0.0.9", "labels": {"vendor": "192.0.2.0/24"}}) == []  # its own address
    assert derived({"src_ip": "203.0.113.9", "labels": {"odd": "999.0.0.0/8 1.2.3.4/77"}}) == []


def test_range_in_a_key_and_lists_of_addresses() -> None:
    marks = {"marks": {"subnet_10.150.9.0_24": "probers"}}
    assert "10.150.9.4 in 10.150.9.0/24" in derived({"src_ip": "10.150.9.4", **marks})[0]
    listed = {"context": {"scanner_sources": "10.3.250.10, 10.3.250.12"}}
    assert derived({"source_ip": "10.3.41.19", **listed})[0].startswith("address is not one of those named")
    assert derived({"source_ip": "10.3.250.12", **listed})[0].startswith("address is one of those named")


@pytest.mark.parametrize(
    ("window", "relation"),
    [
        ("2026-04-14T08:00Z/2026-04-14T09:00Z", "inside named window"),
        ("2026-04-13..2026-04-17", "inside named window"),
        ("2026-04-14..04-14", "inside named window"),
        ("from 2026-04-14 08:00 to 2026-04-14 08:29", "after named window, within an hour after it closed"),
        ("2026-04-14T09:00Z - 2026-04-14T10:00Z", "before named window, within an hour before it opens"),
        ("2026-03-01 until 2026-03-03", "after named window, months after it closed"),
        ("2026-04-14T10:00+02:00/2026-04-14T11:00+02:00", "inside named window"),
        ("07:50-08:35", "inside named hours"),
        ("17:00-07:00Z", "outside named hours"),
        ("22:00-08:45", "inside named hours"),
        ("2026-04-13 19:00-09:00", "inside named window"),
        ("2026-04-13 19:00-07:00", "after named window, within a day after it closed"),
    ],
)
def test_event_and_window(window: str, relation: str) -> None:
    texts = derived({"change": {"window": window}}, "event_in_window")
    assert len(texts) == 1
    assert texts[0].startswith(f"event time {relation} (")


def test_hours_without_a_zone_one_knows_are_left_alone() -> None:
    assert derived({"labels": {"pattern": "07:50-08:05 local every workday"}}) == []


@pytest.mark.parametrize(
    ("field", "relation"),
    [
        ({"domain_first_seen": "2026-04-12"}, "domain first seen 1-3 days before the event"),
        ({"user_endDate": "2026-03-31"}, "user end date weeks before the event, already over"),
        ({"cert": {"notAfter": "2027-04-14"}}, "not after months after the event, not yet over"),
        ({"note": "account created 2024-01-02 by hand"}, "account created years before the event"),
        ({"whois": "registered 2026-04-14T08:10Z"}, "registered within an hour before the event"),
        ({"access": "expires 2026-04-14T20:00Z"}, "expires within a day after the event, not yet over"),
        ({"key": "registered 2024-05"}, "registered years before the event"),
        ({"created": "2026-04-14"}, "created on the same day as the event"),
    ],
)
def test_date_and_event(field: dict[str, Any], relation: str) -> None:
    texts = derived(field, "date_to_event")
    assert len(texts) == 1
    assert texts[0].startswith(relation + " (")


def test_dates_that_are_only_clocks_or_ids_are_silent() -> None:
    assert derived({"createdAt": "2026-04-14T08:30:05Z", "updatedAt": "2026-04-14T08:31:00Z"}) == []
    assert derived({"dpia": "DPIA-2025-044", "build": "image 2026-01-01.4", "odd": "9999-99-99"}) == []
    assert [f for f in parse({"first_seen_x": "2026-04-12", "a": "b"}).facts if f.derived] == []  # no event time known


def test_people_and_hosts_in_records() -> None:
    named = {"user": "CORP\\p.szabo", "work_order": {"assignee": "p.szabo"}}
    assert derived(named, "user_in_record")[0].startswith("acting user named in organization's record")
    other = {"user": "p.szabo", "work_order": {"assignee": "r.oyama"}}
    assert derived(other, "user_in_record")[0].startswith("record names another user than the acting one: not p.szabo")
    partly = {"user": "p.szabo", "work_order": {"note": "xp.szabox"}}
    assert derived(partly, "user_in_record") == []
    host = {"hostname": "SRV-1", "change": "CHG1: patch srv-1 tonight"}
    assert derived(host, "host_in_record")[0].startswith("host of the alert named in organization's record: SRV-1")
    wrong = {"hostname": "SRV-1", "change": "CHG1: approved, asset crm-web"}
    assert derived(wrong, "host_in_record")[0].startswith("record names another asset: crm-web, not SRV-1")
    pattern = {"hostname": "shop-web-11", "job": "rotate, limit: shop-web-*"}
    assert derived(pattern, "host_in_pattern")[0].startswith("host covered by named pattern")
    pattern["hostname"] = "shop-db-11"
    assert derived(pattern, "host_in_pattern")[0].startswith("host not covered by named pattern")


def test_reference_claimed_where_anybody_can_write() -> None:
    alert = {"change": "CHG0049920: cancelled", "session_arn": "assumed-role/ops/chg0049920-tuning"}
    incident = parse({"time": AT, **alert})
    repeated = [fact for fact in incident.facts if fact.path == "derived.reference_repeated"]
    assert len(repeated) == 1
    assert repeated[0].trust == "external"
    assert derived({"change": "none", "cmdline": "CHG0049920 approved"}, "reference_repeated") == []


def test_domains_of_a_message() -> None:
    mail = {
        "sender": "ar@lindqvist-heaIth.example",
        "headerReplyTo": "x@elsewhere.example",
        "headers": {
            "Authentication-Results": "dkim=pass header.d=lindqvist-heaIth.example",
            "In-Reply-To": "<88@lindqvist-health.example>",
        },
    }
    texts = derived(mail, "mail_domains")
    assert any(text.startswith("replyto domain differs from the sender's") for text in texts)
    assert any(text.startswith("DKIM domain equals the sender's") for text in texts)
    assert any(text.startswith("answered message's domain differs from the sender's") for text in texts)
    assert any(text.startswith("look-alike domains, letters drawn alike") for text in derived(mail, "look_alike"))


@pytest.mark.parametrize(
    ("one", "two", "how"),
    [
        ("harbour.example", "harb0ur.example", "letters drawn alike"),
        ("modern.example", "modem.example", "letters drawn alike"),
        ("harbour.example", "harbuor.example", "spelled almost the same"),
        ("harbour.example", "harbour-login.example", "contains the other's name"),
        ("harbour.example", "harbour.test", "another top-level domain"),
        ("раураl.example", "paypal.example", "letters drawn alike"),
        ("harbour.example", "harbour.example", None),
        ("HARBOUR.example", "harbour.example", None),
        ("harbour.example", "mountain.example", None),
        ("abc.example", "abd.example", None),
    ],
)
def test_imitation(one: str, two: str, how: str | None) -> None:
    found = imitation(one, two)
    assert (found is None) if how is None else (found is not None and how in found)
    assert imitation(two, one) == found


def test_relations_are_few_and_share_the_room() -> None:
    alert = {
        "src_ip": "203.0.113.9",
        "user": "p.szabo",
        "labels": {f"range_{n}": f"192.0.2.{n}/30" for n in range(40)},
        "tickets": [{"assignee": "p.szabo", "created": f"2026-01-{n + 1:02}"} for n in range(20)],
        "sender": "a@one.example",
    }
    incident = parse({"time": AT, **alert})
    facts = [fact for fact in incident.facts if fact.derived]
    assert len(facts) == 24
    assert {fact.path for fact in facts} >= {
        "derived.address_in_range",
        "derived.date_to_event",
        "derived.user_in_record",
    }
    assert len({fact.value for fact in facts}) == 24


@pytest.mark.parametrize(
    ("seen", "known", "how"),
    [
        ("80:5e:c0:11:4a:71", "80:5e:c0:11:4a:71", "is the one named"),
        ("00:0c:29:9b:70:02", "80:5e:c0:11:4a:71", "is not the one named"),
        ("FX9K2041", "FX9K2039;FX9K2041;FX9K2050", "is the one named"),
        ("GQ31ZZ07", "FX9K2039;FX9K2041;FX9K2050", "is not the one named"),
        ("fp-02ee", "fp-77c1", "is not the one named"),
        ("sha256:" + "a1" * 32, "sha256:" + "a1" * 32, "is the one named"),
    ],
)
def test_an_identifier_and_the_one_on_record(seen: str, known: str, how: str) -> None:
    texts = derived({"device_serial_seen": seen, "inventory": {"serial": known}}, "identifier_named")
    assert len(texts) == 1
    assert texts[0].startswith(f"identifier {how}: {seen.lower()} (")


def test_a_list_is_one_field_for_identifiers() -> None:
    accounts = {"org": {"member_account": ["210987654321", "345678901234"]}}
    assert [t[:27] for t in derived({"shared_account": "345678901234", **accounts}, "identifier_named")] == [
        "identifier is the one named"
    ]
    assert [t[:31] for t in derived({"shared_account": "456789012345", **accounts}, "identifier_named")] == [
        "identifier is not the one named"
    ]


@pytest.mark.parametrize(
    "alert",
    [
        {"trace": {"span": "a1b2c3d4e5"}, "flow": {"cookie": "f6a7b8c9d0"}},  # nothing says that they belong together
        {"device_seen": "2026-01-02", "device_known": "2026-03-04"},  # dates
        {"device_seen": "10.0.0.1", "device_known": "10.0.0.2"},  # addresses have relations of their own
        {"device_seen": "1776000000", "device_known": "1775000000"},  # clocks
        {"device_seen": "windows-10", "device_known": "windows-11"},
    ],
)
def test_what_is_no_identifier_is_not_compared(alert: dict[str, Any]) -> None:
    assert derived(alert, "identifier_named") == []


def test_two_identifiers_within_one_value() -> None:
    assert derived({"digest": "placed 91ac4e / opened 91ac4e"}, "identifier_pair")[0].startswith("the same identifier")
    assert derived({"digest": "placed 91ac4e / opened 5d07b2"}, "identifier_pair")[0].startswith("two identifiers")
    assert derived({"pool": "DLP-CRAWL-01, DLP-CRAWL-02"}, "identifier_pair") == [], "a list sets nothing against"


@pytest.mark.parametrize(
    ("count", "how"), [("311", "far above"), ("12", "above"), ("4", "about"), ("2", "below"), ("0", "far below")]
)
def test_a_count_and_the_usual_one(count: str, how: str) -> None:
    texts = derived({"repos_cloned": count, "repos_cloned_baseline": "4"}, "count_to_usual")
    assert texts[0].startswith(f"count {how} the usual: (")


def test_counts_with_units_and_what_is_no_count() -> None:
    assert derived({"upload_mb": "2 GB", "upload_limit_mb": "500 MB"}, "count_to_usual")[0].startswith(
        "count above the limit"
    )
    assert derived({"origin": "64507", "origin_expected": "64500"}, "count_to_usual") == [], "an AS number is no count"
    assert derived({"repos": "3", "repos_baseline": "0"}, "count_to_usual") == []


def test_who_approved_and_who_asked() -> None:
    same = derived({"change": {"requester": "j.moss", "approver": "j.moss"}}, "four_eyes")
    assert same[0].startswith("approver is also the requester: j.moss")
    other = derived({"change": {"note": "opened by j.moss, approved by r.ito"}}, "four_eyes")
    assert other[0].startswith("approver is another person than the requester: r.ito, j.moss")
    assert derived({"user_agent": "scan authorised by security"}, "four_eyes") == [], "a department is nobody"


def test_one_field_that_lists_several_ranges_or_patterns_says_one_thing() -> None:
    pools = {"labels": {"vendor_range": "192.0.2.136/29, 198.51.100.136/29"}}
    assert len(texts := derived({"senderIP": "198.51.100.140", **pools}, "address_in_range")) == 1
    assert "inside named range: senderip 198.51.100.140 in 198.51.100.136/29" in texts[0]
    assert len(texts := derived({"senderIP": "203.0.113.9", **pools}, "address_in_range")) == 1
    assert "not in 192.0.2.136/29, 198.51.100.136/29" in texts[0]
    listed = {"labels": {"vendor_range": ["192.0.2.136/29", "198.51.100.136/29"]}}
    assert len(derived({"senderIP": "198.51.100.140", **listed}, "address_in_range")) == 1
    patterns = {"labels": {"scope": "paw-*, lt-77*"}}
    assert derived({"host": {"name": "lt-7715"}, **patterns}, "host_in_pattern")[0].startswith("host covered by")
    assert derived({"host": {"name": "srv-01"}, **patterns}, "host_in_pattern") == [
        "host not covered by named pattern: srv-01 (labels.scope: paw-*, lt-77*)"
    ]


def test_what_was_not_read_whole_excludes_nobody() -> None:
    many = [f"198.51.100.{n}/32" for n in range(20)]
    assert len(texts := derived({"src_ip": "203.0.113.9", "labels": {"egress": many}}, "address_in_range")) == 1
    assert texts[0].startswith("address outside named range")
    assert derived({"src_ip": "198.51.100.19", "labels": {"egress": many}}, "address_in_range")[0].startswith(
        "address inside named range"
    )
    too_many = [f"198.51.{n}.0/24" for n in range(250)]
    assert derived({"src_ip": "203.0.113.9", "labels": {"egress": too_many}}, "address_in_range") == []
    long = ", ".join(f"198.51.100.{n}/32" for n in range(150))
    assert derived({"src_ip": "203.0.113.9", "labels": {"egress": long}}, "address_in_range") == []
    hosts = ", ".join(f"branch{n}-*" for n in range(80))
    assert derived({"host": {"name": "srv-01"}, "labels": {"scope": hosts}}, "host_in_pattern") == []


@pytest.mark.parametrize(
    ("at", "hours", "inside"),
    [
        ("2026-04-13T14:20:31.5+0200", "14:00-15:00", True),  # as the alert's own clock is written
        ("2026-04-13T14:20:31+02:00", "14:00-15:00Z", False),
        ("2026-04-13T14:20:31+02:00", "13 April 14:00-15:00 CEST", True),
        ("2026-06-25T20:40:00Z", "25 Jun 22:00-24:00 CEST", True),
        ("2026-06-25T20:40:00Z", "22:00-24:00 +02:00", True),
        ("2026-06-25T20:40:00Z", "22:00-24:00", False),
        ("2026-06-25T20:40:00Z", "07:00-19:00 SAT", False),  # a day, no zone
        ("2026-04-13T14:20:31+02:00", "2026-04-13 14:00-15:00", True),
        ("2026-04-13T14:20:31+02:00", "2026-04-13T14:00/2026-04-13T15:00", True),
        ("2026-04-13T14:20:31+02:00", "2026-04-13T14:00 to 15:00Z", False),
        ("2026-04-13T23:30:00-05:00", "2026-04-13..2026-04-13", True),
        ("2026-04-13T02:00:00-05:00", "22:00-06:00", True),
    ],
)
def test_hours_are_read_in_their_zone_or_the_alerts_own(at: str, hours: str, inside: bool) -> None:
    texts = derived({"time": at, "labels": {"slot": hours}}, "event_in_window")
    assert len(texts) == 1
    assert texts[0].startswith("event time inside") is inside


def test_a_certificate_that_its_holder_issued() -> None:
    def issued(issuer: str, subject: str, **keys: str) -> list[str]:
        return derived({"tls": {"issuerdn": issuer, "subject": subject}, **keys}, "certificate_issuer")

    assert issued("CN=a.example, O=Calder", "CN=a.example, O=Calder, OU=IT") == [
        "certificate of a.example issued by itself (tls.issuerdn: CN=a.example, O=Calder)"
    ]
    assert "issued by another: House CA 3" in issued("O=Calder, CN=House CA 3", "CN=a.example")[0]
    assert issued("", "CN=a.example") == []
    mail = {"subject": "Invoice", "token": {"issuer": "https://sts.example", "subject": "repo:x"}}
    assert derived(mail, "certificate_issuer") == []


def test_many_references_cost_no_square_of_them() -> None:
    """Each is looked up, and not compared with each: an alert within all limits took minutes."""
    known = " ".join(f"AB{n}1234" for n in range(80))
    others = " ".join(f"ZZ{n}5678" for n in range(150))
    alert = {"comments": [known.replace("AB", f"AB{n}") for n in range(100)], "payload": [others.replace("ZZ", f"ZZ{n}") for n in range(100)]}  # fmt: skip
    alert["payload"].append("per AB001234-77 of yesterday")
    begun = process_time()
    found = parse(alert)
    assert process_time() - begun < 3, "a twentieth of a second when quiet, ten seconds as it was"
    assert any("AB001234-77" in fact.value for fact in found.facts if fact.derived)
