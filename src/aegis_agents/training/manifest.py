"""Hashes a model's files, and pins the shipped ones in the code."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


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
