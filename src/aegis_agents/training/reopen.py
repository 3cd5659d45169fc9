"""The network as it was before it was quantised, as far as the shipped weights still tell: to train on from there.

What trains had seven bits a weight, so each is off by at most half a step of its row; what
does not train (word vectors and the lowest layers) is the base's own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aegis_agents.errors import ModelError
from aegis_agents.model.files import read_weights
from aegis_agents.training.tune_alerts import AlertTuner, save
from aegis_agents.training.tune_facts import load_tuned


def reopen(file: Path) -> None:
    """Write the shipped weights as a checkpoint of the second stage, which `tune_alerts` starts from.

    Raises ModelTampered or ModelError as reading weights does, ModelError if they are of another make.
    """
    from safetensors.torch import load

    files = read_weights()
    tuner = AlertTuner(load_tuned(None), dropout=0.0)
    tuner.head.load_state_dict(load(files.contents["head.safetensors"]))
    found = _products(files.contents["encoder.onnx"])
    for name, weight in tuner.encoder.named_parameters():
        if not weight.requires_grad:
            continue
        if name not in found or found[name].shape != tuple(weight.shape):
            raise ModelError(f"{files.version}: the encoder has no {name} of shape {tuple(weight.shape)}")
        weight.data = torch.from_numpy(found[name])
    save({"tuner": tuner.state_dict(), "step": 0}, file)


def _products(model: bytes) -> dict[str, NDArray[np.float32]]:
    """Parameters by their name in the network: biases and norms carry theirs, a product has that of the bias added to it."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_from_string(model).graph
    plain = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    whole = {n: v.astype(np.float32) for n, v in plain.items() if "." in n and v.dtype == np.float32}
    weights: dict[str, NDArray[np.float32]] = {}
    for node in graph.node:
        given = [plain[name] for name in node.input if name in plain]
        if not given or given[0].ndim != 2:
            continue
        if node.op_type == "DequantizeLinear":
            stored, scale, zero = given
            weights[node.output[0]] = (stored.astype(np.float32) - zero.astype(np.float32)) * scale
        elif node.op_type == "Cast":
            weights[node.output[0]] = given[0].astype(np.float32)
    product = {n.output[0]: weights[n.input[1]] for n in graph.node if n.op_type == "MatMul" and n.input[1] in weights}
    for node in graph.node:  # in the order of reckoning
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.input[0] in product:
            product[node.output[0]] = product[node.input[0]]
        for one, other in ((0, 1), (1, 0)) if node.op_type == "Add" else ():
            if node.input[one] in product and node.input[other] in whole:
                name = node.input[other].removesuffix("bias") + "weight"
                whole[name] = np.ascontiguousarray(product[node.input[one]].T)
    return whole
