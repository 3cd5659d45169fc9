"""What the bag of words learns, from whom, and that it can be read back."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn", reason="needs the train extra")

from aegis_agents.model.lexical import Lexical
from aegis_agents.records import Verdict
from aegis_agents.sources import parse
from aegis_agents.training.corpus import Example
from aegis_agents.training.lexical import BOUND, fit_lexical, teachers


def example(note: str, verdict: Verdict, source: str = "situations", number: int = 1) -> Example:
    incident = parse({"event_id": f"e-{number}", "title": "Alert", "note": note})
    return Example(incident, verdict, "low", (), (0,) * len(incident.facts), f"f{number}", source, {}, "generic")


LESSONS = [
    *(example(f"credential dump run {i}", "true_positive", number=i) for i in range(6)),
    *(example(f"nightly backup run {i}", "benign_positive", number=i) for i in range(3)),
    *(example(f"nightly sensor run {i}", "false_positive", number=i) for i in range(3)),
    *(example("credential nobody knows", "undetermined", number=i) for i in range(6)),
]


def test_words_of_attacks_speak_for_one_and_others_against() -> None:
    lexical = Lexical(fit_lexical(LESSONS))
    assert lexical.attack_odds(["credential dump"]) > 0 > lexical.attack_odds(["nightly"])
    assert abs(lexical.attack_odds(["credential dump"] * 40)) <= BOUND


def test_an_alert_nobody_could_decide_teaches_no_word() -> None:
    assert fit_lexical(LESSONS) == fit_lexical([e for e in LESSONS if e.verdict != "undetermined"])


def test_only_situations_teach_where_there_are_any() -> None:
    board = example("quiet words", "true_positive", "dials")
    assert teachers([*LESSONS, board]) == LESSONS
    assert teachers([board]) == [board]


def test_one_side_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="class"):
        fit_lexical(LESSONS[:6])
