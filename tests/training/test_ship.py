"""Shipping: what holds for the same encoder is carried over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aegis_agents.errors import InputError
from aegis_agents.intel.taught import Taught, read_taught, write_taught
from aegis_agents.training.ship import carry_taught


def test_what_was_taught_goes_on_with_the_same_encoder(tmp_path: Path) -> None:
    file = tmp_path / "taught.npz"
    write_taught(Taught(("T1003",), np.eye(1, 384, dtype=np.float32), (3,)), "old@1", file)
    carry_taught("old@1", "new@2", [file])
    carried = read_taught(file, "new@2")
    assert (carried.ids, carried.lessons) == (("T1003",), (3,))
    assert np.array_equal(carried.vectors, np.eye(1, 384))
    with pytest.raises(InputError, match="was taught with new@2"):
        carry_taught("old@1", "newer@3", [file])
