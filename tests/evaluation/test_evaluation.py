"""Measuring the model: figures as they would be computed by hand, and suites that hold nothing it was trained on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("pydantic_evals", reason="needs the eval extra")
pytest.importorskip("sklearn", reason="needs the eval extra")
pytest.importorskip("scipy", reason="needs the eval extra")

from pydantic_evals import Dataset

from aegis_agents.errors import InputError
from aegis_agents.evaluation import figures, run, suites
from aegis_agents.evaluation.evaluators import Judged, VerdictRight
from aegis_agents.model import FastModel
from aegis_agents.records import VERDICTS, Assessment, Incident, Verdict
from aegis_agents.training.alerts.situations import load_situations
from aegis_agents.training.families import load_families
from aegis_agents.training.parts import part_of
from aegis_agents.training.perturb import CHANGES

ATTACK: Verdict = "true_positive"


def said(verdict: Verdict, confidence: float = 0.8) -> Assessment:
    rest = (1 - confidence) / 3
    return Assessment(
        verdict=verdict, confidence=confidence, probabilities=dict.fromkeys(VERDICTS, rest) | {verdict: confidence},
        severity="high", weights=(), techniques=(), model="m", facts_read=1, facts_skipped=0,
    )  # fmt: skip


def decided(attack: float) -> Assessment:
    """An answer that leaves nothing undetermined: p(attack) against p(false)."""
    shares = dict.fromkeys(VERDICTS, 0.0) | {"true_positive": attack, "false_positive": 1 - attack}
    verdict: Verdict = "true_positive" if attack >= 0.5 else "false_positive"
    return said(verdict).model_copy(update={"probabilities": shares, "confidence": max(attack, 1 - attack)})


def known(verdict: Verdict, family: str = "f", pair: str = "") -> Judged:
    return Judged(verdict=verdict, family=family, pair=pair)


class Reader:
    """Answers by a rule over the incident; a stand-in for the weights."""

    version = "reader@1"

    def assess(self, incident: Incident) -> Assessment:
        if "cmd" in incident.title:
            raise RuntimeError("can't read this")
        return said("true_positive" if incident.source == "generic" else "false_positive")


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962)],
)
def test_a_share_has_its_wilson_interval(k: int, n: int, low: float, high: float) -> None:
    assert figures.Share(k, n).to_json() == {"share": k / n, "k": k, "n": n, "low": low, "high": high}


def test_a_share_of_nothing_says_nothing() -> None:
    assert figures.share_of([]) == {"share": None, "k": 0, "n": 0, "low": 0.0, "high": 1.0}


def test_benign_and_false_count_as_one_and_undetermined_is_a_miss_in_both() -> None:
    rows = [
        (known(ATTACK, "a"), said(ATTACK)), (known(ATTACK, "a"), said("undetermined")),
        (known(ATTACK, "b"), said("benign_positive", 0.95)), (known(ATTACK, "b"), said("false_positive", 0.9)),
        (known("benign_positive", "c"), said("false_positive")), (known("false_positive", "c"), said("benign_positive")),
        (known("false_positive", "c"), said("undetermined")), (known("benign_positive", "d"), said(ATTACK)),
        (known("benign_positive", "d"), said("benign_positive")), (known("undetermined", "e"), said("undetermined")),
    ]  # fmt: skip
    found = figures.verdict_figures(rows)
    counted = {name: (figure["k"], figure["n"]) for name, figure in found.items() if isinstance(figure, dict)}
    assert counted == {
        "detection": (1, 4), "rejection": (3, 5), "coverage": (7, 10), "undetermined called so": (1, 1),
        "attacks called harmless above 0.9": (1, 4),
    }  # fmt: skip
    assert (found["alerts"], found["families"]) == (10, 5)


def test_a_pair_is_right_only_if_both_are() -> None:
    rows = []
    for pair, one, other in (
        ("p1", ATTACK, "false_positive"),  # both right
        ("p2", ATTACK, ATTACK),
        ("p3", "benign_positive", "benign_positive"),
        ("p4", ATTACK, "undetermined"),
    ):
        rows += [(known(ATTACK, pair=pair), said(one)), (known("benign_positive", pair=pair), said(other))]
    rows.append((known(ATTACK, pair="half"), said(ATTACK)))
    found = figures.verdict_figures(rows)["minimal pairs, both right"]
    assert (found["k"], found["n"]) == (1, 4), "half a pair is none"


def test_calibration_error_is_what_it_is_by_hand() -> None:
    # 0.9 sure and right in 5 of 10; 0.6 sure (of harmless) and always right: (10 x 0.4 + 10 x 0.4) / 20.
    rows = [(known(ATTACK if n < 5 else "false_positive", f"a{n}"), decided(0.9)) for n in range(10)]
    rows += [(known("benign_positive", f"b{n}"), decided(0.4)) for n in range(10)]
    rows += [(known("undetermined", "u"), decided(0.9)) for _ in range(10)]
    found = figures.calibration_figures(rows)
    assert (found["alerts"], found["families"]) == (20, 20), "what is undetermined is neither"
    assert found["ece"] == pytest.approx(0.4)
    assert found["brier"] == pytest.approx((5 * 0.01 + 5 * 0.81 + 10 * 0.16) / 20, abs=1e-4)
    assert found["ece low"] < 0.4 < found["ece high"]
    assert [(round(b["confidence"], 6), b["right"], b["n"]) for b in found["bins"]] == [(0.6, 1.0, 10), (0.9, 0.5, 10)]


def test_who_is_as_right_as_sure_has_no_calibration_error() -> None:
    rows = [(known(ATTACK if n < 8 else "false_positive", f"f{n}"), decided(0.8)) for n in range(10)]
    assert figures.calibration_figures(rows)["ece"] == pytest.approx(0.0)


def test_what_was_undetermined_leaves_the_decided_question_alone() -> None:
    answer = said("undetermined").model_copy(
        update={
            "probabilities": {
                "true_positive": 0.3,
                "benign_positive": 0.06,
                "false_positive": 0.04,
                "undetermined": 0.6,
            }
        }
    )
    assert figures.attack_probability(answer) == pytest.approx(0.75)


@pytest.mark.parametrize("make", [suites.situations, suites.minimal_pairs])
def test_situations_and_pairs_are_of_families_that_nothing_learns_from(
    make: Callable[[], suites.Alerts],
) -> None:
    cases = make().cases
    families = {c.metadata.family for c in cases if c.metadata}
    scenarios = {family.partition(":")[2] for family in families}
    assert len(scenarios) > 5
    assert {part_of(s) for s in scenarios} == {"test"}
    assert scenarios <= {s.scenario for _, s in load_situations()}
    assert {c.metadata.verdict for c in cases if c.metadata} >= {ATTACK, "benign_positive", "false_positive"}
    assert len({c.name for c in cases}) == len(cases)


def test_a_pair_is_one_attack_and_one_harmless_alert_that_are_almost_the_same() -> None:
    pairs = defaultdict(list)
    for case in suites.minimal_pairs().cases:
        assert case.metadata is not None
        pairs[case.metadata.pair].append(case)
    for one, two in pairs.values():
        attacks = [c.metadata.verdict == ATTACK for c in (one, two)]
        assert sorted(attacks) == [False, True]
        assert one.inputs.title == two.inputs.title
        assert one.inputs.digest != two.inputs.digest
    assert len(pairs) > 20


def test_generated_suites_draw_from_test_families_only() -> None:
    parts = {f.id: f.part for f in load_families()}
    drawn = suites.unseen_family_examples(40)
    assert {parts[e.family] for e in drawn} == {"test"}
    assert [sum(e.verdict == v for e in drawn) for v in VERDICTS] == [10, 10, 10, 10]
    cases = suites.calibration(suites.Sizes(calibration=8)).cases
    assert {parts[c.metadata.family] for c in cases if c.metadata} == {"test"}


def test_robustness_cases_keep_what_they_were() -> None:
    asked: list[Incident] = []

    def judge(incident: Incident) -> Assessment:
        asked.append(incident)
        return said(VERDICTS[len(asked) % 4])

    cases = suites.robustness(suites.Sizes(robustness=10), judge).cases
    examples = suites.unseen_family_examples(10, seed=29)
    assert [i.id for i in asked] == [e.incident.id for e in examples]
    for case in cases:
        change, _, number = str(case.name).rpartition("-")
        was = examples[int(number)]
        assert case.metadata is not None
        assert (case.metadata.verdict, case.metadata.family, case.metadata.change) == (was.verdict, was.family, change)
        assert case.metadata.before == VERDICTS[(int(number) + 1) % 4]
        assert case.inputs != was.incident
    assert {c.metadata.change for c in cases if c.metadata} == set(CHANGES)


def test_flips_are_counted_by_change() -> None:
    found = run.evaluate(Reader(), ["robustness"], sizes=suites.Sizes(robustness=6), progress=False)["robustness"]  # type: ignore[arg-type]
    assert found["flips, reordered"]["k"] == 0
    assert found["flips, other format"]["k"] == found["flips, other format"]["n"] > 0
    assert found["flips"]["n"] == sum(found[f"flips, {c}"]["n"] for c in CHANGES)
    assert found["flips"]["k"] == found["flips, other format"]["k"]


def test_an_alert_that_fails_is_said_and_not_counted_as_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = suites.situations().cases[:3]
    broken = cases[0].inputs.model_copy(update={"title": "cmd"})
    cases[0] = suites._case("broken", broken, ATTACK, "f")
    monkeypatch.setattr(suites, "situations", lambda: Dataset(name="s", cases=cases, evaluators=[VerdictRight()]))
    found = run.evaluate(Reader(), ["situations"], progress=False)["situations"]  # type: ignore[arg-type]
    assert (found["failures"], found["alerts"]) == (1, 2)


def test_data_from_outside_has_to_be_there(tmp_path: Path) -> None:
    for missing in (None, tmp_path):
        with pytest.raises(InputError, match="dev_cases") as raised:
            suites.need(missing)
        assert raised.value.field == "data"
    (tmp_path / "dev_cases").mkdir()
    assert suites.need(tmp_path) == tmp_path
    with pytest.raises(InputError, match="data"):
        run.evaluate(Reader(), ["ait"], progress=False)  # type: ignore[arg-type]


def test_cases_of_ones_own_are_read_with_their_pairs(tmp_path: Path) -> None:
    folder = tmp_path / "dev_cases" / "tune"
    folder.mkdir(parents=True)
    truth = {"verdict": "true_positive", "techniques": ["T1059.001"], "key_facts": ["cmdline"]}
    rows = [
        {"id": name, "truth": truth, "alert": {"event_id": name, "title": "Script ran"}}
        for name in ("c1a", "c1b", "c2")
    ]
    (folder / "cases.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    cases = suites.triage(tmp_path, "tune").cases
    assert [c.metadata.pair for c in cases if c.metadata] == ["c1", "c1", ""]
    assert cases[0].metadata is not None
    assert cases[0].metadata.techniques == ("T1059.001",)
    assert cases[0].inputs.native_id == "c1a"


def test_the_shipped_model_is_measured_and_the_report_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = suites.situations()
    small = Dataset(name="situations", cases=whole.cases[:8], evaluators=whole.evaluators)
    monkeypatch.setattr(suites, "situations", lambda: small)
    model = FastModel(threads=1)
    found = run.evaluate(model, ["situations"], progress=False)
    figure = found["situations"]
    assert (figure["alerts"], figure["failures"]) == (8, 0)
    by_hand = [
        model.assess(c.inputs).verdict == ATTACK for c in small.cases if c.metadata and c.metadata.verdict == ATTACK
    ]
    assert (figure["detection"]["k"], figure["detection"]["n"]) == (sum(by_hand), len(by_hand))
    run.write(found, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "model.json").read_text()) == found
    text = (tmp_path / "out" / "model.md").read_text()
    assert model.version in text
    assert "## situations" in text
    assert f"({sum(by_hand)}/{len(by_hand)}, " in text
    assert not (tmp_path / "out" / "reliability.png").exists()


def test_the_calibration_suite_comes_with_its_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the eval extra")
    bins = [{"confidence": 0.6, "right": 0.5, "n": 4}, {"confidence": 0.9, "right": 1.0, "n": 9}]
    run.write({"model": "m", "calibration": {"ece": 0.1, "bins": bins}}, tmp_path)
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")
    assert "- ece: 0.1" in (tmp_path / "model.md").read_text()
