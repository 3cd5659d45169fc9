"""The suites: which alerts, and what is known of them."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_evals import Case, Dataset

from aegis_agents.errors import InputError
from aegis_agents.evaluation.evaluators import Judged, SameVerdict, TechniqueInTop, VerdictRight
from aegis_agents.records import Assessment, Incident, Verdict
from aegis_agents.sources import parse
from aegis_agents.training.alerts.situations import Situation, load_situations, tell_variant
from aegis_agents.training.corpus import Example, draw
from aegis_agents.training.families import load_families
from aegis_agents.training.parts import part_of
from aegis_agents.training.perturb import CHANGES, perturb
from aegis_agents.training.real import ait_windows, sigma_events

AlertCase = Case[Incident, Assessment, Judged]
Alerts = Dataset[Incident, Assessment, Judged]


class Sizes(NamedTuple):
    """How many alerts the generated suites draw."""

    calibration: int = 2000
    robustness: int = 1900


def _case(name: str, incident: Incident, verdict: Verdict, family: str, **known: Any) -> AlertCase:
    return Case(name=name, inputs=incident, metadata=Judged(verdict=verdict, family=family, **known))


def _examples(kind: str, examples: Sequence[Example]) -> list[AlertCase]:
    return [
        _case(f"{kind}-{n}", e.incident, e.verdict, e.family, techniques=e.techniques) for n, e in enumerate(examples)
    ]


def unseen_family_examples(n: int, *, seed: int = 23) -> list[Example]:
    """Alerts of the families that neither train nor calibrate; every verdict of a family as often."""
    rng = random.Random(seed)
    families = [f for f in load_families() if f.part == "test"]
    kinds: tuple[Verdict, ...] = ("true_positive", "benign_positive", "false_positive", "undetermined")
    return [draw(rng.choice(families), kinds[i % 4], rng.randrange(1 << 40)) for i in range(n)]


Told = tuple[Situation, str, list[Example]]
"""A situation, its family, and all of its variants as alerts."""


def test_situations() -> Iterator[Told]:
    """Situations that neither train nor develop, with all of their variants."""
    for writer, situation in load_situations():
        if part_of(situation.scenario) == "test":
            yield tell(writer, situation)


def tell(writer: str, situation: Situation) -> Told:
    """The situation with all of its variants."""
    family = f"{writer}:{situation.scenario}"
    return situation, family, [tell_variant(situation, v, family) for v in situation.variants]


def calibration(sizes: Sizes) -> Alerts:
    """Generated alerts of test families: are the probabilities right?"""
    cases = _examples("generated", unseen_family_examples(sizes.calibration))
    return Dataset(name="calibration", cases=cases, evaluators=[VerdictRight()])


def situations() -> Alerts:
    """Whole alerts of situations not trained on."""
    cases = _examples("situation", [e for _, _, told in test_situations() for e in told])
    return Dataset(name="situations", cases=cases, evaluators=[VerdictRight()])


def minimal_pairs(most: int = 1, among: Iterable[Told] | None = None) -> Alerts:
    """Variants of one situation (of a test situation, if not told `among` which) that differ in whether it was an
    attack, and in at most `most` fields."""
    cases: list[AlertCase] = []
    for situation, family, told in test_situations() if among is None else among:
        for a, b in itertools.combinations(range(len(told)), 2):
            verdicts = {told[a].verdict, told[b].verdict}
            alike = (told[a].verdict == "true_positive") == (told[b].verdict == "true_positive")
            retold = told[a].incident.title != told[b].incident.title  # where the field that differs is read as title
            if "undetermined" in verdicts or alike or retold:
                continue
            one, two = situation.variants[a].set, situation.variants[b].set
            if sum(one.get(k) != two.get(k) for k in one.keys() | two.keys()) <= most:
                pair = f"{family}/{a}-{b}"
                cases += [_case(f"{pair}:{i}", told[i].incident, told[i].verdict, family, pair=pair) for i in (a, b)]
    return Dataset(name="minimal_pairs", cases=cases, evaluators=[VerdictRight()])


def robustness(sizes: Sizes, judge: Any) -> Alerts:
    """Cosmetic changes to alerts of test families: each must keep the verdict that `judge` gave before."""
    rng, cases = random.Random(31), []
    for n, example in enumerate(unseen_family_examples(sizes.robustness, seed=29)):
        before = judge(example.incident).verdict
        for change in CHANGES:
            if (changed := perturb(example.alert, example.format, change, rng)) is not None:
                cases.append(
                    _case(f"{change}-{n}", changed, example.verdict, example.family, before=before, change=change)
                )
    return Dataset(name="robustness", cases=cases, evaluators=[SameVerdict()])


def is_test_document(title: str) -> bool:
    """Whether a report belongs to the test half of TRAM, by a hash of its title."""
    return hashlib.sha256(title.encode()).digest()[0] % 2 == 1


def techniques(data: Path) -> Dataset[str, tuple[str, ...], Judged]:
    """TRAM sentences of documents not trained on (Apache-2.0): is the technique among the first three?"""
    rows = json.loads((data / "tram" / "single_label.json").read_text("utf-8"))
    cases = [
        Case(name=f"tram-{n}", inputs=row["text"], metadata=Judged(verdict="true_positive", family=row["doc_title"], techniques=(row["label"],)))
        for n, row in enumerate(rows) if is_test_document(row["doc_title"])
    ]  # fmt: skip
    return Dataset(name="techniques", cases=cases, evaluators=[TechniqueInTop()])


def triage(data: Path, half: str) -> Alerts:
    """One half of dev_cases. `report` is for reporting: nothing may be chosen by it."""
    cases = []
    for line in (data / "dev_cases" / half / "cases.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        truth, pair = row["truth"], row["id"][:-1] if row["id"][-1] in "ab" else ""
        known = {"techniques": tuple(truth["techniques"]), "key_facts": tuple(truth["key_facts"]), "pair": pair}
        cases.append(_case(row["id"], parse(row["alert"]), truth["verdict"], row["id"], **known))
    return Dataset(name=f"triage_{half}", cases=cases, evaluators=[VerdictRight(), TechniqueInTop()])


def ait(data: Path) -> Alerts:
    """AIT-ADS scenarios that were not trained on, each pattern once (CC BY 4.0)."""
    return Dataset(
        name="ait", cases=_examples("ait", list(ait_windows(data, training=False))), evaluators=[VerdictRight()]
    )


def sigma(data: Path) -> Alerts:
    """Events of Sigma rules that were not trained on (DRL 1.1): attacks all, so they say nothing of false alarms."""
    cases = _examples("sigma", list(sigma_events(data, training=False)))
    return Dataset(name="sigma", cases=cases, evaluators=[VerdictRight(), TechniqueInTop()])


def need(data: Path | None) -> Path:
    """The folder with outside data. Raises InputError where there is none."""
    if data is None or not (data / "dev_cases").is_dir():
        raise InputError(
            "holds no development data", field="data", fix="give the folder with dev_cases, ait_ads, sigma, tram"
        )
    return data
