"""Teaches how techniques are named, all else as it is: `python -m aegis_agents.training.tune_techniques WEIGHTS`.

For the maintainer, after the second stage: every fact is encoded once, by the encoder that ships,
so this takes minutes. Taught together: the head's technique layer, a vector and a bias for each
technique (which start at ATT&CK's text and are held to it), and what words say. The step that names
develop alerts' techniques best is kept. Verdicts do not change, nor do thresholds.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from aegis_agents.agents.reasoning import nearly_as_likely
from aegis_agents.intel.crosswalk import base_technique
from aegis_agents.model.encoder import Encoder
from aegis_agents.model.files import read_weights
from aegis_agents.records import TechniqueScore
from aegis_agents.training import export
from aegis_agents.training.alerts.dials import dial_groups
from aegis_agents.training.alerts.situations import situation_groups
from aegis_agents.training.corpus import Example
from aegis_agents.training.groups import Told, tell
from aegis_agents.training.lexical import words_of
from aegis_agents.training.losses import collate, technique_targets
from aegis_agents.training.manifest import write_manifest
from aegis_agents.training.network import EvidenceHead
from aegis_agents.training.parts import Part
from aegis_agents.training.tune_alerts import Anchor

STEPS, BATCH, RATE, LOOK_EVERY = 3000, 128, 1e-3, 250
"""The rate falls evenly to nothing."""
VARIANTS = 2
SHARPNESS = Anchor.SHARPNESS
MOST_WORDS, RANK = 22_000, 64
HELD, HELD_BIAS = 1.0, 0.02
"""How strongly a technique is held to ATT&CK's text, and its bias to none."""
INPUT_DROPOUT, WORD_DROPOUT = 0.2, 0.6


class Attack(NamedTuple):
    """An attack as the network reads it, and the hashes of its words."""

    told: Told
    words: list[int]


def _attacks(part: Part) -> list[Attack]:
    """Some attack variants of each situation and board."""
    groups = (*situation_groups(part), *dial_groups(part))
    return [as_attack(e) for group in groups for e in [e for e in group if e.verdict == "true_positive"][:VARIANTS]]


def as_attack(example: Example) -> Attack:
    """An alert as this module reads it."""
    return Attack(tell(example), words_of(example))


def _inputs(head: EvidenceHead, encoder: Encoder, alerts: Sequence[Attack]) -> Tensor:
    """What the layer reads of each alert, (n, HEAD_WIDTH + WIDTH)."""
    seen: list[Tensor] = []
    hook = head.technique.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    with torch.no_grad():
        for start in range(0, len(alerts), 32):
            batch = collate([[attack.told] for attack in alerts[start : start + 32]])
            vectors = torch.from_numpy(encoder.encode(batch.texts))
            mask = (batch.rows >= 0).float()
            head(vectors[batch.rows.clamp_min(0)] * mask[:, :, None], batch.trust, mask)
    hook.remove()
    return torch.cat(seen)


def _query(layer: nn.Linear, given: Tensor, width: int) -> Tensor:
    return F.normalize(given[:, -width:] + layer(given), dim=-1)


class Taught(nn.Module):
    """What `model.naming.Naming` computes, in a form that learns: see there."""

    def __init__(self, layer: nn.Linear, vectors: Tensor, words: int) -> None:
        super().__init__()
        self.layer, self.vectors = layer, vectors
        self.moved = nn.Parameter(torch.zeros_like(vectors))
        self.bias = nn.Parameter(torch.zeros(len(vectors)))
        self.rows = nn.EmbeddingBag(max(1, words), RANK, mode="sum")
        self.into = nn.Linear(RANK, vectors.shape[1], bias=False)
        for weight in (self.rows.weight, self.into.weight):
            nn.init.normal_(weight, std=0.05)

    def classes(self) -> Tensor:
        """One unit vector a technique."""
        return F.normalize(self.vectors + self.moved, dim=-1)

    def forward(self, given: Tensor, words: Any, dropout: float = 0.0) -> Tensor:
        """Likeness (B, n) from the layer's inputs and a sparse (B, words) matrix of TF-IDF shares."""
        shares = torch.from_numpy(words.data.astype(np.float32))
        shares = F.dropout(shares, dropout)
        said = self.rows(
            torch.from_numpy(words.indices.astype(np.int64)), torch.from_numpy(words.indptr[:-1].astype(np.int64)),
            per_sample_weights=shares,
        )  # fmt: skip
        queries = F.normalize(_query(self.layer, given, self.vectors.shape[1]) + self.into(said), dim=-1)
        return queries @ self.classes().T + self.bias

    def loss(self, likeness: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy over all techniques, an alert's own ones sharing the target, and what holds techniques in place."""
        held = HELD * self.moved.square().sum() / len(self.moved) + HELD_BIAS * self.bias.square().sum()
        return F.cross_entropy(likeness * SHARPNESS, target) + held


def _mean_f1(likeness: Tensor, ids: Sequence[str], alerts: Sequence[Attack]) -> float:
    """Mean F1 of the techniques that a case would name against the known ones, at base level."""
    found, top = [], likeness.clamp(0.0, 1.0).topk(10)
    for scores, places, attack in zip(top.values.tolist(), top.indices.tolist(), alerts, strict=True):
        scored = [TechniqueScore(technique=ids[at], score=score) for at, score in zip(places, scores, strict=True)]
        said = set(map(base_technique, nearly_as_likely(scored)))
        wanted = set(map(base_technique, attack.told.techniques))
        found.append(2 * len(said & wanted) / (len(said) + len(wanted)))
    return float(np.mean(found))


def _fit(
    taught: Taught, given: Tensor, words: Any, target: Tensor, judge: Callable[[], float], console: Console
) -> float:
    """Teach from the layer's inputs, the words and the targets of all attacks; leaves the step that `judge` found best."""
    nn.init.zeros_(taught.layer.weight)
    nn.init.zeros_(taught.layer.bias)
    slow: dict[str, Any] = {"params": [taught.moved], "lr": 0.3 * RATE}
    layer: dict[str, Any] = {"params": list(taught.layer.parameters()), "weight_decay": 0.02}
    said: dict[str, Any] = {"params": [*taught.rows.parameters(), *taught.into.parameters()], "lr": 2 * RATE, "weight_decay": 0.02}  # fmt: skip
    optimiser = torch.optim.AdamW([layer, said, slow, {"params": [taught.bias]}], lr=RATE, weight_decay=0.0)
    falling = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / STEPS)
    best, state = float("-inf"), taught.state_dict()
    for step in range(STEPS):
        rows = torch.randint(len(given), (BATCH,))
        likeness = taught(F.dropout(given[rows], INPUT_DROPOUT), words[rows.numpy()], WORD_DROPOUT)
        loss = taught.loss(likeness, target[rows])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimiser.step()
        falling.step()
        if (step + 1) % LOOK_EVERY == 0:
            with torch.no_grad():
                found = judge()
            console.print(f"techniques {step + 1}/{STEPS} loss {loss.item():.3f} develop F1 {found:.3f}")
            if found > best:
                best, state = found, {k: v.clone() for k, v in taught.state_dict().items()}
    taught.load_state_dict(state)
    return best


