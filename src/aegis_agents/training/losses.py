"""What a batch of alerts is, and what being wrong about it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from aegis_agents.training.groups import Group
from aegis_agents.training.network import HeadOutput


class Batch(NamedTuple):
    """Rows of `alerts` point into the distinct `texts`; -1 pads."""

    texts: list[str]
    rows: Tensor
    trust: Tensor
    stance: Tensor
    verdict: Tensor
    severity: Tensor
    group: Tensor


def collate(groups: list[Group]) -> Batch:
    """Groups as tensors, each distinct text once."""
    alerts = [told for group in groups for told in group]
    at: dict[str, int] = {}
    for told in alerts:
        for text in told.texts:
            at.setdefault(text, len(at))
    width = max(len(told.texts) for told in alerts)

    def padded(rows: list[list[int]], fill: int) -> Tensor:
        return torch.tensor([row + [fill] * (width - len(row)) for row in rows])

    return Batch(
        list(at),
        padded([[at[t] for t in told.texts] for told in alerts], -1),
        padded([list(told.trust) for told in alerts], 0),
        padded([list(told.stance) for told in alerts], -1),
        torch.tensor([told.verdict for told in alerts]),
        torch.tensor([told.severity for told in alerts]),
        torch.tensor([i for i, group in enumerate(groups) for _ in group]),
    )


def verdict_loss(logits: Tensor, verdict: Tensor, smoothing: float = 0.05) -> Tensor:
    """Cross-entropy, each verdict alike; where only "no attack" is known, both ways of that count as right.

    Benign and false are told apart at a third of the weight: what matters is attack or not.
    """
    log_p = F.log_softmax(logits, dim=-1)
    harmless = torch.logsumexp(log_p[:, 1:3], dim=1)
    is_harmless = (verdict == 1) | (verdict == 2) | (verdict < 0)
    target = verdict.clamp_min(0)
    own = log_p.gather(1, target[:, None])[:, 0]
    coarse = torch.where(is_harmless, harmless, own)
    loss = -(1 - smoothing) * coarse - smoothing * log_p.mean(1)
    split = torch.where((verdict == 1) | (verdict == 2), harmless - own, torch.zeros_like(own))
    counts = torch.tensor([float((verdict == 0).sum()), float(is_harmless.sum()), float((verdict == 3).sum())])
    share = len(verdict) / (3 * counts.clamp_min(1))
    weight = torch.where(verdict == 0, share[0], torch.where(verdict == 3, 0.6 * share[2], share[1]))
    return ((loss + 0.33 * split) * weight).mean()


def attack_score(logits: Tensor) -> Tensor:
    """Log-odds of an attack against all that is harmless."""
    return logits[:, 0] - torch.logsumexp(logits[:, 1:3], dim=1)


def order_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Within a group every attack above every harmless variant, by a margin, and the undetermined between."""
    score = attack_score(logits)
    rank = torch.tensor([2.0, 0.0, 0.0, 1.0, 0.0, 0.0])[batch.verdict]  # -2 reads the same as harmless
    higher = (rank[:, None] > rank[None, :]) & (batch.group[:, None] == batch.group[None, :])
    if not higher.any():
        return score.sum() * 0.0
    gap = (score[:, None] - score[None, :])[higher]
    wanted = (rank[:, None] - rank[None, :])[higher]
    return F.softplus(wanted - gap).mean()


def alert_loss(out: HeadOutput, batch: Batch) -> Tensor:
    """What a batch of alerts costs, techniques apart."""
    loss = verdict_loss(out.verdict, batch.verdict) + 0.6 * order_loss(out.verdict, batch)
    weight = torch.tensor([0.4, 1.0, 1.0, 1.0])
    if (batch.stance >= 0).any():
        loss = loss + 0.6 * F.cross_entropy(out.stance.flatten(0, 1), batch.stance.flatten(), weight, ignore_index=-1)
    if (batch.severity >= 0).any():
        loss = loss + 0.2 * F.cross_entropy(out.severity, batch.severity, ignore_index=-1)
    return loss


def technique_targets(wanted: Sequence[Sequence[str]], at: Mapping[str, int]) -> Tensor:
    """(n, len(at)): each row shared alike by the techniques that are known there, zero where none is."""
    target = torch.zeros(len(wanted), len(at))
    for row, own in enumerate(wanted):
        if known := [at[t] for t in own if t in at]:
            target[row, known] = 1.0 / len(known)
    return target


def auc(score: Tensor, labels: Tensor) -> float:
    """The chance that an attack scores above a harmless alert (Mann-Whitney)."""
    attack, harmless = score[labels == 0], score[(labels != 0) & (labels != 3)]
    if not len(attack) or not len(harmless):
        return float("nan")
    above = (attack[:, None] > harmless[None, :]).float() + 0.5 * (attack[:, None] == harmless[None, :]).float()
    return float(above.mean())
