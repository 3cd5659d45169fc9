"""A run goes on only as what it was begun as: a checkpoint of other data or another plan must not pass for this one's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from aegis_agents.errors import InputError


def begun_as(**what: object) -> dict[str, str]:
    """What a checkpoint keeps of the run it belongs to."""
    return {name: str(value) for name, value in what.items()}


def check_same(saved: Mapping[str, object], now: Mapping[str, str], file: Path) -> None:
    """Raises InputError naming what the checkpoint was begun with and what is asked now, where they differ."""
    was = saved.get("begun_as")
    was = was if isinstance(was, Mapping) else {}
    for name, value in now.items():
        if was.get(name) != value:
            raise InputError(
                f"{file} was begun with {name} {was.get(name, 'unknown')}, asked is {value}", field="run",
                fix="give another --run, or delete this one",
            )  # fmt: skip


def digest_of_weights(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors by name, whatever file they came in; of none, of nothing."""
    found = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        found.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
