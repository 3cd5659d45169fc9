"""The network: a MiniLM encoder for single facts, and a small attention head over the set.

Encoder: sentence-transformers' mean pooling over all-MiniLM-L6-v2 (Wang et al. 2020,
"MiniLM"; Reimers & Gurevych 2019, "Sentence-BERT"). Head: a set transformer (Lee et al.
2019) with one query for the incident; the stance of each fact feeds the verdict, so that
the weights shown are weights used.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 384
HEAD_WIDTH = 192


class HeadOutput(NamedTuple):
    """verdict (B, 4) and severity (B, 5) logits, technique query (B, 384), fact stance logits (B, N, 4)."""

    verdict: Tensor
    severity: Tensor
    technique: Tensor
    stance: Tensor


class _Block(nn.Module):
    """Pre-norm attention and feed-forward, in plain operations so that it exports cleanly."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.ff1, self.ff2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        b, n, w = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        attention = torch.softmax(q @ k.transpose(-1, -2) * self.scale + bias, dim=-1)
        x = x + self.drop(self.out((attention @ v).transpose(1, 2).reshape(b, n, w)))
        x = x + self.drop(self.ff2(F.gelu(self.ff1(self.norm2(x)))))
        return x


class EvidenceHead(nn.Module):
    """Reads a set of fact vectors; what is masked might as well not be there."""

    def __init__(self, dropout: float = 0.15) -> None:
        super().__init__()
        self.into = nn.Linear(WIDTH, HEAD_WIDTH)
        self.trust = nn.Embedding(4, HEAD_WIDTH)
        self.query = nn.Parameter(torch.randn(1, 1, HEAD_WIDTH) * 0.02)
        self.blocks = nn.ModuleList(_Block(HEAD_WIDTH, 4, 2 * HEAD_WIDTH, dropout) for _ in range(3))
        self.norm = nn.LayerNorm(HEAD_WIDTH)
        self.stance = nn.Sequential(
            nn.Linear(WIDTH, HEAD_WIDTH), nn.GELU(), nn.Dropout(dropout), nn.Linear(HEAD_WIDTH, 4)
        )
        self.said = nn.Linear(4, HEAD_WIDTH)
        self.decide = nn.Sequential(nn.Linear(HEAD_WIDTH + 8, 64), nn.GELU(), nn.Dropout(dropout), nn.Linear(64, 4))
        self.grade = nn.Linear(HEAD_WIDTH + 4, 5)
        self.technique = nn.Linear(HEAD_WIDTH + WIDTH, WIDTH)
        self.drop = nn.Dropout(dropout)

    def forward(self, facts: Tensor, trust: Tensor, mask: Tensor) -> HeadOutput:
        """facts (B, N, 384) unit vectors, trust (B, N) int64 0..3, mask (B, N) float, 1 where there is a fact."""
        # Each fact speaks for itself. Judged among the others, all facts of an alert would take its side,
        # and one that exonerates would count as one more accusation.
        stance = self.stance(facts)
        each = torch.softmax(stance, dim=-1)
        x = self.drop(self.into(facts)) + self.trust(trust) + self.said(each)
        x = torch.cat([self.query.expand(x.shape[0], -1, -1), x], dim=1)
        seen = torch.cat([torch.ones_like(mask[:, :1]), mask], dim=1)
        bias = (1.0 - seen)[:, None, None, :] * -1e4
        for block in self.blocks:
            x = block(x, bias)
        x = self.norm(x)
        whole = self.drop(x[:, 0])
        share = each * mask[:, :, None]
        strongest, total = share.amax(dim=1), torch.log1p(share.sum(dim=1))
        verdict = self.decide(torch.cat([whole, strongest, total], dim=-1))
        severity = self.grade(torch.cat([whole, torch.softmax(verdict, dim=-1)], dim=-1))
        # What speaks for an attack tells the technique; with no such fact this is the plain mean.
        pull = (share[:, :, 1] + 0.05) * mask
        mean = (facts * (pull / pull.sum(dim=1, keepdim=True).clamp_min(1e-6))[:, :, None]).sum(dim=1)
        technique = F.normalize(mean + self.technique(torch.cat([whole, mean], dim=-1)), dim=-1)
        return HeadOutput(verdict, severity, technique, stance)


class FactEncoder(nn.Module):
    """MiniLM with mean pooling; texts in, unit vectors out."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(B, T) ids and mask → (B, 384)."""
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask[:, :, None].to(hidden.dtype)
        return F.normalize((hidden * mask).sum(1) / mask.sum(1).clamp_min(1e-6), dim=-1)
