"""Ways to judge an alert, measured alike: `python -m evals.bakeoff --data PREPARED [--dev DIR] [--language HOME]`.

All learn from the train part of one prepared set and judge the same test situations
(and dev_cases/report, where --dev names the development data). Size is what must be kept to
answer, ms the median for one alert alone, on two threads. The language model reads what the
first way cites, with its weights: its row is of both. Writes evals/reports/bakeoff.{md,json}.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aegis_agents.evaluation.figures import Share
from aegis_agents.evaluation.suites import test_situations
from aegis_agents.model import FastModel
from aegis_agents.model.files import shipped_folder
from aegis_agents.model.text import read
from aegis_agents.records import VERDICTS, Incident
from aegis_agents.sources import parse
from aegis_agents.training.corpus import Example
from aegis_agents.training.prepare.dataset import read_dataset

REPORTS = Path(__file__).parent / "reports"
Shares = Callable[[Incident], Sequence[float]]
"""Probabilities in the order of VERDICTS."""


class System(NamedTuple):
    """A way to judge, what it weighs in MB, and what it is."""

    name: str
    megabytes: float
    judge: Shares


def text_of(incident: Incident) -> str:
    """The whole alert as the model reads it."""
    return " ; ".join(p.text for p in read(incident)[0])


def _classifier(train: list[Example]) -> tuple[list[str], np.ndarray]:
    known = [e for e in train if e.severity]
    return [text_of(e.incident) for e in known], np.array([VERDICTS.index(e.verdict) for e in known])


def bag_of_words(train: list[Example]) -> System:
    """TF-IDF of words and pairs, logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts, labels = _classifier(train)
    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2, max_features=80_000),
        LogisticRegression(max_iter=600, C=4, class_weight="balanced"),
    ).fit(texts, labels)
    size = (model[0].vocabulary_.__len__() * 24 + model[1].coef_.nbytes) / 1e6
    return System(f"bag of words ({len(texts)} alerts)", size, lambda i: model.predict_proba([text_of(i)])[0])


def frozen_whole_text(train: list[Example], *, most: int, seed: int = 7) -> System:
    """One vector for the whole text (cut at 256 tokens), logistic regression; the encoder is not moved."""
    import torch
    from sklearn.linear_model import LogisticRegression

    from aegis_agents.training.tune_facts import Texts, load_tuned

    encoder, texts = load_tuned(None).eval(), Texts(max_tokens=256)

    def embed(what: list[str]) -> np.ndarray:
        with torch.inference_mode():
            parts = [encoder(*texts(what[i : i + 16])).numpy() for i in range(0, len(what), 16)]
        return np.concatenate(parts)

    read_all, labels = _classifier(random.Random(seed).sample(train, min(most, len(train))))
    model = LogisticRegression(max_iter=2000, C=20, class_weight="balanced").fit(embed(read_all), labels)
    return System(
        f"whole text, MiniLM as published, logistic regression ({len(read_all)} alerts)",
        90.9,
        lambda i: model.predict_proba(embed([text_of(i)]))[0],
    )


