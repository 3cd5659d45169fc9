"""Writes the files of a model: quantised encoder, head, tokenizer, technique vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aegis_agents.model.encoder import Encoder
from aegis_agents.training.base import base_folder
from aegis_agents.training.network import WIDTH, EvidenceHead, FactEncoder
from aegis_agents.training.quantise import quantise_encoder
from aegis_agents.training.tune_alerts import AlertTuner
from aegis_agents.training.tune_facts import load_tuned


def load_tuner(file: Path) -> tuple[FactEncoder, EvidenceHead]:
    """Encoder and head of a second stage's checkpoint."""
    tuner = AlertTuner(load_tuned(None), dropout=0.0)
    tuner.load_state_dict(torch.load(file, weights_only=True)["tuner"])
    return tuner.encoder.eval(), tuner.head.eval()


def export_encoder(encoder: FactEncoder, file: Path, ranges: Sequence[str] | None) -> None:
    """ONNX with dynamic batch and length; quantised with activation ranges measured on `ranges`, or as it is for None.

    Uses the dynamo exporter: the TorchScript one gave wrong vectors for this model.
    """
    bert: Any = encoder.bert
    bert.set_attn_implementation("sdpa")  # what the runtime fuses best
    tokens = torch.ones(2, 16, dtype=torch.long)
    batch, length = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("length", min=2, max=512)
    program: Any = torch.onnx.export(
        encoder, (tokens, tokens.clone()), dynamo=True, verbose=False, input_names=["input_ids", "attention_mask"],
        output_names=["vector"], dynamic_shapes={"input_ids": {0: batch, 1: length}, "attention_mask": {0: batch, 1: length}},
    )  # fmt: skip
    full = file.with_suffix(".fp32.onnx") if ranges is not None else file
    program.save(str(full))
    if ranges is not None:
        quantise_encoder(full, file, tokenizer_bytes(), ranges)
        full.unlink()


def export_head(head: EvidenceHead, file: Path) -> None:
    """ONNX with dynamic batch and number of facts, and the weights beside it as safetensors."""
    from safetensors.torch import save_file

    save_file(head.state_dict(), str(file.with_suffix(".safetensors")))
    example = (torch.randn(2, 5, WIDTH), torch.zeros(2, 5, dtype=torch.long), torch.ones(2, 5))
    batch, facts = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("facts", min=1, max=8192)
    shape = {0: batch, 1: facts}
    program: Any = torch.onnx.export(
        head.eval(), example, dynamo=True, input_names=["facts", "trust", "mask"],
        output_names=["verdict", "severity", "technique", "stance"], dynamic_shapes={"facts": shape, "trust": shape, "mask": shape},
    )  # fmt: skip
    program.save(str(file))


def write_techniques(encoder: Encoder, texts: dict[str, str], file: Path) -> None:
    """The vectors of all techniques, half precision, in the order of their ids."""
    ids = sorted(texts)
    vectors = encoder.encode([texts[i] for i in ids]).astype(np.float16)
    with file.open("wb") as out:
        np.savez(out, ids=np.array(ids), vectors=vectors)


def tokenizer_bytes() -> bytes:
    """The base's tokenizer, as it is."""
    return (base_folder() / "tokenizer.json").read_bytes()
