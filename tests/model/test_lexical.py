"""The bag of words beside the encoder: it adds what words say, within its bound, and a hidden fact says nothing."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from aegis_agents.model import FastModel, fast
from aegis_agents.model.lexical import Counted, Lexical, count, features
from aegis_agents.sources import parse


def table(words: dict[str, float], *, bound: float = 1.5, bias: float = 0.0) -> bytes:
    known = sorted((int(features(word)[-1]), weight) for word, weight in words.items())
    out = io.BytesIO()
    np.savez(
        out, hashes=np.array([h for h, _ in known], np.uint32), idf=np.ones(len(known), np.float16),
        weights=np.array([w for _, w in known], np.float16), bias=np.array([bias]), bound=np.array([bound]),
    )  # fmt: skip
    return out.getvalue()


def test_words_and_pairs_count_and_unknown_ones_do_not() -> None:
    lexical = Lexical(table({"mimikatz": 1.0, "backup": -1.0, "change ticket": -0.5}))
    assert lexical.attack_odds(["Mimikatz seen"]) == pytest.approx(1.0)
    assert lexical.attack_odds(["nightly backup"]) == pytest.approx(-1.0)
    assert lexical.attack_odds(["mimikatz", "backup"]) == pytest.approx(0.0)
    assert lexical.attack_odds(["change", "ticket"]) == 0.0, "a pair stands within one text"
    assert lexical.attack_odds(["a change ticket"]) == pytest.approx(-0.5)
    assert lexical.attack_odds(["none of these"]) == lexical.attack_odds([]) == 0.0


def test_a_word_said_often_hardly_counts_more_and_the_sum_is_bounded() -> None:
    lexical = Lexical(table({"approved": -9.0, "stolen": 2.0}))
    assert lexical.attack_odds(["approved " * 5000]) == -1.5
    assert Lexical(table({"approved": -9.0}, bound=0.4)).attack_odds(["approved"]) == -0.4


ALERT: dict[str, Any] = {
    "event_id": "x-1",
    "title": "Script ran",
    "cmdline": "procdump lsass",
    "note": "planned by the change board",
}


def test_the_model_adds_it_and_masking_takes_it_away(monkeypatch: pytest.MonkeyPatch) -> None:
    model, incident = FastModel(threads=1), parse(ALERT)
    seen: list[list[str]] = []

    def counted(texts: Iterable[str]) -> Counted:
        seen.append(list(texts))
        return count(seen[-1])

    monkeypatch.setattr(fast, "count", counted)
    monkeypatch.setattr(model._lexical, "odds", lambda said: 0.0)
    without = model.assess(incident)
    monkeypatch.setattr(model._lexical, "odds", lambda said: 1.5)
    attack = model.assess(incident)
    assert attack.probabilities["true_positive"] > without.probabilities["true_positive"]
    assert attack.probabilities["false_positive"] < without.probabilities["false_positive"]
    hidden = next(f.id for f in incident.facts if f.path == "note")
    seen.clear()
    model.assess(incident, masked={hidden})
    assert not any("change board" in text for text in seen[0])
    assert "procdump lsass" in seen[0], "values are read without their field's name"


def test_the_shipped_words_are_bounded_whatever_is_said() -> None:
    lexical = FastModel(threads=1)._lexical
    assert 0 < lexical._bound <= 1.5
    rng = np.random.default_rng(3)
    for _ in range(50):
        text = " ".join(rng.choice(["approved", "ticket", "lsass", "encoded", "backup", "malware", "x"], 200))
        assert abs(lexical.attack_odds([text])) <= lexical._bound