def tuned_whole_text(train: list[Example], *, epochs: int, most: int, seed: int = 7) -> System:
    """MiniLM fine-tuned on whole texts (cut at 256 tokens), a linear layer over its mean."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    from aegis_agents.training.tune_facts import Texts, half_precision, load_tuned, ready_to_train

    torch.manual_seed(seed)
    encoder, texts, layer = ready_to_train(load_tuned(None)), Texts(max_tokens=256), nn.Linear(384, 4)
    rng = random.Random(seed)
    read_all, labels = _classifier(rng.sample(train, min(most, len(train))))
    order = list(range(len(read_all)))
    optimiser = torch.optim.AdamW(
        [{"params": encoder.parameters(), "lr": 5e-5}, {"params": layer.parameters(), "lr": 1e-3}]
    )
    steps, size = epochs * (len(order) // 16), 16
    for step in range(steps):
        if step % (len(order) // size) == 0:
            rng.shuffle(order)
        at = step % (len(order) // size) * size
        rows = order[at : at + size]
        with half_precision():
            vectors = encoder(*texts([read_all[i] for i in rows])).float()
        loss = F.cross_entropy(layer(vectors) * 4, torch.from_numpy(labels[rows]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    encoder.eval()

    def judge(incident: Incident) -> Sequence[float]:
        with torch.inference_mode():
            found: list[float] = torch.softmax(layer(encoder(*texts([text_of(incident)])) * 4)[0], -1).tolist()
        return found

    return System(f"whole text, MiniLM fine-tuned ({len(read_all)} alerts, {steps} steps)", 90.9, judge)


def nearest(train: list[Example], model: FastModel, *, most: int, k: int = 7, seed: int = 7) -> System:
    """The k nearest training alerts vote by likeness; our encoder's vectors."""
    train = random.Random(seed).sample(train, min(most, len(train)))
    matrix = np.stack([model.embed_incident(e.incident) for e in train])
    labels = np.array([VERDICTS.index(e.verdict) for e in train])

    def judge(incident: Incident) -> Sequence[float]:
        likeness = matrix @ model.embed_incident(incident)
        near = np.argpartition(-likeness, k)[:k]
        votes = np.bincount(labels[near], weights=likeness[near], minlength=4)
        found: list[float] = (votes / votes.sum()).tolist()
        return found

    return System(f"nearest neighbours alone (k={k}, {len(train)} alerts)", 26 + matrix.nbytes / 1e6, judge)


def evidence(model: FastModel) -> System:
    """What ships: per-fact evidence, int8."""
    size = sum(f.stat().st_size for f in shipped_folder().iterdir()) / 1e6

    def judge(incident: Incident) -> Sequence[float]:
        shares = model.assess(incident).probabilities
        return [shares[v] for v in VERDICTS]

    return System(f"per-fact evidence ({model.version})", size, judge)


def language(home: Path, model: FastModel) -> System:
    """SmolLM2-135M with our adapter, scoring four answers after a cached beginning; it reads what the evidence cites, with
    the weights that the fast path gave it."""
    from aegis_agents.model.language.base import base_folder
    from aegis_agents.model.language.local import LocalChat
    from aegis_agents.training.tune_language import lessons

    chat = LocalChat(folder=base_folder(home))

    def judge(incident: Incident) -> Sequence[float]:
        unknown = (-1,) * len(incident.facts)
        one = lessons([Example(incident, "undetermined", "low", (), unknown, "", "", {}, "")], model)[0]
        shares = chat.lean(list(one.facts)).shares
        return [shares[v] for v in VERDICTS]

    return System("SmolLM2-135M + LoRA, scoring, shown the evidence and its weights", 544, judge)


def measure(system: System, cases: list[tuple[Incident, str]]) -> dict[str, Any]:
    """Figures of one system over cases; its own probabilities decide, attack against harmless, argmax for undetermined."""
    shares, times = [], []
    for incident, _ in cases:
        started = time.perf_counter()
        shares.append(list(system.judge(incident)))
        times.append((time.perf_counter() - started) * 1000)
    p = np.array(shares)
    truth = np.array([VERDICTS.index(v) for _, v in cases])  # type: ignore[arg-type]
    harmless = p[:, 1] + p[:, 2]
    said = np.where(p[:, 3] > np.maximum(p[:, 0], harmless), 3, np.where(p[:, 0] >= harmless, 0, 1))
    told = truth != 3
    attack = p[told, 0] / np.maximum(p[told, 0] + harmless[told], 1e-12)
    confidence, right = np.maximum(attack, 1 - attack), (attack >= 0.5) == (truth[told] == 0)
    place = np.minimum((confidence * 10).astype(int), 9)
    ece = sum(
        abs(confidence[place == b].mean() - right[place == b].mean()) * (place == b).mean() for b in set(place.tolist())
    )
    score = attack[truth[told] == 0][:, None] - attack[truth[told] != 0][None, :]
    return {
        "detection": Share(int((said[truth == 0] == 0).sum()), int((truth == 0).sum())).to_json(),
        "rejection": Share(int((said[(truth == 1) | (truth == 2)] == 1).sum()), int(((truth == 1) | (truth == 2)).sum())).to_json(),
        "coverage": Share(int((said != 3).sum()), len(said)).to_json(),
        "auc": round(float((score > 0).mean() + 0.5 * (score == 0).mean()), 4),
        "ece": round(float(ece), 4), "ms": round(statistics.median(times), 1), "MB": round(system.megabytes, 1),
    }  # fmt: skip