def tune_techniques(weights: Path, console: Console | None = None) -> str:
    """Tune the layer of the model in `weights` and the table beside it, write both; returns the manifest's SHA-256."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    console = console or Console(stderr=True)
    torch.manual_seed(7)
    files = read_weights(weights, manifest_sha256=hashlib.sha256((weights / "manifest.json").read_bytes()).hexdigest())
    encoder = Encoder(files.contents["encoder.onnx"], files.contents["tokenizer.json"], threads=2)
    head = EvidenceHead(0.0).eval()
    head.load_state_dict(load_file(weights / "head.safetensors"))
    with np.load(io.BytesIO(files.contents["techniques.npz"]), allow_pickle=False) as table:
        ids, texts = [str(t) for t in table["ids"]], table["vectors"]
    at, vectors = {t: i for i, t in enumerate(ids)}, torch.from_numpy(texts.astype(np.float32))
    train = [a for a in _attacks("train") if set(a.told.techniques) & set(at)]
    develop = [a for a in _attacks("develop") if set(a.told.techniques) & set(at)]
    given, unseen = _inputs(head, encoder, train), _inputs(head, encoder, develop)
    counted = TfidfVectorizer(analyzer=lambda a: a.words, sublinear_tf=True, min_df=3, max_features=MOST_WORDS)
    words, theirs, target = (
        counted.fit_transform(train),
        counted.transform(develop),
        technique_targets([a.told.techniques for a in train], at),
    )
    with torch.no_grad():
        before = _mean_f1(_query(head.technique, unseen, vectors.shape[1]) @ vectors.T, ids, develop)
    console.print(
        f"{len(train)} attacks; F1 of {len(develop)} develop alerts, by likeness to the texts alone: {before:.3f}"
    )
    taught = Taught(head.technique, vectors, len(counted.idf_))
    best = _fit(taught, given, words, target, lambda: _mean_f1(taught(unseen, theirs), ids, develop), console)
    export.export_head(head, weights / "head.onnx")
    _write_table(weights / "techniques.npz", ids, texts, taught, counted)
    about = json.loads((weights / "manifest.json").read_text("utf-8"))
    said = {"steps": STEPS, "F1 on develop": round(best, 4), "by the texts alone": round(before, 4)}
    return write_manifest(weights, about["name"], about["about"] | {"techniques": said})


def _write_table(file: Path, ids: list[str], texts: Any, taught: Taught, counted: Any) -> None:
    hashes = np.array(counted.get_feature_names_out(), np.uint32)
    order = np.argsort(hashes)
    half = {k: v.numpy().astype(np.float16) for k, v in taught.state_dict().items()}
    with torch.no_grad(), file.open("wb") as out:
        np.savez(
            out, ids=np.array(ids), vectors=texts, classes=taught.classes().numpy().astype(np.float16), bias=half["bias"],
            hashes=hashes[order], idf=counted.idf_[order].astype(np.float16), rows=half["rows.weight"][order],
            into=half["into.weight"].T,
        )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    folder = parser.parse_args().weights
    print(f"{folder}: manifest SHA-256 {tune_techniques(folder)}")
