"""What the demo says of its alerts is what the shipped model makes of them, so that new weights can't make a story false."""

from __future__ import annotations

from importlib import resources

import pytest

from aegis_agents.agents.reasoning import UNSURE
from aegis_agents.cli.demo import _STORIES
from aegis_agents.model import FastModel
from aegis_agents.records import Assessment
from aegis_agents.sources import parse

VERDICTS = {
    "1_attack": "true_positive",
    "2_authorised": "benign_positive",
    "3_wrong_detection": "false_positive",
    "5_injection": "true_positive",
}


@pytest.fixture(scope="module")
def said() -> dict[str, Assessment]:
    folder, model = resources.files("aegis_agents.cli") / "demo_alerts", FastModel(threads=1)
    return {name: model.assess(parse((folder / f"{name}.json").read_text("utf-8"))) for name in _STORIES}


def test_each_story_is_true_of_the_shipped_model(said: dict[str, Assessment]) -> None:
    assert {name: a.verdict for name, a in said.items() if name in VERDICTS} == VERDICTS
    assert set(_STORIES) == {*VERDICTS, "4_unclear"}


def test_the_unclear_case_is_one_that_a_language_model_would_word(said: dict[str, Assessment]) -> None:
    unclear = said["4_unclear"]
    assert unclear.verdict == "undetermined" or unclear.confidence < UNSURE
