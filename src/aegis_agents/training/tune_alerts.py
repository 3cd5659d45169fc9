"""Second stage: encoder and head together learn to judge whole alerts.

A step reads several groups of alerts that differ in little but the deciding facts, and
encodes each distinct text once. Losses: verdict, order of attack scores within a group,
stance of each fact, severity, and technique against all of ATT&CK's texts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from aegis_agents.errors import InputError
from aegis_agents.training.groups import Group, family_group, group_stream
from aegis_agents.training.losses import (
    Batch,
    alert_loss,
    attack_score,
    auc,
    collate,
    technique_targets,
    verdict_loss,
)
from aegis_agents.training.network import EvidenceHead, FactEncoder, HeadOutput
from aegis_agents.training.resuming import begun_as, check_same, digest_of_weights
from aegis_agents.training.tune_facts import Texts, encode_texts, load_tuned, ready_to_train

CHECKPOINT_EVERY, MEASURE_EVERY = 25, 200
WARM_GROUPS = 200
"""Of each kind, on which the head learns its first steps: each of their texts is encoded once."""


class Plan(NamedTuple):
    """What a run does. `rate` is the encoder's; the head, which starts from nothing, learns `head_times` as fast."""

    steps: int = 1000
    head_steps: int = 800
    groups: int = 8
    rate: float = 1.2e-4
    head_times: float = 4.0
    dropout: float = 0.2
    technique: float = 0.4
    anchor: float = 1.5
    """Weights of the technique, and of what keeps ATT&CK's texts apart, among the losses."""
    average: float = 0.98
    """Decay of the running mean of the weights, which is what is measured and kept (Polyak and Juditsky 1992)."""
    seed: int = 7


STANDARD = Plan()


class AlertTuner(nn.Module):
    """Encoder and head."""

    def __init__(self, encoder: FactEncoder, dropout: float) -> None:
        super().__init__()
        self.encoder, self.head = ready_to_train(encoder), EvidenceHead(dropout)


def read_batch(head: EvidenceHead, vectors: Tensor, batch: Batch) -> HeadOutput:
    """The head's answers, from the vectors (distinct texts, 384)."""
    facts = vectors[batch.rows.clamp_min(0)]
    mask = (batch.rows >= 0).float()
    output: HeadOutput = head(facts * mask[:, :, None], batch.trust, mask)
    return output


class Anchor:
    """What the published encoder makes of ATT&CK's texts, which ours must go on making of them.

    Fixed targets (knowledge distillation, Hinton et al. 2015): with vectors that move along, all
    techniques ended in one place. `passages` are further texts that retrieval must keep telling apart.
    """

    DRAWN = 8
    SHARPNESS = 20.0

    def __init__(
        self, techniques: dict[str, str], passages: Sequence[str], embed: Callable[[list[str]], Tensor]
    ) -> None:
        self.at = {technique: i for i, technique in enumerate(techniques)}
        self.texts = [*techniques.values(), *passages]
        with torch.no_grad():
            self.vectors = torch.cat([embed(self.texts[i : i + 64]) for i in range(0, len(self.texts), 64)])

    def technique_loss(self, queries: Tensor, wanted: list[tuple[str, ...]]) -> Tensor:
        """Cross-entropy of each query (n, 384) over all techniques, its own ones sharing the target."""
        target = technique_targets(wanted, self.at)
        named = target.sum(dim=1) > 0
        if not named.any():
            return queries.sum() * 0.0
        likeness = queries[named] @ self.vectors[: len(self.at)].T
        return F.cross_entropy(likeness * self.SHARPNESS, target[named])

    def drift(self, embed: Callable[[list[str]], Tensor], seed: str) -> Tensor:
        """How far our vectors of some drawn texts are from the published ones: 1 less the cosine."""
        drawn = random.Random(seed).sample(range(len(self.texts)), min(self.DRAWN, len(self.texts)))
        ours = embed([self.texts[i] for i in drawn])
        return (1 - (ours * self.vectors[drawn]).sum(dim=1)).mean()


