"""Writes the weights that ship: quantised encoder, head, tokenizer, technique vectors, manifest and pin."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aegis_agents.model.encoder import Encoder
from aegis_agents.training.base import base_folder, load_base
from aegis_agents.training.network import WIDTH, EvidenceHead, FactEncoder


def load_encoder(weights: Path | None) -> FactEncoder:
    """The encoder with tuned weights, or the untouched base for None."""
    encoder = FactEncoder(load_base())
    if weights is not None:
        encoder.load_state_dict(torch.load(weights, weights_only=True))
    return encoder.eval()


def export_encoder(encoder: FactEncoder, file: Path, *, quantise: bool = True) -> None:
    """ONNX with dynamic batch and length; int8 weights where `quantise`.

    Uses the dynamo exporter: the TorchScript one gave wrong vectors for this model.
    """
    tokens = torch.ones(2, 16, dtype=torch.long)
    batch, length = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("length", min=2, max=512)
    program: Any = torch.onnx.export(
        encoder, (tokens, tokens.clone()), dynamo=True, input_names=["input_ids", "attention_mask"], output_names=["vector"],
        dynamic_shapes={"input_ids": {0: batch, 1: length}, "attention_mask": {0: batch, 1: length}},
    )  # fmt: skip
    full = file.with_suffix(".fp32.onnx") if quantise else file
    program.save(str(full))
    if quantise:
        quantise_encoder(full, file)


def quantise_encoder(full: Path, file: Path) -> None:
    """Dynamic int8: weights per channel in 7 bits, since AVX2 without VNNI overflows 8-bit products."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(full), str(file), weight_type=QuantType.QInt8, per_channel=True, reduce_range=True,
        op_types_to_quantize=["MatMul", "Gemm", "Gather"],
    )  # fmt: skip


def export_head(head: EvidenceHead, file: Path) -> None:
    """ONNX with dynamic batch and number of facts."""
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


def write_manifest(folder: Path, name: str, about: dict[str, Any]) -> str:
    """Hash all files into manifest.json; returns the manifest's own SHA-256."""
    from aegis_agents.model.files import FILES

    files = {f: hashlib.sha256((folder / f).read_bytes()).hexdigest() for f in FILES}
    raw = json.dumps({"name": name, "files": files, "about": about}, indent=1, sort_keys=True).encode()
    (folder / "manifest.json").write_bytes(raw)
    return hashlib.sha256(raw).hexdigest()


def write_pin(digest: str) -> None:
    """Pin the manifest in the code, so that the shipped weights can't be swapped without changing it."""
    from aegis_agents.model import pin

    Path(pin.__file__).write_text(
        '"""The SHA-256 of the shipped weights\' manifest; `aegis_agents.training.export` writes this file."""\n\n'
        f'MANIFEST_SHA256 = "{digest}"\n',
        "utf-8",
    )


def tokenizer_bytes() -> bytes:
    """The base's tokenizer, as it is."""
    return (base_folder() / "tokenizer.json").read_bytes()
