"""First stage: teach the encoder what single facts say.

Two tasks on one batch of facts: the stance (does it speak for an attack, for
authorisation, for a wrong detection, or for nothing), and the ATT&CK technique, as
InfoNCE against technique texts (van den Oord et al. 2018). Field names are dropped and
swapped at random, so that products' habits are not learnt by heart.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as F

from aegis_agents.model.encoder import MAX_TOKENS
from aegis_agents.model.text import field_name, read
from aegis_agents.training.alerts import whole_alerts
from aegis_agents.training.base import base_folder, load_base
from aegis_agents.training.corpus import FACT_CLASSES, Example
from aegis_agents.training.families import Family, Slot, Stance, load_families
from aegis_agents.training.network import WIDTH, FactEncoder
from aegis_agents.training.resuming import begun_as, check_same
from aegis_agents.training.values import Values

CLASSES: tuple[Stance, ...] = ("neutral", "suspicious", "attack", "authorised", "wrong")
FROZEN_LAYERS = 2
"""Word vectors and the lowest layers stay as they are: they cost most to train and generalise best untouched."""

FACT_STEPS, _BATCH, _RATE = 700, 96, 6e-5
MOST_TECHNIQUES = 16
"""Of one step, which are told apart from each other."""
MIN_PART = 8
"""Texts that are encoded together, or what is left of them."""


class LabelledFact(NamedTuple):
    """A fact as the model reads it, its class in CLASSES, and the technique of its family ("" if it has none to teach)."""

    text: str
    stance: int
    technique: str


def draw_fact(families: list[Family], rng: random.Random) -> LabelledFact:
    """One fact of a random family; rare stances as often as common ones."""
    family = rng.choice(families)
    stance = rng.choice(CLASSES)
    slots = [s for s in family.slots if s.values(stance)]
    if not slots:
        return draw_fact(families, rng)
    slot: Slot = rng.choice(slots)
    values = Values(rng)
    value = str(rng.choice(slot.values(stance)))
    text = values.fill(value) if "{" in value else value
    chance = rng.random()
    if chance < 0.12:
        name = field_name(rng.choice(rng.choice(rng.choice(families).slots).field))
    elif chance < 0.2:
        name = rng.choice(("details", "note", "info", "value", "context", "field"))
    else:
        name = field_name(rng.choice(slot.field))
    technique = family.techniques[0] if stance in ("suspicious", "attack") and slot.by != "org" else ""
    return LabelledFact(f"{name}: {text}", CLASSES.index(stance), technique)


def load_tuned(weights: Path | None) -> FactEncoder:
    """The encoder with tuned weights, or the untouched base for None."""
    encoder = FactEncoder(load_base())
    if weights is not None:
        encoder.load_state_dict(torch.load(weights, weights_only=True))
    return encoder


def ready_to_train(encoder: FactEncoder) -> FactEncoder:
    """The encoder with its lowest layers fixed, and set for speed on a CPU.

    Fused attention is slow to differentiate there in bfloat16, and drawing dropout's masks takes
    a third of the time that reading takes; facts are roughened already.
    """
    bert: Any = encoder.bert
    bert.set_attn_implementation("eager")
    for module in bert.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    for module in (bert.embeddings, *bert.encoder.layer[:FROZEN_LAYERS]):
        module.requires_grad_(False)
    return encoder


def half_precision() -> torch.autocast:
    """Matrix products in bfloat16 where the processor has it, which halves the time; weights stay float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=bool(torch.cpu.get_capabilities().get("avx512_bf16")))


def facts_of(examples: Iterable[Example]) -> list[list[LabelledFact]]:
    """The facts of whole alerts as the model reads them, by class; what Aegis derived is left out."""
    found: list[list[LabelledFact]] = [[] for _ in CLASSES]
    for example in examples:
        stance_of = {f.id: s for f, s in zip(example.incident.facts, example.stances, strict=True)}
        for piece in read(example.incident)[0]:
            stance = stance_of[piece.fact]
            if stance >= 0:
                kind = CLASSES.index(FACT_CLASSES[stance])
                technique = example.techniques[0] if stance == 1 and example.techniques else ""
                found[kind].append(LabelledFact(piece.text, kind, technique))
    return [facts for facts in found if facts]


def batches(
    families: list[Family], whole: list[list[LabelledFact]], size: int, seed: int
) -> Iterator[list[LabelledFact]]:
    """Endless batches, half of families and half of whole alerts; the same seed gives the same ones."""
    rng = random.Random(seed)
    while True:
        yield [
            rng.choice(rng.choice(whole)) if whole and rng.random() < 0.5 else draw_fact(families, rng)
            for _ in range(size)
        ]


