"""What the model reads of a fact."""

from __future__ import annotations

import pytest

from aegis_agents.model.text import MAX_PIECES, PIECE_CHARS, field_name, is_meaningless, read
from aegis_agents.records import Claim, Fact, Incident


def fact(path: str, value: str, **more: object) -> Fact:
    return Fact.model_validate({"id": "f1", "path": path, "value": value, "trust": "product"} | more)


def incident(*facts: Fact) -> Incident:
    return Incident(
        id="inc-1", source="generic", native_id="n", title="t", observed_at=None, claim=Claim(),
        facts=facts, entities=(), digest="0" * 64,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("evidence[1].processCommandLine", "process command line"),
        ("object.properties.alerts[0].properties.additionalData.Custom Details.NamedLocation", "named location"),
        ("kibana.alert.rule.name", "rule name"),
        ("data.proc.aname[3]", "proc aname"),
        ("process.process_name", "process name"),
    ],
)
def test_field_name_keeps_the_words_that_mean_something(path: str, name: str) -> None:
    assert field_name(path) == name


@pytest.mark.parametrize(
    "given",
    [
        fact("severity", "high"),
        fact("kibana.alert.risk_score", "73"),
        fact("session", "7665ca8d-276e-5ad8-9bfe-c6e6fd3bcb47"),
        fact("file.hash", "a" * 64),
        fact("createdAt", "2026-01-30T22:46:05Z"),
        fact("note", "   "),
    ],
)
def test_claims_clocks_and_opaque_ids_are_not_read(given: Fact) -> None:
    assert is_meaningless(given)


@pytest.mark.parametrize(
    "given",
    [
        fact("severity", "lowered by analyst after the vendor confirmed the scanner"),
        fact("user.id", "0 (root)"),
        fact("derived.age", "2026-01-30T22:46:05Z", derived=True),
        fact("bytes_out", "18734112256"),
    ],
)
def test_what_may_decide_is_read(given: Fact) -> None:
    assert not is_meaningless(given)


def test_long_values_are_read_to_the_end() -> None:
    tail = "the-deciding-end"
    pieces, skipped = read(incident(fact("process.args", "x" * (PIECE_CHARS * 3) + tail)))
    assert skipped == 0
    assert len(pieces) == 4
    assert pieces[-1].text.endswith(tail)
    assert {p.fact for p in pieces} == {"f1"}


def test_huge_values_keep_beginning_and_end() -> None:
    pieces, _ = read(incident(fact("process.args", "start" + "x" * 50_000 + "end")))
    assert len(pieces) == MAX_PIECES
    assert "start" in pieces[0].text
    assert pieces[-1].text.endswith("end")


def test_skipped_facts_are_counted() -> None:
    facts = (fact("severity", "high"), fact("cmdline", "whoami", id="f2"))
    pieces, skipped = read(incident(*facts))
    assert [p.fact for p in pieces] == ["f2"]
    assert skipped == 1
