"""What is a target and what is not: precision first, since responses aim at these."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_agents.sources import parse


def found(alert: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(e.kind, e.value): e.role for e in parse(alert).entities if e.kind != "alert"}


@pytest.mark.parametrize(
    "alert",
    [
        {"asn": "64509"}, {"version": "10.0.19.45"}, {"os": {"version": "1.2.3.4"}}, {"ua": "Chrome/134.0.6998.88"},
        {"text": "v1.2.3.4 and version 5.6.7.8"}, {"text": "0.0.0.0 127.0.0.1 255.255.255.255 224.0.0.1 ::1"},
        {"text": "999.1.1.1 1.2.3 1.2.3.4.5"}, {"net": "10.0.0.0/8"}, {"text": "12:30:45 Bad::Feed aa:bb:cc:dd:ee:ff"},
        {"src_ip": "unknown"}, {"session": "9f2c1ab47de08356c1b0aa94e27f6d3b"}, {"commit_sha": "a1" * 20},
        {"ja3": {"hash": "5e8c02f7a9b14d36e0c7f2815ab9d430"}}, {"hash": {"md5": "d41d8cd98f00b204e9800998ecf8427e"}},
        {"sha1": "0" * 40}, {"text": "see report.pdf, main.rs, setup.py and System.Net"}, {"text": "p.wikander called"},
        {"alertWebUrl": "https://console.vendor.example/alert/1"}, {"user": "unknown"}, {"user": "S-1-5-18"},
        {"user": "NT AUTHORITY\\SYSTEM"}, {"SubjectUserName": "HOST1$"}, {"user": {"name": "Z Marek (Admin)"}},
        {"hostname": "-"}, {"hostname": "two words"}, {"device": "not registered"}, {"host": "external"},
        {"owner": "the records team"}, {"eventSource": "iam.amazonaws.com"},
        {"userIdentity": {"invokedBy": "x.amazonaws.com"}},
        {"upnSuffix": "harbour.example"}, {"text": "io.k8s.core.v1.pods.create"},
    ],
)  # fmt: skip
def test_left_out(alert: dict[str, Any]) -> None:
    assert found(alert) == {}


@pytest.mark.parametrize(
    ("alert", "kind", "value", "role"),
    [
        ({"src_ip": "203.0.113.9"}, "ip", "203.0.113.9", "actor"),
        ({"src_ip": "10.1.2.3"}, "ip", "10.1.2.3", "subject"),
        ({"dest_ip": "203.0.113.9"}, "ip", "203.0.113.9", "peer"),
        ({"cmd": "curl http://203.0.113.9:81/a"}, "ip", "203.0.113.9", "observed"),
        ({"peer": {"ip": "2001:db8::7"}}, "ip", "2001:db8::7", "peer"),
        ({"note": "c2 at 203[.]0[.]113[.]9"}, "ip", "203.0.113.9", "observed"),
        ({"note": "from 2001:db8:0:1::9, twice"}, "ip", "2001:db8:0:1::9", "observed"),
        ({"link": "hxxps://evil[.]example/a?b=1"}, "url", "https://evil.example/a?b=1", "peer"),
        ({"link": "hxxps://evil[.]example/a?b=1"}, "domain", "evil.example", "peer"),
        ({"query_name": "a.b.evil.example."}, "domain", "a.b.evil.example", "peer"),
        ({"text": "beacon to cdn.evil.example today"}, "domain", "cdn.evil.example", "observed"),
        ({"Hashes": "SHA1=" + "A1B2C" * 8 + ",MD5=" + "0F1E2D3C" * 4}, "hash", "0F1E2D3C" * 4, "subject"),
        ({"user": "CORP\\j.doe"}, "user", "CORP\\j.doe", "actor"),
        ({"user": "CORP\\j.doe"}, "user", "j.doe", "actor"),
        ({"TargetUserName": "svc-a@CORP.EXAMPLE"}, "user", "svc-a", "subject"),
        ({"userPrincipalName": "a.b@corp.example"}, "user", "a.b@corp.example", "actor"),
        ({"change": "made by a.kerr at noon"}, "user", "a.kerr", "observed"),
        ({"user": "system:serviceaccount:ns:sa"}, "user", "system:serviceaccount:ns:sa", "actor"),
        ({"Computer": "SRV-1.corp.local"}, "host", "SRV-1.corp.local", "subject"),
        ({"note": "the asset: OT-GW-07, feeders"}, "host", "OT-GW-07", "observed"),
        ({"instanceId": "i-0a2b9911c3d4e5f60"}, "host", "i-0a2b9911c3d4e5f60", "subject"),
        ({"cmd": "AKIAIOSFODNN7EXAMPLE in a file"}, "access_key", "AKIAIOSFODNN7EXAMPLE", "observed"),
        ({"accessKeyId": "AKIAIOSFODNN7EXAMPLE"}, "access_key", "AKIAIOSFODNN7EXAMPLE", "actor"),
        ({"accountId": 111122223333}, "cloud_account", "111122223333", "observed"),
        ({"arn": "arn:aws:iam::111122223333:user/ci/bob"}, "user", "bob", "actor"),
        ({"recipient": ["x@corp.example"]}, "email", "x@corp.example", "subject"),
        ({"sender": "Bob <b@evil.example>"}, "domain", "evil.example", "actor"),
        ({"headers": {"In-Reply-To": "<1.2@mail.example>"}}, "message", "1.2@mail.example", "observed"),
        ({"internetMessageId": "<9@mail.example>"}, "message", "9@mail.example", "observed"),
        ({"k8s": {"pod": {"name": "api-1"}}}, "pod", "api-1", "subject"),
        ({"repository": {"full_name": "o/r"}}, "repository", "o/r", "subject"),
        ({"TargetFilename": "C:\\t\\a.dll"}, "file", "C:\\t\\a.dll", "subject"),
        ({"env": "GITHUB_TOKEN, PATH"}, "access_key", "GITHUB_TOKEN", "observed"),
    ],
)
def test_found_with_its_role(alert: dict[str, Any], kind: str, value: str, role: str) -> None:
    assert found(alert).get((kind, value)) == role, found(alert)


def test_own_mail_domain_is_no_target() -> None:
    entities = found(
        {"recipient": "x@corp.example", "userPrincipalName": "x@corp.example", "text": "mail y@corp.example"}
    )
    assert not [key for key in entities if key[0] == "domain"]


def test_each_once_with_all_its_facts_and_its_strongest_role() -> None:
    incident = parse({"note": "host a at 203.0.113.9", "src_ip": "203.0.113.9", "client": {"ip": "203.0.113.9"}})
    matching = [e for e in incident.entities if e.kind == "ip"]
    assert [(e.value, e.role, e.facts) for e in matching] == [("203.0.113.9", "actor", ("f1", "f2", "f3"))]


def test_text_of_an_alert_never_becomes_more_than_observed() -> None:
    text = "asset DC-01 user=adm.root 203.0.113.1 evil.example a@evil.example AKIAIOSFODNN7EXAMPLE i-0a2b9911c3d4e5f60"
    roles = set(found({"commandLine": text, "subject": text, "userAgent": text}).values())
    assert roles == {"observed"}


def test_alert_entity_has_its_fact() -> None:
    incident = parse({"event_id": "E-1", "name": "x"})
    assert (incident.entities[0].kind, incident.entities[0].value, incident.entities[0].facts) == (
        "alert",
        "E-1",
        ("f1",),
    )