def tune_head(
    head: EvidenceHead, embed: Callable[[list[str]], Tensor], fixed: dict[str, list[Group]], *, steps: int, size: int = 12,
    rate: float = 1e-3, seed: int = 7, own: float = 0.0, like: EvidenceHead | None = None, console: Console | None = None,
) -> None:  # fmt: skip
    """Teach the head alone on the encoder as it is, which `embed` asks: cheap, since every text is encoded once.

    Before the second stage: a head that knows nothing would undo the encoder. Field names stay
    as they are. `own` is the share of groups of kind "own", a user's cases. `like` is a head whose technique queries this
    one's are held to (Hinton et al. 2015): what techniques are named by was fitted to them, and nothing here teaches any.
    """
    rng = random.Random(seed)
    fixed = fixed | {"families": [family_group(rng) for _ in range(150)]}
    known = sorted({t for groups in fixed.values() for group in groups for told in group for t in told.texts})
    with torch.no_grad():
        vectors = torch.cat([embed(known[i : i + 512]) for i in range(0, len(known), 512)])
    at = {text: i for i, text in enumerate(known)}
    optimiser = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=0.05)
    source = group_stream(fixed, seed, names=0.0, own=own)
    head.train()
    for step in range(steps):
        for settings in optimiser.param_groups:
            settings["lr"] = rate * min(1.0, (step + 1) / 100) * max(0.1, 1 - step / steps)
        batch = collate([next(source) for _ in range(size)])
        read = vectors[torch.tensor([at[t] for t in batch.texts])]
        out = read_batch(head, read, batch)
        loss = alert_loss(out, batch)
        if like is not None:
            with torch.no_grad():
                asked = read_batch(like, read, batch).technique
            loss = loss + (1 - (out.technique * asked).sum(dim=1)).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimiser.step()
        if console is not None and (step + 1) % 500 == 0:
            console.print(f"head {step + 1}/{steps} loss {loss.item():.3f}")


