"""Techniques move to where lessons find them; nothing that evaluates is learnt from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="needs the train extra")

from aegis_agents.errors import InputError
from aegis_agents.intel.taught import Taught, read_taught, write_taught
from aegis_agents.training import retrieval_lessons as sources
from aegis_agents.training import tune_retrieval as tune
from aegis_agents.training.retrieval_lessons import Lesson, Seen


def _rule(author: str, title: str, **more: Any) -> dict[str, Any]:
    return {
        "title": title,
        "description": f"Detects {title}",
        "author": author,
        "references": [],
        "attack": ["T1003"],
    } | more


def _author_of(part: str) -> str:
    return next(f"author {n}" for n in range(50) if sources.part_of_rule(_rule(f"author {n}", "x")) == part)


def test_vectors_move_towards_their_lessons() -> None:
    draw = np.random.default_rng(0)
    ids = ["T1", "T2", "T3", "T4"]
    start = np.eye(4, 384, dtype=np.float32)
    # every technique is asked for in a direction that its own text does not have
    asked = draw.normal(size=(40, 384)).astype(np.float32) * 0.02
    lessons = [Lesson("", (ids[n % 4],)) for n in range(40)]
    for n in range(40):
        asked[n, 100 + n % 4] += 1
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    taught = tune.fit({"procedures": lessons}, asked, ids, start, tune.Plan(steps=40, batch=16, rate=0.05))
    right = [n % 4 for n in range(40)]
    assert (asked @ taught.vectors.T).argmax(1).tolist() == right
    assert np.linalg.norm(taught.vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    again = tune.fit({"procedures": lessons}, asked, ids, start, tune.Plan(steps=40, batch=16, rate=0.05))
    assert np.array_equal(again.vectors, taught.vectors)


def test_a_technique_of_which_only_its_description_tells_is_still_found() -> None:
    ids, start = ["T1", "T2"], np.eye(2, 384, dtype=np.float32)
    lessons = {"procedures": [Lesson("", ("T1",))] * 20, "descriptions": [Lesson("", ("T1",)), Lesson("", ("T2",))]}
    # whoever asks for T1 leans far towards the text of T2
    asked = np.repeat([[0.3, 1.0]], 20, axis=0).astype(np.float32)
    queries = np.zeros((22, 384), np.float32)
    queries[:20, :2] = asked / np.linalg.norm(asked, axis=1, keepdims=True)
    queries[20:] = start
    taught = tune.fit(lessons, queries, ids, start, tune.Plan(steps=60, batch=16, rate=0.02))
    assert taught.lessons == (20, 0)
    assert (start @ taught.vectors.T).argmax(1).tolist() == [0, 1]
    assert (queries[0] @ taught.vectors.T).argmax() == 0


def test_without_lessons_it_refuses() -> None:
    with pytest.raises(InputError, match="lessons"):
        tune.fit({"procedures": []}, np.zeros((0, 384), np.float32), ["T1"], np.eye(1, 384, dtype=np.float32))


def test_rare_techniques_and_small_sources_are_drawn_more() -> None:
    common, rare = [Lesson("", ("T1",))] * 9, [Lesson("", ("T2",))]
    chance = tune.chances({"procedures": common + rare, "rules": [Lesson("", ("T3",))]})
    assert chance.sum() == pytest.approx(1)
    assert chance[9] == pytest.approx(3 * chance[0])
    both = tune.SHARES["procedures"] + tune.SHARES["rules"]
    assert chance[10] == pytest.approx(tune.SHARES["rules"] / both)  # however few its lessons


def test_ids_of_other_releases_are_told_in_this_ones_terms() -> None:
    found = tune.known(
        {"rules": [Lesson("a", ("T1685", "T0000")), Lesson("b", ("T0000",))]}, {"T1562.001": "T1562.001"}
    )
    assert found == {"rules": [Lesson("a", ("T1562.001",))]}


def test_near_duplicates_are_noticed_and_others_are_not() -> None:
    seen = Seen(["the actor dumped credentials from lsass memory", "files were encrypted"], at_least=0.5)
    assert seen.near("The actor dumped credentials from LSASS memory with a tool")
    assert not seen.near("The actor listed running services")
    assert not seen.near("")


def test_near_duplicates_are_those_of_comparing_with_everything() -> None:
    draw = np.random.default_rng(3)
    texts = [" ".join(f"w{n:02}" for n in draw.integers(0, 24, size=draw.integers(1, 12))) for _ in range(120)]
    seen = Seen(texts[:60], at_least=0.5)
    for text in texts[60:]:
        mine = sources.words(text)
        slow = any(len(mine & o) / len(mine | o) >= 0.5 for o in map(sources.words, texts[:60]))
        assert seen.near(text) == slow


def test_rules_of_other_parts_and_their_likes_teach_nothing(tmp_path: Path) -> None:
    train, report = _author_of("train"), _author_of("report")
    rules = [
        _rule(train, "Dumping of LSASS memory by a signed binary"),
        _rule(report, "Archive of secrets by command line tools"),
        _rule(train, "Archive of secrets by command line tools"),
        _rule(train, "Clearing of the event log", references=["https://github.com/x/atomic-red-team/T1070"]),
        _rule(train, "Something without a technique", attack=[]),
        _rule(_author_of("tune"), "Registry run keys changed from a shell"),
    ]
    (tmp_path / "sigma").mkdir()
    (tmp_path / "sigma" / "rules.jsonl").write_text("\n".join(map(json.dumps, rules)), "utf-8")
    assert [x.text for x in sources.rule_lessons(tmp_path)] == [sources.rule_text(rules[0])]


def test_examples_of_what_a_title_names_are_left_out() -> None:
    everything = list(sources.procedure_examples([], Seen([], at_least=0.5)))
    without = list(sources.procedure_examples(["How Emotet spreads"], Seen([], at_least=0.5)))
    assert len(everything) > 10_000
    assert 0 < len(everything) - len(without) < 300
    assert not [x for x in without if x.text.startswith("Emotet ")]
    assert not [x for x in everything[:500] if "](" in x.text or "Citation" in x.text]


def test_vectors_are_encoded_once_and_belong_to_one_model(tmp_path: Path) -> None:
    class Counting:
        version = "a@1"
        asked = 0

        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            self.asked += len(texts)
            return np.eye(384, dtype=np.float32)[[len(t) for t in texts]]

    model = Counting()
    first = tune.Remembering(model, tmp_path / "v.npz").embed(["aaa", "b", "aaa"])
    assert first.argmax(1).tolist() == [3, 1, 3]
    again = tune.Remembering(model, tmp_path / "v.npz").embed(["b", "aaa"])
    assert again.argmax(1).tolist() == [1, 3]
    assert model.asked == 2
    model.version = "a@2"
    tune.Remembering(model, tmp_path / "v.npz").embed(["b"])
    assert model.asked == 3


def test_what_was_encoded_before_it_was_stopped_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopping:
        version = "a@1"
        asked: list[str] = []

        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if "bbb" in texts:
                raise KeyboardInterrupt
            self.asked.extend(texts)
            return np.eye(384, dtype=np.float32)[[len(t) for t in texts]]

    monkeypatch.setattr(tune, "CHUNK", 1)
    model = Stopping()
    with pytest.raises(KeyboardInterrupt):
        tune.Remembering(model, tmp_path / "v.npz").embed(["a", "bbb"])
    tune.Remembering(model, tmp_path / "v.npz").embed(["a"])
    assert model.asked == ["a"]
    assert [f.name for f in tmp_path.iterdir()] == ["v.npz"]


def test_what_was_taught_is_for_its_model_only(tmp_path: Path) -> None:
    taught = Taught(("T1", "T2"), np.eye(2, 384, dtype=np.float32), (3, 0))
    write_taught(taught, "a@1", tmp_path / "run" / tune.FILE)
    read = read_taught(tmp_path / "run" / tune.FILE, "a@1")
    assert (read.ids, read.lessons) == (taught.ids, taught.lessons)
    assert np.array_equal(read.vectors, taught.vectors)
    with pytest.raises(InputError, match="a@1"):
        read_taught(tmp_path / "run" / tune.FILE, "a@2")
