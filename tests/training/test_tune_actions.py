"""Actions are taught by lessons that are whole, are told apart afterwards, and share nothing with what measures them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="needs the train extra")

from aegis_agents.intel.taught import SHIPPED_TAUGHT, read_taught
from aegis_agents.model import FastModel
from aegis_agents.records import CATALOGUE
from aegis_agents.training import tune_actions as tune
from evals.retrieval_needs import needs


def test_every_action_is_taught_often_and_no_lesson_is_there_twice() -> None:
    lessons = tune.action_lessons()
    told = Counter(action for lesson in lessons for action in lesson.techniques)
    assert set(told) == set(CATALOGUE)
    assert min(told.values()) >= 35
    assert len({lesson.text for lesson in lessons}) == len(lessons) >= 450


def test_no_lesson_is_a_question_of_the_suites() -> None:
    asked = {" ".join(n.text.lower().split()) for part in ("tune", "report") for n in needs(part)}  # type: ignore[arg-type]
    assert not asked & {" ".join(lesson.text.lower().split()) for lesson in tune.action_lessons()}


def test_a_lesson_with_an_unknown_action_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "CATALOGUE", {})
    with pytest.raises(ValueError, match=r"action_lessons\.jsonl:1"):
        tune.action_lessons()


class Halves:
    """Two directions: texts about mail, and all others."""

    version = "halves"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        out = np.zeros((len(texts), 384), np.float32)
        for row, text in enumerate(texts):
            out[row, 0 if "mail" in text.lower() else 1] = 1.0
        return out


def test_vectors_move_towards_what_is_told_of_them() -> None:
    taught = tune.tune_actions(Halves())
    at = dict(zip(taught.ids, taught.vectors, strict=True))
    assert at["quarantine_email"][0] > at["isolate_host"][0]
    assert np.linalg.norm(taught.vectors, axis=1) == pytest.approx(1.0, abs=1e-4)


def test_what_ships_is_what_is_taught() -> None:
    model = FastModel(threads=1)
    shipped, now = read_taught(SHIPPED_TAUGHT["action"], model.version), tune.tune_actions(model)
    assert shipped.ids == now.ids
    assert np.einsum("ij,ij->i", shipped.vectors, now.vectors).min() > 0.99
