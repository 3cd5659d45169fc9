"""Rankings are scored as said, parts stay apart, and the report says what was measured."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="needs the train extra")

from aegis_agents.intel import Intel
from aegis_agents.intel.actions import action_documents
from aegis_agents.intel.attack import attack_documents
from aegis_agents.intel.crosswalk import base_technique
from aegis_agents.intel.taught import Taught
from aegis_agents.intel.uses import USES
from aegis_agents.records import CATALOGUE
from evals import retrieval, retrieval_scoring
from evals.retrieval_needs import needs
from evals.retrieval_report import to_markdown
from evals.retrieval_scoring import exact_mcnemar, figures, score, versus
from evals.retrieval_suites import Resolve, Suite, suite, technique_suites
from evals.retrieval_systems import Bm25, Found, by_rank, vectors

DATA = os.environ.get("AEGIS_DEV_DATA")


class Buckets:
    """Words hashed into 384 buckets."""

    version = "buckets"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        out = np.full((len(texts), 384), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                out[row, int(hashlib.sha256(word.encode()).hexdigest(), 16) % 384] += 1
        unit: NDArray[np.float32] = out / np.linalg.norm(out, axis=1, keepdims=True)
        return unit


def test_base_level_forgives_the_sub_technique_but_not_the_place() -> None:
    rankings = [["T1059.003", "T1003"], ["T1", "T2", "T3", "T4", "T5", "T1059"], []]
    right = [["T1059.001"], ["T1059.001"], ["T1059.001"]]
    exact, base = score(rankings, right, str), score(rankings, right, base_technique)
    assert exact.hit5.tolist() == [0, 0, 0]
    assert base.hit1.tolist() == [1, 0, 0]
    assert base.hit5.tolist() == [1, 0, 0]  # the sixth row is no hit among five
    assert base.reciprocal.tolist() == pytest.approx([1, 1 / 6, 0])


def test_recall_counts_every_right_id() -> None:
    (row,) = score([["a", "b", "c"]], [["a", "c", "x", "y"]], str).recall5
    assert row == 0.5


def test_figures_hold_their_value_within_the_interval() -> None:
    scores = score([["a"]] * 30 + [["b"]] * 10, [["a"]] * 40, str)
    for figure in figures(scores).values():
        assert figure["value"] == 0.75
        assert 0.5 < figure["low"] < 0.75 < figure["high"] < 0.9


def test_mcnemar_agrees_with_the_binomial() -> None:
    assert exact_mcnemar(0, 0) == 1
    assert exact_mcnemar(5, 5) == 1
    assert exact_mcnemar(0, 10) == pytest.approx(2 / 1024)


def test_comparison_tells_who_found_what() -> None:
    ours = score([["a"]] * 20, [["a"]] * 20, str)
    other = score([["a"]] * 5 + [["b"]] * 15, [["a"]] * 20, str)
    found = versus(ours, other)
    assert (found["only ours"], found["only the other"]) == (15, 0)
    assert found["recall@5 gain"] == 0.75
    assert 0.5 < found["low"] < found["high"] <= 1
    assert found["p"] < 0.001


def test_both_sides_rank_by_what_they_know() -> None:
    documents = [d for d in attack_documents() if d.corpus == "technique"][:40]
    words = Bm25(documents)
    assert words.find(f"the {documents[7].title}", 5).rows[0] == 7
    assert words.find("the of and", 5).rows == []
    assert words.find('NEAR("x" OR -*', 5) is not None  # no operator of FTS5 survives
    held = Buckets().embed([d.to_embed for d in documents])
    near = vectors(held[11], held, 5)
    assert near.rows[0] == 11
    assert near.scores == sorted(near.scores, reverse=True)
    assert by_rank(near, Found([11], [1.0]))[0] == 11


def test_one_text_with_two_labels_is_one_question() -> None:
    asked = [("same", ["T1"]), ("same", ["T2"]), ("lost", ["T9"]), ("", ["T1"])]
    found = suite("s", "tune", asked, {"T1": "T1", "T2": "T2"}.get)
    assert [(q.text, q.right) for q in found.questions] == [("same", ("T1", "T2"))]
    assert found.dropped == 2


def test_needs_ask_for_every_action_in_both_halves() -> None:
    tune, report = needs("tune"), needs("report")
    assert len(tune) + len(report) >= 60
    assert not {n.text for n in tune} & {n.text for n in report}
    for half in (tune, report):
        assert {a for n in half for a in n.actions} == set(CATALOGUE)


def test_every_action_has_uses_and_is_found_by_them() -> None:
    assert set(USES) == set(CATALOGUE)
    documents = action_documents()
    words = Bm25(documents)
    for row, document in enumerate(documents):
        assert words.find(USES[document.id][0], 1).rows == [row]  # type: ignore[index]
        bare = retrieval.without_uses(document)
        for use in USES[document.id]:  # type: ignore[index]
            assert use in document.to_embed
            assert use not in bare.to_embed + bare.text


def test_questions_of_rare_techniques_stand_apart() -> None:
    asked = suite("s", "report", [("1", ["T1"]), ("2", ["T2"]), ("3", ["T1", "T2"])], {"T1": "T1", "T2": "T2"}.get)
    rare = retrieval.few_lessons(asked, {"T1": 4, "T2": 5})
    assert [q.text for q in rare.questions] == ["1"]


def test_the_constant_answer_is_counted_on_the_tune_part() -> None:
    known = {"a": "a", "b": "b"}.get
    tune = suite("s", "tune", [("1", ["b"]), ("2", ["b"]), ("3", ["a"])], known, corpus="action")
    report = suite("s", "report", [(str(n), ["a"]) for n in range(9)], known, corpus="action")
    assert retrieval.commonest([tune, report], "s", ["a", "b", "c"]) == [1, 0, 2]


@pytest.mark.skipif(not DATA, reason="AEGIS_DEV_DATA is not set")
def test_parts_of_the_technique_suites_share_no_source() -> None:
    suites = technique_suites(Path(DATA or ""), lambda t: t)
    sizes = {(s.name.partition(":")[0], s.part): len(s.questions) for s in suites}
    assert sizes["TRAM", "tune"] > 1000
    assert sizes["TRAM", "report"] > 1000
    assert sizes["Sigma", "report"] > 500
    assert not [s for s in suites if s.name.startswith("Atomic") and s.part == "tune"]
    rules = {p: {q.text for s in suites if s.name.startswith("Sigma") and s.part == p for q in s.questions} for p in ("tune", "report")}  # fmt: skip
    assert not rules["tune"] & rules["report"]


@pytest.mark.skipif(not DATA, reason="AEGIS_DEV_DATA is not set")
def test_a_small_run_writes_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = technique_suites

    def few(data: Path, resolve: Resolve) -> list[Suite]:
        return [s._replace(questions=s.questions[:8]) for s in whole(data, resolve)]

    monkeypatch.setattr(retrieval, "technique_suites", few)
    monkeypatch.setattr(retrieval_scoring, "RESAMPLES", 20)
    model = Buckets()
    techniques = [d for d in attack_documents() if d.corpus == "technique"]
    taught = Taught(
        tuple(d.id for d in techniques), model.embed([d.to_embed for d in techniques]), (9,) * len(techniques)
    )
    with Intel.build(tmp_path / "intel", model) as intel:
        report = retrieval.run(Path(DATA or ""), taught, intel, model, model)
    report["ms beyond the encoder"] = {"median": 0.1, "p95": 0.2}
    first = report["suites"][0]
    assert first["n"] == 8
    assert {*retrieval.BASELINES, retrieval.OURS} <= set(first["exact"])
    # the same encoder on both sides: neither can win
    assert first["exact"]["untuned encoder"] == first["exact"]["our encoder"]
    assert json.loads(json.dumps(report))["techniques"] == len(techniques)
    text = to_markdown(report)
    assert text.index("(report, n") < text.index("(tune, n")
    assert retrieval.OURS in text


def test_without_data_it_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("AEGIS_DEV_DATA", raising=False)
    monkeypatch.setattr("sys.argv", ["retrieval"])
    assert retrieval.main() == 2
    assert "AEGIS_DEV_DATA" in capsys.readouterr().err
