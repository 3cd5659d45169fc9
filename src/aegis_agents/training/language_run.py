"""A whole run for the language model: lessons from the corpus, training, and the comparison with its own base."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from rich.console import Console

from aegis_agents.errors import InputError
from aegis_agents.model.language.adapter import digest_of
from aegis_agents.model.language.local import Quantise
from aegis_agents.model.protocol import IncidentModel
from aegis_agents.training.alerts.situations import situation_groups
from aegis_agents.training.alerts.written import written_groups
from aegis_agents.training.corpus import Example
from aegis_agents.training.parts import Part
from aegis_agents.training.tune_language import LanguagePlan, evaluate_language, lessons, tune_language


def _alerts(part: Part) -> list[Example]:
    return [e for groups in (situation_groups, written_groups) for g in groups(part) for e in g]


def run_language(
    base: Path, run: Path, model: IncidentModel, *, steps: int = 90, rank: int = 8, quantise: Quantise = "none", held_out: int = 200,
    console: Console | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train an adapter and compare it on `held_out` alerts of situations never trained on; figures go to `run`/language.json.

    `model` ranks the facts that the language model sees, as it does in serving. Raises InputError where `base` holds none.
    """
    console = console or Console(stderr=True)
    if not (base / "config.json").is_file():
        raise InputError(f"{base} holds no language model", field="base", fix="run `aegis model setup`, or give --base")
    console.print("reading lessons")
    adapter = tune_language(
        base, run, lessons(_alerts("train"), model), plan=LanguagePlan(steps=steps, rank=rank), quantise=quantise, console=console
    )  # fmt: skip
    unseen = lessons(_alerts("test"), model)
    chosen = random.Random(5).sample(unseen, min(held_out, len(unseen)))
    console.print(f"comparing with the base on {len(chosen)} held-out alerts")
    found = evaluate_language(base, adapter, chosen)
    made = {
        "adapter": str(adapter), "sha256": digest_of(adapter), "base": "SmolLM2-135M-Instruct", "steps": steps, "rank": rank,
        "quantise": quantise, "alerts": found.n, "families": len({one.family for one in chosen}), "base right": found.base_right,
        "adapter right": found.adapter_right, "only adapter right": found.test.only_new, "only base right": found.test.only_old,
        "p": found.test.p, "facts ranked by": model.version,
    }  # fmt: skip
    (run / "language.json").write_text(json.dumps(made, indent=1) + "\n", "utf-8")
    return made
