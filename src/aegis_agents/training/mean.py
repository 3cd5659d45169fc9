"""The mean of checkpoints that began alike: often better than each, and no slower than one.

Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves accuracy
without increasing inference time". Runs that went on from one checkpoint lie in one basin; others don't.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from aegis_agents.errors import InputError
from aegis_agents.training.tune_alerts import save


def mean_of(files: Sequence[Path], out: Path) -> None:
    """Write the mean of second stage checkpoints as one more, which `tune_alerts` starts from; each counts alike.

    Raises InputError for fewer than two, for what is no such checkpoint, and for networks of another shape.
    """
    if len(files) < 2:
        raise InputError("a mean takes two checkpoints or more", field="checkpoints", fix="name each best.pt")
    first = _weights(files[0])
    total = {name: value.double() for name, value in first.items() if value.is_floating_point()}
    for file in files[1:]:
        other = _weights(file)
        if {n: v.shape for n, v in other.items()} != {n: v.shape for n, v in first.items()}:
            raise InputError(
                f"{file} is of another network than {files[0]}", field="checkpoints", fix="average runs of one start"
            )
        for name in total:
            total[name] += other[name]
    mean = {n: (total[n] / len(files)).to(v.dtype) if n in total else v for n, v in first.items()}
    save({"tuner": mean, "step": 0}, out)


def _weights(file: Path) -> dict[str, Tensor]:
    try:
        found = torch.load(file, weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"no file {file}", field="checkpoints", fix="name a run's best.pt") from error
    except Exception as error:  # torch raises whatever a broken file makes it raise
        raise InputError(f"{file} can't be read: {error}", field="checkpoints", fix="name a run's best.pt") from error
    if not isinstance(found, dict) or not isinstance(found.get("tuner"), dict):
        raise InputError(
            f"{file} is no checkpoint of the second stage", field="checkpoints", fix="name a run's best.pt"
        )
    weights: dict[str, Tensor] = found["tuner"]
    return weights
