"""Cosmetic changes: they change what nobody judges by, keep everything else, and are the same for the same seed."""

from __future__ import annotations

import random
from typing import Any

import pytest

from aegis_agents.records import Incident
from aegis_agents.sources import parse
from aegis_agents.training.corpus import draw
from aegis_agents.training.families import load_families
from aegis_agents.training.perturb import CHANGES, Change, perturb

ALERT = {
    "event_id": "p-1", "title": "Share opened", "user": "maria.berg", "hostname": "WKS-0412", "account": "svc-backup",
    "cmdline": r"net use \\WKS-0412\c$ /user:CORP\maria.berg", "destination_ip": "203.0.113.9",
    "change": {"by": "tom.dahl", "note": "agreed with maria.berg, see CHG-4471", "hosts": ["WKS-0412", "fileserver"]},
}  # fmt: skip
DRAWN = [draw(family, "true_positive", 3) for family in load_families()[::12]]


def changed(alert: dict[str, Any], change: Change, seed: int = 1, format: str = "generic") -> Incident:
    found = perturb(alert, format, change, random.Random(seed))
    assert found is not None
    return found


def values(incident: Incident) -> dict[str, str]:
    return {f.path: f.value for f in incident.facts if not f.derived}


def test_people_and_numbered_machines_are_renamed_everywhere_and_alike() -> None:
    new = values(changed(ALERT, "renamed"))
    text = " ".join(new.values())
    assert "maria" not in text
    assert "0412" not in text
    person, host = new["user"], new["hostname"]
    assert new["cmdline"] == rf"net use \\{host}\c$ /user:CORP\{person}"
    assert new["change.note"] == f"agreed with {person}, see CHG-4471"
    assert new["change.hosts[0]"] == host


def test_what_says_what_something_is_keeps_its_name() -> None:
    old, new = values(parse(ALERT)), values(changed(ALERT, "renamed"))
    for kept in ("event_id", "title", "account", "destination_ip", "change.hosts[1]"):
        assert new[kept] == old[kept]
    assert new["hostname"].startswith("WKS-")
    assert len(new["hostname"]) == len("WKS-0412")


def test_two_people_stay_two_people() -> None:
    for seed in range(20):
        new = values(changed({"event_id": "p-2", "user": "maria.berg", "target_user": "tom.dahl"}, "renamed", seed))
        assert new["user"] != new["target_user"]


@pytest.mark.parametrize(
    "alert",
    [
        {"user": "maria.berg", "target_user": "tom.dahl", "account": "olga.weber"},
        {"user": "maria.berg", "hostname": "WKS-0412", "target_user": "tom.dahl"},
    ],
)
def test_more_people_stay_as_many(alert: dict[str, str]) -> None:
    new = values(changed(alert | {"event_id": "p-3"}, "renamed"))
    assert len(set(new.values())) == len(new)


def test_a_name_in_other_letter_case_is_the_same_name() -> None:
    new = values(changed({"event_id": "p-4", "user": "maria.berg", "note": r"logon of CORP\Maria.Berg"}, "renamed"))
    assert "maria" not in new["note"].lower()


@pytest.mark.parametrize("account", ["krbtgt", "postgres", "jenkins"])
def test_accounts_of_systems_are_no_persons(account: str) -> None:
    assert perturb({"event_id": "p-5", "user": account}, "generic", "renamed", random.Random(1)) is None


@pytest.mark.parametrize("example", DRAWN, ids=lambda e: e.family)
def test_another_order_holds_the_same_fields(example: Any) -> None:
    new = changed(example.alert, "reordered", format=example.format)
    # Where one name occurs twice, which of them is "name#2" is a matter of order.
    assert sorted(values(new).values()) == sorted(values(example.incident).values())
    assert {p.partition("#")[0] for p in values(new)} == {p.partition("#")[0] for p in values(example.incident)}
    assert (new.native_id, new.title) == (example.incident.native_id, example.incident.title)


def test_another_order_is_another_order_and_lists_keep_theirs() -> None:
    for seed in range(5):
        new = values(changed(ALERT, "reordered", seed))
        assert list(new) != list(values(parse(ALERT)))
        assert (new["change.hosts[0]"], new["change.hosts[1]"]) == ("WKS-0412", "fileserver")


def test_what_is_derived_does_not_hang_on_the_order() -> None:
    alert = {
        "event_id": "p-6",
        "title": "Share opened",
        "user": "maria.berg",
        "owner": "maria.berg",
        "status_code": "403",
    }
    found = {
        frozenset(f.value for f in parse(dict(order)).facts if f.derived)
        for order in (list(alert.items()), list(reversed(alert.items())))
    }
    assert len(found) == 1


@pytest.mark.parametrize("example", [e for e in DRAWN if e.format != "generic"], ids=lambda e: e.family)
def test_another_format_is_the_same_alert_read_without_knowing_its_product(example: Any) -> None:
    assert changed(example.alert, "other format", format=example.format) == parse(example.alert, format="generic")


@pytest.mark.parametrize("account", ["sqladmin", "svc.backup", "buildagent", "administrator"])
def test_roles_are_no_persons(account: str) -> None:
    assert parse({"event_id": "p-8", "user": account}).has_entity("user", account)
    assert perturb({"event_id": "p-8", "user": account}, "generic", "renamed", random.Random(1)) is None


def test_there_is_nothing_to_change_where_nobody_is_named_or_the_format_is_generic_already() -> None:
    nobody = {"event_id": "p-7", "title": "Port scan", "user": "svc-scanner", "hostname": "gateway"}
    assert perturb(nobody, "generic", "renamed", random.Random(1)) is None
    assert perturb(ALERT, "generic", "other format", random.Random(1)) is None


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_seed_changes_alike_and_the_alert_itself_stays(change: Change) -> None:
    example = next(
        e for e in DRAWN if perturb(e.alert, e.format, "renamed", random.Random(1)) and e.format != "generic"
    )
    before = repr(example.alert)
    first, again, other = (changed(example.alert, change, seed, example.format) for seed in (1, 1, 2))
    assert first == again
    assert (first == other) == (change == "other format")
    assert repr(example.alert) == before