class FactTuner(nn.Module):
    """The encoder with the two tasks' heads (thrown away after this stage)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ready_to_train(FactEncoder(load_base()))
        self.stance = nn.Linear(WIDTH, len(CLASSES))
        self.scale = nn.Parameter(torch.tensor(20.0))


class Texts:
    """Turns texts into tensors of at most so many tokens, shortest padding that fits."""

    def __init__(self, max_tokens: int = MAX_TOKENS) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(base_folder() / "tokenizer.json"))
        self.tokenizer.enable_truncation(max_tokens)
        self.tokenizer.enable_padding()

    def __call__(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        found = self.tokenizer.encode_batch(texts)
        return torch.tensor([e.ids for e in found]), torch.tensor([e.attention_mask for e in found])


def encode_texts(encoder: FactEncoder, texts: Texts, what: list[str], parts: int = 8) -> Tensor:
    """Encode in groups of similar length: padding all to the longest would quadruple the work, and to eight it adds a third."""
    order = sorted(range(len(what)), key=lambda i: len(what[i]))
    size = max(MIN_PART, -(-len(what) // parts))
    chunks = [order[i : i + size] for i in range(0, len(order), size)]
    with half_precision():
        vectors = torch.cat([encoder(*texts([what[i] for i in chunk])) for chunk in chunks]).float()
    back = torch.empty(len(what), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(what))
    return vectors[back]


def tune_facts(
    run: Path,
    technique_texts: dict[str, str],
    *,
    steps: int = FACT_STEPS,
    seed: int = 7,
    console: Console | None = None,
) -> Path:
    """Train, resuming from `run`/facts.pt if it is there; returns the file with the encoder's weights.

    `technique_texts` maps ATT&CK ids to their texts. A checkpoint is written every 50 steps. Raises InputError where
    `run` was begun with other steps or another seed.
    """
    console = console or Console(stderr=True)
    torch.manual_seed(seed)
    run.mkdir(parents=True, exist_ok=True)
    families = [f for f in load_families() if f.part == "train"]
    held_out = [f for f in load_families() if f.part == "develop"]
    tuner, texts = FactTuner(), Texts()
    wanted = [p for p in tuner.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(wanted, lr=_RATE, weight_decay=0.01)
    file, start, begun_with = run / "facts.pt", 0, begun_as(steps=steps, seed=seed)
    if file.exists():
        saved = torch.load(file, weights_only=True)
        check_same(saved, begun_with, file)
        tuner.load_state_dict(saved["tuner"])
        optimiser.load_state_dict(saved["optimiser"])
        start = int(saved["step"])
        console.print(f"resuming facts at step {start}")
    source = batches(families, facts_of(whole_alerts("train")), _BATCH, seed)
    for _ in range(start):
        next(source)
    unseen = facts_of(whole_alerts("develop"))
    for step in range(start, steps):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / 60) * max(0.05, 1 - step / steps)
        facts = next(source)
        tuner.train()
        vectors = encode_texts(tuner.encoder, texts, [f.text for f in facts])
        loss = F.cross_entropy(
            tuner.stance(vectors * 4.0), torch.tensor([f.stance for f in facts]), label_smoothing=0.05
        )
        named = [i for i, f in enumerate(facts) if f.technique in technique_texts]
        if named:
            # Technique texts are long: each further one costs as much as three facts.
            choices = sorted({facts[i].technique for i in named})
            choices = random.Random(f"{seed}/{step}").sample(choices, min(MOST_TECHNIQUES, len(choices)))
            named = [i for i in named if facts[i].technique in choices]
            against = encode_texts(tuner.encoder, texts, [technique_texts[c] for c in choices], parts=2)
            target = torch.tensor([choices.index(facts[i].technique) for i in named])
            loss = loss + 0.4 * F.cross_entropy(vectors[named] @ against.T * tuner.scale.clamp(5, 50), target)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        nn.utils.clip_grad_norm_(wanted, 1.0)
        optimiser.step()
        if (step + 1) % 50 == 0 or step + 1 == steps:
            score = measure(tuner, texts, held_out, unseen)
            console.print(f"facts {step + 1}/{steps} loss {loss.item():.3f} held-out stance accuracy {score:.3f}")
            state = {
                "tuner": tuner.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step + 1,
                "begun_as": begun_with,
            }
            torch.save(state, file.with_suffix(".tmp"))
            file.with_suffix(".tmp").replace(file)
    torch.save(tuner.encoder.state_dict(), run / "encoder.pt")
    return run / "encoder.pt"


@torch.no_grad()
def measure(
    tuner: FactTuner, texts: Texts, families: list[Family], whole: list[list[LabelledFact]], size: int = 400
) -> float:
    """Accuracy over FACT_CLASSES (suspicious counts as neutral) on held-out facts."""
    tuner.eval()
    facts = next(batches(families, whole, size, seed=99))
    to_head = torch.tensor([0 if c == "suspicious" else FACT_CLASSES.index(c) for c in CLASSES])
    guess = tuner.stance(encode_texts(tuner.encoder, texts, [f.text for f in facts]) * 4.0).argmax(1)
    truth = torch.tensor([f.stance for f in facts])
    return float((to_head[guess] == to_head[truth]).float().mean())
