"""Second stage: teach the head to judge a whole alert from its facts' vectors.

The vectors come from the exported, quantised encoder, so the head learns on exactly what
it will read. Facts are dropped at random and attack facts masked on purpose, so that a
verdict follows its evidence.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor
from torch.nn import functional as F

from aegis_agents.model.encoder import WIDTH, Encoder
from aegis_agents.model.text import read
from aegis_agents.records import SEVERITIES, VERDICTS
from aegis_agents.training.corpus import Example
from aegis_agents.training.network import EvidenceHead

NOT_AN_ATTACK = -2
"""A verdict label for real data that only says "no attack", not which kind of none."""


TRUST_NOISE = 0.5
"""Share of facts whose trust is replaced by a random one while training."""


class Item(NamedTuple):
    """One alert, encoded: vectors (n, 384) float16, trust (n,), stance (n,), and its labels as indices."""

    vectors: NDArray[np.float16]
    trust: NDArray[np.int64]
    stance: NDArray[np.int64]
    verdict: int
    severity: int
    technique: int
    weight: float
    family: str


def encode(
    examples: Iterable[Example],
    encoder: Encoder,
    techniques: list[str],
    *,
    any_benign: bool = False,
    weight: float = 1.0,
) -> list[Item]:
    """Examples as the head reads them. `any_benign`: labels other than an attack only mean "no attack"."""
    position = {t: i for i, t in enumerate(techniques)}
    items = []
    for example in examples:
        pieces, _ = read(example.incident)
        if not pieces:
            continue
        stance_of = {f.id: s for f, s in zip(example.incident.facts, example.stances, strict=True)}
        technique = next((position[t] for t in example.techniques if t in position), -1)
        verdict = VERDICTS.index(example.verdict)
        items.append(
            Item(
                encoder.encode([p.text for p in pieces]).astype(np.float16),
                np.array([p.trust for p in pieces]),
                np.array([stance_of[p.fact] for p in pieces]),
                NOT_AN_ATTACK if any_benign and verdict != 0 else verdict,
                -1 if any_benign and verdict != 0 else SEVERITIES.index(example.severity),
                technique, weight, example.family,
            )
        )  # fmt: skip
    return items


def _collate(items: list[Item], rng: random.Random | None) -> dict[str, Tensor]:
    kept = []
    for item in items:
        n = len(item.trust)
        rows = list(range(n))
        if rng is not None:
            # Facts that say nothing come and go; those that decide stay, or the label would lie.
            rows = [i for i in rows if item.stance[i] > 0 or rng.random() > 0.15] or rows
        kept.append(rows)
    width = max(len(rows) for rows in kept)
    facts = torch.zeros(len(items), width, WIDTH)
    trust = torch.zeros(len(items), width, dtype=torch.long)
    mask = torch.zeros(len(items), width)
    stance = torch.full((len(items), width), -1, dtype=torch.long)
    for row, (item, rows) in enumerate(zip(items, kept, strict=True)):
        k = len(rows)
        facts[row, :k] = torch.from_numpy(item.vectors[rows].astype(np.float32))
        trust[row, :k] = torch.from_numpy(item.trust[rows])
        if rng is not None:
            # Who could have written a field is often guessed from its name: it may weigh, it must not decide.
            trust[row, :k] = torch.tensor(
                [rng.randrange(3) if t < 3 and rng.random() < TRUST_NOISE else t for t in trust[row, :k].tolist()]
            )
        stance[row, :k] = torch.from_numpy(item.stance[rows])
        mask[row, :k] = 1.0
    labels = {k: torch.tensor([getattr(i, k) for i in items]) for k in ("verdict", "severity", "technique", "weight")}
    return {"facts": facts, "trust": trust, "mask": mask, "stance": stance, **labels}


def verdict_loss(logits: Tensor, verdict: Tensor, weight: Tensor, smoothing: float = 0.05) -> Tensor:
    """Cross-entropy; where only "no attack" is known, both ways of that count as right."""
    log_p = F.log_softmax(logits, dim=-1)
    known = verdict >= 0
    target = torch.where(known, verdict, 1)
    exact = -(1 - smoothing) * log_p.gather(1, target[:, None])[:, 0] - smoothing * log_p.mean(1)
    either = -torch.logsumexp(log_p[:, 1:3], dim=1)
    return (torch.where(known, exact, either) * weight).sum() / weight.sum()


def tune_head(
    train: list[Item], held_out: list[Item], technique_vectors: NDArray[np.float32], *, epochs: int = 14, rate: float = 1.2e-3,
    seed: int = 7, console: Console | None = None, dropout: float = 0.25,
) -> EvidenceHead:  # fmt: skip
    """Train a head; the epoch with the best held-out verdict loss wins."""
    console = console or Console(stderr=True)
    torch.manual_seed(seed)
    rng = random.Random(seed)
    head, best, best_loss = EvidenceHead(dropout), {}, float("inf")
    optimiser = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=0.05)
    stance_weight = _balance(train)
    size, total = 64, epochs * (len(train) // 64)
    against, step = torch.from_numpy(technique_vectors), 0
    for epoch in range(epochs):
        rng.shuffle(train)
        head.train()
        for start in range(0, len(train) - size + 1, size):
            step += 1
            for group in optimiser.param_groups:
                group["lr"] = rate * min(1.0, step / 200) * max(0.02, 1 - step / total)
            batch = _collate(train[start : start + size], rng)
            out = head(batch["facts"], batch["trust"], batch["mask"])
            loss = verdict_loss(out.verdict, batch["verdict"], batch["weight"])
            loss = loss + 0.8 * F.cross_entropy(
                out.stance.flatten(0, 1), batch["stance"].flatten(), stance_weight, ignore_index=-1
            )
            loss = loss + 0.2 * F.cross_entropy(out.severity, batch["severity"], ignore_index=-1)
            if (batch["technique"] >= 0).any():
                loss = loss + 0.2 * F.cross_entropy(
                    20.0 * out.technique @ against.T, batch["technique"], ignore_index=-1
                )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
            torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
            optimiser.step()
        logits, labels = predict(head, held_out)
        score = float(verdict_loss(logits, labels, torch.ones(len(labels)), smoothing=0.0))
        right = float((logits.argmax(1) == labels)[labels >= 0].float().mean())
        console.print(f"head epoch {epoch + 1}/{epochs} held-out loss {score:.3f} accuracy {right:.3f}")
        if score < best_loss:
            best_loss, best = score, {k: v.clone() for k, v in head.state_dict().items()}
    head.load_state_dict(best)
    return head.eval()


def _balance(items: list[Item]) -> Tensor:
    """Class weights for the stances: those that decide count alike, saying nothing counts less than its share."""
    counts = np.bincount(np.concatenate([i.stance[i.stance >= 0] for i in items]), minlength=4).astype(np.float64)
    weight = (counts[1:].mean() / np.maximum(counts, 1.0)).clip(0.25, 4.0)
    return torch.tensor(weight, dtype=torch.float32)


@torch.no_grad()
def predict(head: EvidenceHead, items: list[Item]) -> tuple[Tensor, Tensor]:
    """Verdict logits (n, 4) and labels (n,)."""
    head.eval()
    logits = []
    for start in range(0, len(items), 128):
        batch = _collate(items[start : start + 128], None)
        logits.append(head(batch["facts"], batch["trust"], batch["mask"]).verdict)
    return torch.cat(logits), torch.tensor([i.verdict for i in items])


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature of least log loss (Guo et al. 2017), by a search over 0.5..4."""
    known = labels >= 0
    grid = np.exp(np.linspace(np.log(0.5), np.log(4.0), 60))
    losses = [float(F.cross_entropy(logits[known] / t, labels[known])) for t in grid]
    return float(grid[int(np.argmin(losses))])


def save(head: EvidenceHead, file: Path) -> None:
    """Keep the head's weights."""
    torch.save(head.state_dict(), file)
