"""The shipped weights: what files they are, and the proof that they are the ones we shipped.

The manifest names each file's SHA-256, and `pin.py` the manifest's own. Files are read
once, checked, and used from memory, so that nothing can be swapped in between.
"""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from aegis_agents.errors import ModelError, ModelTampered
from aegis_agents.model.pin import MANIFEST_SHA256

FILES = (
    "encoder.onnx", "head.onnx", "tokenizer.json", "techniques.npz", "lexical.npz", "calibration.json", "head.safetensors",
)  # fmt: skip
"""`head.safetensors` is the head as it was trained, for those who adapt it to their own cases."""


class WeightFiles(NamedTuple):
    """The checked contents, by file name, and the version that they make up."""

    contents: dict[str, bytes]
    version: str


def shipped_folder() -> Path:
    """The weights inside the installed package."""
    return Path(str(resources.files("aegis_agents.model") / "weights"))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        fix = "reinstall the package" if path.parent == shipped_folder() else "restore it, or `aegis model use shipped`"
        raise ModelError(f"model file {path} can't be read: {error.strerror}; {fix}") from error


def read_weights(folder: Path | None = None, *, manifest_sha256: str | None = None) -> WeightFiles:
    """Read and check all files of a model.

    The shipped model is checked against the pin in the code; another folder against
    `manifest_sha256`, which its user must give. Raises ModelTampered naming the file
    that differs, ModelError if one is missing.
    """
    if folder is None:
        folder, manifest_sha256 = shipped_folder(), MANIFEST_SHA256
    if manifest_sha256 is None:
        raise ModelError(f"model {folder}: give the SHA-256 of its manifest.json, weights are not loaded on trust")
    raw = _read(folder / "manifest.json")
    found = hashlib.sha256(raw).hexdigest()
    if found != manifest_sha256:
        raise ModelTampered(f"{folder / 'manifest.json'} has SHA-256 {found}, expected {manifest_sha256}")
    manifest = json.loads(raw)
    contents = {}
    for name in FILES:
        contents[name] = _read(folder / name)
        digest = hashlib.sha256(contents[name]).hexdigest()
        if digest != manifest["files"].get(name):
            raise ModelTampered(f"{folder / name} has SHA-256 {digest}, expected {manifest['files'].get(name)}")
    return WeightFiles(contents, f"{manifest['name']}@{found[:12]}")
