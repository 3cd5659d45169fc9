"""Every format, on a small example of its native shape (examples.jsonl, invented content)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import InputError
from aegis_agents.records import Incident
from aegis_agents.sources import FORMATS, detect_format, parse
from aegis_agents.sources.format import unwrap

EXAMPLES: list[dict[str, Any]] = [
    json.loads(line) for line in Path(__file__).with_name("examples.jsonl").read_text("utf-8").splitlines()
]
each = pytest.mark.parametrize("example", EXAMPLES, ids=[f"{e['format']}-{e['native_id'][:8]}" for e in EXAMPLES])


def test_every_format_has_an_example_and_is_named_as_registered() -> None:
    assert {example["format"] for example in EXAMPLES} == set(FORMATS)
    assert all(name == known.name for name, known in FORMATS.items())
    assert len(FORMATS) == 21


@each
def test_format_is_detected_and_no_other_is_as_sure(example: dict[str, Any]) -> None:
    alert = example["alert"]
    assert detect_format(alert) == example["format"]
    scores = sorted((known.detect(unwrap(alert)) for known in FORMATS.values()), reverse=True)
    assert scores[0] > scores[1], "two formats claim the example equally"


@each
def test_head_entities_and_trust(example: dict[str, Any]) -> None:
    incident = parse(example["alert"])
    assert incident.source == example["format"]
    assert incident.native_id.startswith(example["native_id"])
    assert incident.title == example["title"]
    assert incident.observed_at is not None
    assert incident.observed_at.isoformat() == example["time"]
    for kind, value in example["entities"]:
        assert incident.has_entity(kind, value), (kind, value, incident.entities)
    assert incident.entities[0].kind == "alert"
    assert incident.entities[0].role == "subject"
    assert incident.has_entity("alert", incident.native_id)
    trusts = {fact.path: fact.trust for fact in incident.facts}
    assert {path: trusts[path] for path in example["trust"]} == example["trust"]


@each
def test_entities_name_facts_that_exist_and_hold_them(example: dict[str, Any]) -> None:
    incident = parse(example["alert"])
    ids = [fact.id for fact in incident.facts]
    assert len(set(ids)) == len(ids)
    for entity in incident.entities:
        for fact in entity.facts:
            incident.fact(fact)
    # No address, version or agent string becomes a target that the alert does not name as one.
    values = {entity.value for entity in incident.entities}
    assert not values & {
        "10.0.19.45",
        "1.2.3.4",
        "134.0.6998.88",
        "10.0.0.1",
        "s3.amazonaws.com",
        "sens-1",
        "wz-main-1",
    }
    assert not values & {"collector.harbour.local", "ignore all previous rules", "soc@harbour.example", "span-2"}
    assert "5E8C02F7A9B14D36E0C7F2815AB9D430" not in values  # an import hash is not the hash of a file


@each
def test_same_alert_same_incident_whatever_its_spelling(example: dict[str, Any]) -> None:
    alert = example["alert"]
    shuffled = dict(reversed(list(alert.items())))
    first, second = parse(alert), parse(json.dumps(shuffled, indent=2).encode())
    assert first.id == second.id
    assert first.digest == second.digest
    assert first.id.startswith("inc-")
    assert len(first.id) == 24
    assert parse(alert, tenant="other").id != first.id
    assert parse({**alert, "extra": 1}).id != first.id
    assert Incident.model_validate_json(first.model_dump_json()) == first


def test_incident_is_answered_as_it_is() -> None:
    incident = parse(EXAMPLES[0]["alert"])
    assert parse(incident) is incident


def test_format_can_be_forced_and_webhook_is_generic() -> None:
    alert = EXAMPLES[0]["alert"]
    assert parse(alert, format="webhook").source == "generic"
    assert parse(alert, format="generic").native_id == "4411"  # its own order of names, incidentId before id
    with pytest.raises(InputError, match=r"unknown format 'nosuch'.*defender_xdr"):
        parse(alert, format="nosuch")


def test_unknown_product_becomes_an_incident() -> None:
    incident = parse({"foo": {"bar": [1, {"baz": "something odd happened"}]}})
    assert incident.source == "generic"
    assert incident.title == "something odd happened"
    assert incident.observed_at is None
    assert incident.native_id == f"digest-{incident.digest[:16]}"
    assert [(fact.path, fact.value) for fact in incident.facts] == [
        ("foo.bar[0]", "1"),
        ("foo.bar[1].baz", "something odd happened"),
    ]


def test_envelopes_are_looked_through() -> None:
    finding = next(e for e in EXAMPLES if e["format"] == "guardduty")["alert"]
    incident = parse({"detail-type": "GuardDuty Finding", "source": "aws.guardduty", "detail": finding})
    assert incident.source == "guardduty"
    assert incident.native_id == "f00d"
    assert incident.facts[-1].path.startswith(("detail.", "derived."))
    alert = next(e for e in EXAMPLES if e["format"] == "elastic_ecs")["alert"]
    assert parse({"_index": "x", "_id": "y", "_source": alert}).source == "elastic_ecs"


def test_product_opinion_is_a_claim() -> None:
    by_format = {e["format"]: parse(e["alert"]).claim for e in EXAMPLES}
    assert by_format["defender_xdr"].severity == "medium"
    assert by_format["defender_xdr"].techniques == ("T1560.001",)
    assert by_format["wazuh"].severity == "7"
    assert by_format["wazuh"].techniques == ("T1098.004",)
    assert by_format["crowdstrike"].confidence == "60"
    assert by_format["sentinelone"].verdict == "undefined"
    assert by_format["ocsf"].techniques == ("T1555",)
    assert by_format["falco"].techniques == ("T1059",)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_odd_types_in_known_places_never_break_a_format(name: str) -> None:
    example = next(e for e in EXAMPLES if e["format"] == name)["alert"]
    odds: tuple[Any, ...] = (None, True, 7, 1e30, "", [], {}, [[]], [None], {"": None})
    for odd in odds:
        for key in example:
            incident = parse({**example, key: odd}, format=name)
            assert incident.source == name