def tune_alerts(
    run: Path, fixed: dict[str, list[Group]], held_out: list[Group], technique_texts: dict[str, str], *,
    passages: Sequence[str] = (), plan: Plan = STANDARD, start_from: Path | None = None, data: str = "", console: Console | None = None,
) -> Path:  # fmt: skip
    """Train, resuming from `run`/alerts.pt if it is there.

    `passages` are texts that retrieval must keep telling apart. `start_from` is the first stage's encoder, or a checkpoint of this stage to go on from; None the untouched base. Returns `run`/best.pt:
    the state that ranks `held_out` best (temperature is fitted later, so its loss says little); with no steps `start_from` as it is, nothing written.
    `data` is the SHA-256 of the prepared set. Raises InputError where `start_from` is the first stage's then, and where
    `run` was begun with other data, another plan or another start.
    """
    console = console or Console(stderr=True)
    torch.manual_seed(plan.seed)
    run.mkdir(parents=True, exist_ok=True)
    begun = torch.load(start_from, weights_only=True) if start_from else {}
    if start_from is not None and not plan.steps:
        if "tuner" not in begun:
            raise InputError(
                f"{start_from} is no checkpoint of the second stage", field="start_from", fix="train some steps"
            )
        return start_from
    tuner, texts = AlertTuner(load_tuned(None), plan.dropout), Texts()
    if "tuner" in begun:
        tuner.load_state_dict(begun["tuner"])
    elif begun:
        tuner.encoder.load_state_dict(begun)
    body = [p for p in tuner.encoder.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": body, "times": 1.0, "weight_decay": 0.01},
            {"params": list(tuner.head.parameters()), "times": plan.head_times, "weight_decay": 0.05},
        ],
        lr=plan.rate,
    )
    average: Any = AveragedModel(tuner, multi_avg_fn=get_ema_multi_avg_fn(plan.average))
    file, start, best = run / "alerts.pt", 0, float("-inf")
    begun_with = begun_as(data=data, plan=plan, start=digest_of_weights(begun.get("tuner", begun)))
    if file.exists():
        saved = torch.load(file, weights_only=True)
        check_same(saved, begun_with, file)
        tuner.load_state_dict(saved["tuner"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        start, best = int(saved["step"]), float(saved["best"])
        console.print(f"resuming alerts at step {start}")
    elif plan.head_steps and "tuner" not in begun:
        tuner.eval()
        draw = random.Random(plan.seed)
        some = {kind: draw.sample(groups, min(WARM_GROUPS, len(groups))) for kind, groups in fixed.items()}
        tune_head(
            tuner.head,
            partial(encode_texts, tuner.encoder, texts),
            some,
            steps=plan.head_steps,
            seed=plan.seed,
            console=console,
        )
    tuner.eval()
    embed = partial(encode_texts, tuner.encoder, texts)
    anchor = Anchor(technique_texts, passages, partial(encode_texts, load_tuned(None).eval(), texts))
    source = group_stream(fixed, plan.seed)
    for _ in range(start * plan.groups):
        next(source)
    for step in range(start, plan.steps):
        for settings in optimiser.param_groups:
            pace = min(1.0, (step + 1) / 60) * max(0.03, 1 - step / plan.steps)
            settings["lr"] = plan.rate * settings["times"] * pace
        groups = [next(source) for _ in range(plan.groups)]
        batch = collate(groups)
        tuner.train()
        torch.manual_seed(plan.seed * 1_000_003 + step)  # a resumed run drops the same units
        out = read_batch(tuner.head, embed(batch.texts), batch)
        wanted = [told.techniques for group in groups for told in group]
        loss = alert_loss(out, batch) + plan.technique * anchor.technique_loss(out.technique, wanted)
        loss = loss + plan.anchor * anchor.drift(embed, f"{plan.seed}/{step}")
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        nn.utils.clip_grad_norm_(tuner.parameters(), 1.0)
        optimiser.step()
        average.update_parameters(tuner)
        done = step + 1
        if done % CHECKPOINT_EVERY == 0 or done == plan.steps:
            if done % MEASURE_EVERY == 0 or done == plan.steps:
                found = measure(average.module, texts, held_out)
                console.print(
                    f"alerts {done}/{plan.steps} loss {loss.item():.3f} held-out loss {found.loss:.3f} auc {found.auc:.3f}"
                )
                if found.auc > best:
                    best = found.auc
                    save({"tuner": average.module.state_dict(), "step": done}, run / "best.pt")
            state = {"tuner": tuner.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict()}
            save(state | {"step": done, "best": best, "begun_as": begun_with}, file)
    return run / "best.pt"


def save(state: dict[str, object], file: Path) -> None:
    """Write a checkpoint whole or not at all."""
    torch.save(state, file.with_suffix(".tmp"))
    file.with_suffix(".tmp").replace(file)


class Measured(NamedTuple):
    """Verdict loss, and the area under the curve of attacks against harmless alerts."""

    loss: float
    auc: float


@torch.no_grad()
def scores(tuner: AlertTuner, texts: Texts, groups: list[Group]) -> tuple[Tensor, Tensor]:
    """Verdict logits (alerts, 4) and labels (alerts,)."""
    tuner.eval()
    logits, labels = [], []
    for start in range(0, len(groups), 8):
        batch = collate(groups[start : start + 8])
        logits.append(read_batch(tuner.head, encode_texts(tuner.encoder, texts, batch.texts), batch).verdict)
        labels.append(batch.verdict)
    return torch.cat(logits), torch.cat(labels)


def measure(tuner: AlertTuner, texts: Texts, groups: list[Group]) -> Measured:
    """How well groups that were not trained on are judged."""
    logits, labels = scores(tuner, texts, groups)
    return Measured(float(verdict_loss(logits, labels, smoothing=0.0)), auc(attack_score(logits), labels))
