"""A whole run for the language model: lessons from the corpus, training, and the comparison with its own base."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from rich.console import Console

from aegis_agents.errors import InputError
from aegis_agents.model.language.adapter import check_adapter, digest_of
from aegis_agents.model.language.local import Quantise
from aegis_agents.model.protocol import IncidentModel
from aegis_agents.training.alerts.situations import situation_groups
from aegis_agents.training.alerts.written import written_groups
from aegis_agents.training.corpus import Example
from aegis_agents.training.parts import Part
from aegis_agents.training.tune_language import STANDARD, evaluate_language, evaluate_words, lessons, tune_language

MOST_FAMILIES, OF_A_FAMILY = 1500, 4
"""That a run draws from: the fast model reads each of these alerts first."""
MOST_WORDED = 40
"""Held-out alerts that sentences are asked for: each takes seconds."""


def _groups(part: Part) -> list[list[Example]]:
    return [group for told in (situation_groups, written_groups) for group in told(part)]


def _to_train() -> list[Example]:
    """A few alerts each of as many families."""
    rng, groups = random.Random(5), _groups("train")
    picked = rng.sample(groups, min(MOST_FAMILIES, len(groups)))
    return [e for group in picked for e in rng.sample(group, min(OF_A_FAMILY, len(group)))]


def _held_out(most: int) -> list[Example]:
    alerts = [e for group in _groups("test") for e in group]
    return random.Random(5).sample(alerts, min(most, len(alerts)))


def run_language(
    base: Path, run: Path, model: IncidentModel, *, steps: int = STANDARD.steps, rank: int = STANDARD.rank, words: float = STANDARD.words, quantise: Quantise = "none", held_out: int = 200,
    console: Console | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train an adapter and compare it on `held_out` alerts of situations never trained on; figures go to `run`/language.json.

    With no steps nothing is trained, and the shipped adapter is compared. `model` ranks the facts that the language model
    sees, as it does in serving. Raises InputError where `base` holds none.
    """
    console = console or Console(stderr=True)
    if not (base / "config.json").is_file():
        raise InputError(f"{base} holds no language model", field="base", fix="run `aegis model setup`, or give --base")
    run.mkdir(parents=True, exist_ok=True)
    console.print("reading lessons")
    if steps:
        plan = STANDARD._replace(steps=steps, rank=rank, words=words)
        train = lessons(_to_train(), model)
        adapter = tune_language(base, run, train, plan=plan, quantise=quantise, console=console)
    else:
        adapter, _ = check_adapter()
    chosen = lessons(_held_out(held_out), model)
    console.print(f"comparing with the base on {len(chosen)} held-out alerts")
    found = evaluate_language(base, adapter, chosen, quantise=quantise)
    worded = evaluate_words(base, adapter, chosen[:MOST_WORDED], quantise=quantise)
    made = {
        "adapter": str(adapter) if steps else "shipped", "sha256": digest_of(adapter), "base": base.name,
        **({"steps": steps, "rank": rank, "words": words} if steps else {}), "quantise": quantise, "alerts": found.n, "families": len({one.family for one in chosen}), "base right": found.base_right,
        "adapter right": found.adapter_right, "fast path right": sum(one.right(one.fast) for one in chosen), "only adapter right": found.test.only_new, "only base right": found.test.only_old,
        "p": found.test.p, "sentences": worded.n, "sentences that quote what they cite": worded.quoted,
        "sentences that side with its weight": worded.sided, "facts ranked by": model.version,
    }  # fmt: skip
    (run / "language.json").write_text(json.dumps(made, indent=1) + "\n", "utf-8")
    return made
