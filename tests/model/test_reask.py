"""Asking again with facts hidden: in one call, and as if each had been asked alone."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

import pytest

from aegis_agents.model import FastModel
from aegis_agents.model.reask import Reask
from aegis_agents.records import Assessment, Incident
from aegis_agents.sources import parse

ALERT = {
    "event_id": "x-1", "title": "Script ran", "cmdline": "powershell -enc SQBFAFgA | iex", "parent": "winword.exe",
    "note": "no ticket on record", "first_seen": "never seen before in this organisation", "user": "j.doe",
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> FastModel:
    return FastModel(threads=1)


def masks_of(incident: Incident) -> list[frozenset[str]]:
    ids = [f.id for f in incident.facts if not f.derived]
    every = frozenset(ids)
    return [frozenset(), *(frozenset({i}) for i in ids), *(every - {i} for i in ids), every]


def test_many_masks_at_once_answer_as_one_by_one(model: FastModel) -> None:
    incident = parse(ALERT)
    masks = masks_of(incident)
    together = model.assess_masked(incident, masks)
    assert len(together) == len(masks)
    for mask, found in zip(masks, together, strict=True):
        alone = model.assess(incident, masked=mask)
        assert found.verdict == alone.verdict
        assert found.probabilities == pytest.approx(alone.probabilities, abs=1e-6)
        assert {w.fact for w in found.weights} == {w.fact for w in alone.weights}
        assert (found.facts_read, found.facts_skipped) == (alone.facts_read, alone.facts_skipped)


def test_no_masks_are_no_answers(model: FastModel) -> None:
    assert model.assess_masked(parse(ALERT), []) == []


def test_facts_are_encoded_once(model: FastModel, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = model._encoder.encode

    def counted(texts: Sequence[str]) -> Any:
        calls.append(len(texts))
        return real(texts)

    monkeypatch.setattr(model._encoder, "encode", counted)
    incident = parse(ALERT)
    model.assess_masked(incident, masks_of(incident))
    assert len(calls) == 1


class Slow:
    """A model that knows nothing of several masks."""

    version = "slow"

    def __init__(self) -> None:
        self.asked: list[Set[str]] = []

    def assess(self, incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        self.asked.append(masked)
        return Assessment(
            verdict="undetermined", confidence=1.0, probabilities={}, severity="low", weights=(), techniques=(),
            model=f"without {len(masked)}", facts_read=0, facts_skipped=0,
        )  # fmt: skip


def test_each_mask_is_judged_once_whoever_asks(model: FastModel) -> None:
    slow = Slow()
    reask = Reask(slow, parse(ALERT))  # type: ignore[arg-type]
    one, two = frozenset({"f1"}), frozenset({"f1", "f2"})
    assert [a.model for a in reask.many([one, two, one])] == ["without 1", "without 2", "without 1"]
    assert reask(one).model == "without 1"
    assert slow.asked == [one, two]


def test_with_the_shipped_model_it_answers_as_the_model(model: FastModel) -> None:
    incident = parse(ALERT)
    mask = frozenset({incident.facts[2].id})
    assert Reask(model, incident)(mask).probabilities == pytest.approx(
        model.assess(incident, masked=mask).probabilities, abs=1e-6
    )
