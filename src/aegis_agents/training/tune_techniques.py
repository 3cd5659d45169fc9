"""Teaches the layer that names techniques anew, all else as it is: `python -m aegis_agents.training.tune_techniques WEIGHTS`.

For the maintainer, after the second stage: every fact is encoded once, by the encoder that ships,
so this takes minutes. The step that ranks develop alerts' techniques best is kept. Verdicts do
not change, nor do thresholds.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from aegis_agents.intel.crosswalk import base_technique
from aegis_agents.model.encoder import Encoder
from aegis_agents.model.files import read_weights
from aegis_agents.training import export
from aegis_agents.training.alerts.dials import dial_groups
from aegis_agents.training.alerts.situations import situation_groups
from aegis_agents.training.groups import Told, tell
from aegis_agents.training.losses import collate
from aegis_agents.training.manifest import write_manifest
from aegis_agents.training.network import EvidenceHead
from aegis_agents.training.parts import Part
from aegis_agents.training.tune_alerts import Anchor

STEPS, BATCH, RATE, LOOK_EVERY = 3000, 128, 1e-3, 250
VARIANTS = 2


def _attacks(part: Part) -> list[Told]:
    """Some attack variants of each situation and board."""
    groups = (*situation_groups(part), *dial_groups(part))
    return [t for group in groups for t in [tell(e) for e in group if e.verdict == "true_positive"][:VARIANTS]]


def _inputs(head: EvidenceHead, encoder: Encoder, alerts: Sequence[Told]) -> Tensor:
    """What the layer reads of each alert, (n, HEAD_WIDTH + WIDTH)."""
    seen: list[Tensor] = []
    hook = head.technique.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    with torch.no_grad():
        for start in range(0, len(alerts), 32):
            batch = collate([[told] for told in alerts[start : start + 32]])
            vectors = torch.from_numpy(encoder.encode(batch.texts))
            mask = (batch.rows >= 0).float()
            head(vectors[batch.rows.clamp_min(0)] * mask[:, :, None], batch.trust, mask)
    hook.remove()
    return torch.cat(seen)


def _query(layer: torch.nn.Linear, given: Tensor, width: int) -> Tensor:
    return F.normalize(given[:, -width:] + layer(given), dim=-1)


def _hits(closeness: Tensor, ids: Sequence[str], alerts: Sequence[Told]) -> float:
    """Share of alerts with a right technique among the first three, at base level."""
    top = closeness.topk(3).indices.tolist()
    said = [{base_technique(ids[i]) for i in row} for row in top]
    return float(np.mean([bool(s & set(map(base_technique, a.techniques))) for s, a in zip(said, alerts, strict=True)]))


def tune_techniques(weights: Path, console: Console | None = None) -> str:
    """Tune the layer of the model in `weights`, write it there; returns the manifest's SHA-256."""
    console = console or Console(stderr=True)
    torch.manual_seed(7)
    files = read_weights(weights, manifest_sha256=hashlib.sha256((weights / "manifest.json").read_bytes()).hexdigest())
    encoder = Encoder(files.contents["encoder.onnx"], files.contents["tokenizer.json"], threads=2)
    head = EvidenceHead(0.0).eval()
    head.load_state_dict(load_file(weights / "head.safetensors"))
    with np.load(io.BytesIO(files.contents["techniques.npz"]), allow_pickle=False) as table:
        ids, vectors = [str(t) for t in table["ids"]], torch.from_numpy(table["vectors"].astype(np.float32))
    at, width = {t: i for i, t in enumerate(ids)}, vectors.shape[1]
    train = [t for t in _attacks("train") if set(t.techniques) & set(at)]
    develop = [t for t in _attacks("develop") if set(t.techniques) & set(at)]
    given, unseen = _inputs(head, encoder, train), _inputs(head, encoder, develop)
    anchor = Anchor({t: t for t in ids}, (), lambda wanted: vectors[[at[t] for t in wanted]])
    layer = head.technique
    best = _hits(_query(layer, unseen, width) @ vectors.T, ids, develop)
    state = {k: v.clone() for k, v in layer.state_dict().items()}  # what stays if no step ranks better
    console.print(f"{len(train)} attacks, a right technique of {len(develop)} develop alerts before: {best:.3f}")
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimiser = torch.optim.AdamW(layer.parameters(), lr=RATE, weight_decay=0.02)
    for step in range(STEPS):
        rows = torch.randint(len(train), (BATCH,))
        noisy = F.dropout(given[rows], 0.2)
        loss = anchor.technique_loss(_query(layer, noisy, width), [train[i].techniques for i in rows.tolist()])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimiser.step()
        if (step + 1) % LOOK_EVERY == 0:
            with torch.no_grad():
                found = _hits(_query(layer, unseen, width) @ vectors.T, ids, develop)
            console.print(f"techniques {step + 1}/{STEPS} loss {loss.item():.3f} develop {found:.3f}")
            if found > best:
                best, state = found, {k: v.clone() for k, v in layer.state_dict().items()}
    layer.load_state_dict(state)
    export.export_head(head, weights / "head.onnx")
    manifest = json.loads((weights / "manifest.json").read_text("utf-8"))
    about = manifest["about"] | {
        "technique layer": {"steps": STEPS, "develop, a right one among three": round(best, 4)}
    }
    return write_manifest(weights, manifest["name"], about)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    folder = parser.parse_args().weights
    print(f"{folder}: manifest SHA-256 {tune_techniques(folder)}")
