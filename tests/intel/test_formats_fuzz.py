"""Any value in, a Parsed or an InputError out; and what comes out is a document that can be stored."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aegis_agents.errors import InputError
from aegis_agents.intel.documents import TLP_ORDER, Document
from aegis_agents.intel.feeds.config import STANDARD, TRUST, Feed, FeedKind
from aegis_agents.intel.feeds.formats import READERS, read
from aegis_agents.intel.feeds.parsed import Blob, Parsed

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
KINDS: tuple[FeedKind, ...] = get_args(FeedKind)
CORPORA = {
    "attack": {"technique", "mitigation", "group", "software"}, "kev": {"kev"}, "epss": {"epss"},
    "stix": {"indicator", "report"}, "taxii": {"indicator", "report"}, "misp": {"indicator", "report"},
    "warninglist": {"warning"}, "sigma": {"rule"}, "react": {"playbook"}, "indicators": {"indicator"},
    "documents": {"document"},
}  # fmt: skip

ODD = st.sampled_from([
    "", "x", "attack-pattern", "indicator", "malware", "bundle", "marking-definition", "relationship", "revoked-by",
    "[ipv4-addr:value = '203.0.113.7']", "203.0.113.7", "evil.example", "ip-dst", "hostname", "string", "cidr", "T1059.001",
    "CVE-2030-12345", "RA2001", "2026-01-01T00:00:00Z", "tlp:red", "mitre-attack", "\ud800", "a\u202eb\x00", "../../etc/passwd",
    f"indicator--{uuid.uuid5(uuid.NAMESPACE_DNS, 'x')}", f"malware--{uuid.uuid4()}", str(uuid.uuid4()), "9" * 5000, "1e999",
])  # fmt: skip
NAMES = st.sampled_from([
    "type", "id", "objects", "Event", "response", "Attribute", "Object", "Tag", "info", "uuid", "value", "to_ids", "list", "name",
    "version", "vulnerabilities", "catalogVersion", "cveID", "pattern", "valid_from", "valid_until", "modified", "created",
    "object_marking_refs", "granular_markings", "definition", "definition_type", "extensions", "external_references",
    "external_id", "source_name", "source_ref", "target_ref", "relationship_type", "kill_chain_phases", "title", "description",
    "logsource", "detection", "correlation", "tags", "level", "stage", "workflow", "stix_id", "tactics", "aliases", "revoked",
    "spec_version", "first_seen", "last_seen", "timestamp", "date", "comment", "decay_score", "EventReport", "confidence",
    "labels", "self", "allow_custom", "ip", "data", "trust", "tlp", "tenant", "owner", "corpus",
])  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | ODD
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=6),
    max_leaves=25,
)


def feed(kind: FeedKind) -> Feed:
    place = {"url": "https://taxii.example/"} if kind == "taxii" else {"path": "x"}
    standard = {"trust": "high", "tlp": "clear"} if kind in STANDARD else {"tlp": "amber", "tenant": "north"}
    return Feed.model_validate({"name": "fuzz", "kind": kind, "owner": "somebody"} | place | standard)


def attempt(kind: FeedKind, *blobs: Blob) -> None:
    by = feed(kind)
    try:
        parsed = read(blobs, by, fetched_at=NOW)
    except InputError as error:
        if not error.fix:
            pytest.fail(f"says no fix: {error}")
        return
    assert isinstance(parsed, Parsed)
    assert len(parsed.skipped) <= 1001
    keys = [(d.corpus, d.id) for d in parsed.documents]
    assert len(keys) == len(set(keys))
    for d in parsed.documents:
        assert Document.model_validate(d.model_dump()) == d
        assert len(d.sha256) == 64
        assert d.corpus in CORPORA[kind]
        assert (d.feed, d.owner, d.tenant, d.trust) == ("fuzz", "somebody", by.tenant, TRUST[by.trust])
        assert TLP_ORDER.index(d.tlp) >= TLP_ORDER.index(by.tlp)
        assert all(text.isprintable() for text in (d.id, *d.aliases))
        assert d.observed_at is None or d.observed_at <= NOW


def shaped(kind: FeedKind, value: Any) -> Any:
    """Put a value where the format has its entries, so that more than the outermost check is reached."""
    return {
        "stix": {"type": "bundle", "objects": [value]}, "taxii": {"objects": [value]},
        "attack": {"type": "bundle", "objects": [value]}, "kev": {"catalogVersion": "1", "vulnerabilities": [value]},
        "misp": {"Event": {"uuid": str(uuid.UUID(int=1)), "info": "x", "Attribute": [value]}},
        "warninglist": {"name": "x", "type": "string", "list": [value]},
    }.get(kind, [value])  # fmt: skip


def test_every_kind_of_feed_has_a_reader() -> None:
    assert set(READERS) == set(KINDS)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "attack"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=VALUES)
def test_any_json_value_is_parsed_or_refused(kind: FeedKind, value: Any) -> None:
    attempt(kind, Blob("a.json", json.dumps(value).encode()))
    attempt(kind, Blob("a.json", json.dumps(shaped(kind, value)).encode()))


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values=st.lists(VALUES, min_size=5, max_size=10), more=st.dictionaries(NAMES, VALUES, max_size=8))
def test_any_attack_objects_are_parsed_or_refused(values: list[Any], more: dict[str, Any]) -> None:
    # few but large: each read loads v18.1 from its package
    technique = {
        "type": "attack-pattern", "id": f"attack-pattern--{uuid.UUID(int=4)}", "name": "x",
        "external_references": [{"source_name": "mitre-attack", "external_id": "T9001"}],
    }  # fmt: skip
    odd = [{"type": "attack-pattern", "id": f"attack-pattern--{uuid.UUID(int=5)}"} | more, technique | more]
    attempt("attack", Blob("a.json", json.dumps({"objects": [technique, *values, *odd]}).encode()))


STIX_FIELDS = st.fixed_dictionaries(
    {"type": st.sampled_from(["indicator", "malware", "note", "marking-definition", "relationship", "attack-pattern", "report"])},
    optional=dict.fromkeys(("pattern", "valid_from", "valid_until", "modified", "created", "object_marking_refs", "name", "granular_markings", "definition", "extensions", "labels", "confidence", "revoked", "kill_chain_phases", "description", "aliases", "external_references", "source_ref"), VALUES),
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(items=st.lists(STIX_FIELDS, max_size=4), same=st.booleans())
def test_stix_objects_with_fields_of_any_type(items: list[dict[str, Any]], same: bool) -> None:
    for n, item in enumerate(items):
        item["id"] = f"{item['type']}--{uuid.uuid5(uuid.NAMESPACE_DNS, '0' if same else str(n))}"
        item.setdefault("pattern", "[ipv4-addr:value = '203.0.113.7']")
        item.setdefault("created", "2026-01-01T00:00:00Z")
    attempt("stix", Blob("a.json", json.dumps({"type": "bundle", "objects": items}).encode()))


ATTRIBUTE_FIELDS = st.fixed_dictionaries(
    {"type": st.sampled_from(["ip-dst", "domain|ip", "url", "md5", "malware-sample"]) | VALUES},
    optional=dict.fromkeys(("value", "to_ids", "category", "timestamp", "first_seen", "last_seen", "comment", "Tag", "decay_score", "deleted", "data"), VALUES),
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(attributes=st.lists(ATTRIBUTE_FIELDS, max_size=4), more=st.dictionaries(NAMES, VALUES, max_size=4))
def test_misp_attributes_with_fields_of_any_type(attributes: list[Any], more: dict[str, Any]) -> None:
    event = more | {"uuid": str(uuid.UUID(int=1)), "info": "x", "Attribute": attributes}
    attempt("misp", Blob("a.json", json.dumps({"Event": event}).encode()))


RULE_FIELDS = st.fixed_dictionaries(
    {"id": st.just(str(uuid.UUID(int=4))) | VALUES, "title": st.just("x") | VALUES},
    optional=dict.fromkeys(
        ("description", "tags", "level", "falsepositives", "date", "modified", "correlation"), VALUES
    )
    | {
        "logsource": st.just({"product": "x"}) | VALUES,
        "detection": st.just({"s": {"a": 1}, "condition": "s"}) | VALUES,
    },
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rule=RULE_FIELDS)
def test_sigma_rules_with_fields_of_any_type(rule: dict[str, Any]) -> None:
    attempt("sigma", Blob("a.json", json.dumps([rule]).encode()))


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "attack"])
@pytest.mark.parametrize("name", ["a.json", "a.yml", "a.txt", "a.md", "a.pdf", "a.csv"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_parsed_or_refused(kind: FeedKind, name: str, content: bytes) -> None:
    attempt(kind, Blob(name, content))


LINES = st.lists(ODD | st.text(max_size=30), max_size=8)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    lines=LINES, header=st.sampled_from(["", "ip,last_seen,tags", "# ioc;confidence", "cve,epss,percentile", "[", "{"])
)
def test_any_lines_are_parsed_or_refused(lines: list[str], header: str) -> None:
    content = "\n".join([header, *lines]).encode("utf-8", "replace")
    attempt("indicators", Blob("a", content))
    attempt("epss", Blob("a", content))
    attempt("documents", Blob("a.md", content))
