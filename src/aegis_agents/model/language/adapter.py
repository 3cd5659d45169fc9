"""The trained adapter that ships: safetensors, checked by hash, put over the base as LoRA."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

from aegis_agents.errors import ModelError, ModelTampered
from aegis_agents.model.language.pin import ADAPTER_SHA256

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def shipped_adapter() -> Path:
    """The adapter inside the installed package."""
    return Path(str(resources.files("aegis_agents.model.language") / "adapter"))


def digest_of(folder: Path) -> str:
    """SHA-256 over the hashes of both files."""
    parts = {}
    for name in (CONFIG, WEIGHTS):
        try:
            parts[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            raise ModelError(f"adapter file {folder / name} can't be read: {error.strerror}") from error
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def check_adapter(folder: Path | None = None, sha256: str | None = None) -> tuple[Path, str]:
    """The folder and hash of the shipped adapter, or of one's own with the hash that it must have.

    Raises ModelTampered where it differs, ModelError for an adapter that is not safetensors or has no hash.
    """
    if folder is None:
        folder, sha256 = shipped_adapter(), ADAPTER_SHA256
    if sha256 is None:
        raise ModelError(f"adapter {folder}: give its SHA-256 (`digest_of`), adapters are not loaded on trust")
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")):
        raise ModelError(f"adapter {folder}: holds pickled weights; only safetensors are loaded")
    if (found := digest_of(folder)) != sha256:
        raise ModelTampered(f"adapter {folder} has SHA-256 {found}, expected {sha256}")
    return folder, found


def put_on(model: Any, folder: Path) -> Any:
    """The base with the adapter over it."""
    from peft import PeftModel

    return PeftModel.from_pretrained(model, str(folder), is_trainable=False, use_safetensors=True)