def to_markdown(found: dict[str, dict[str, Any]]) -> str:
    """A table a set of cases."""
    lines = ["# Bake-off", "", (__doc__ or "").split("\n\n")[1].replace("\n", " "), ""]
    for cases, rows in found.items():
        lines += [
            f"## {cases}",
            "",
            "| way | MB | ms | detection | rejection | coverage | AUC | ECE |",
            "|---" * 8 + "|",
        ]
        for name, row in rows.items():
            shares = [
                f"{row[k]['share']:.2f} ({row[k]['low']:.2f} to {row[k]['high']:.2f})"
                for k in ("detection", "rejection", "coverage")
            ]
            lines.append(
                f"| {name} | {row['MB']} | {row['ms']} | {' | '.join(shares)} | {row['auc']:.3f} | {row['ece']:.3f} |"
            )
        lines.append("")
    return "\n".join(lines)


def others(given: argparse.Namespace, model: FastModel) -> list[System]:
    """All ways but the language model, taught on the prepared set."""
    alerts = list(read_dataset(given.data))
    train = [a.example() for a in alerts if a.split == "train" and a.source in ("situations", "written")]
    systems = [
        evidence(model),
        nearest(train, model, most=given.most),
        bag_of_words(train),
        frozen_whole_text(train, most=given.most),
    ]
    return systems + ([tuned_whole_text(train, epochs=given.epochs, most=given.most)] if given.epochs else [])


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a prepared set (aegis train prepare)")
    parser.add_argument("--dev", type=Path, help="the development data, for dev_cases/report")
    parser.add_argument("--language", type=Path, help="a home in which `aegis model setup` has run")
    parser.add_argument(
        "--epochs", type=int, default=1, help="of the fine-tuned whole-text classifier; 0 leaves it out"
    )
    parser.add_argument(
        "--most", type=int, default=3000, help="alerts that the whole-text ways learn from; time is what limits it"
    )
    parser.add_argument("--judged", type=int, default=600, help="test alerts that every way judges, drawn at random")
    parser.add_argument(
        "--only-language",
        action="store_true",
        help="measure the language model alone, and keep the other rows as they are",
    )
    given = parser.parse_args()
    if given.only_language and not given.language:
        parser.error("--only-language needs --language")
    if not given.only_language and not given.data:
        parser.error("give --data, which all but the language model learn from")
    every = [e for _, _, told in test_situations() for e in told]
    held_out = random.Random(9).sample(every, min(given.judged, len(every)))
    cases = {f"test situations ({len(held_out)} alerts)": [(e.incident, str(e.verdict)) for e in held_out]}
    if given.dev:
        rows = [
            json.loads(row)
            for row in (given.dev / "dev_cases" / "report" / "cases.jsonl").read_text("utf-8").splitlines()
        ]
        cases[f"dev_cases/report ({len(rows)} alerts)"] = [(parse(r["alert"]), r["truth"]["verdict"]) for r in rows]
    model = FastModel(threads=2, cache=0)
    systems = [] if given.only_language else others(given, model)
    systems += [language(given.language, model)] if given.language else []
    before = json.loads((REPORTS / "bakeoff.json").read_text("utf-8")) if given.only_language else {}
    found = {
        name: before.get(name, {}) | {s.name: measure(s, chosen) for s in systems} for name, chosen in cases.items()
    }
    (REPORTS / "bakeoff.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (REPORTS / "bakeoff.md").write_text(to_markdown(found), "utf-8")
    print(to_markdown(found))


if __name__ == "__main__":
    main()
