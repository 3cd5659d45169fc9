"""Hashes a model's files, pins the shipped ones in the code, and tells what was cut off."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from aegis_agents.errors import ModelError
from aegis_agents.model.calibration import UNFITTED
from aegis_agents.model.files import FILES, WeightFiles


def write_manifest(folder: Path, name: str, about: dict[str, Any]) -> str:
    """Hash all files into manifest.json; returns the manifest's own SHA-256."""
    files = {f: hashlib.sha256((folder / f).read_bytes()).hexdigest() for f in FILES}
    raw = json.dumps({"name": name, "files": files, "about": about}, indent=1, sort_keys=True).encode()
    (folder / "manifest.json").write_bytes(raw)
    return hashlib.sha256(raw).hexdigest()


def check_fitted(files: WeightFiles) -> None:
    """Raises ModelError where calibration was cut off: such weights call nearly everything undetermined or sure."""
    if json.loads(files.contents["calibration.json"])["fitted_on"] == UNFITTED:
        raise ModelError(f"{files.version} was never calibrated: its training was cut off; run it again")


def write_pin(digest: str) -> None:
    """Pin the manifest in the code, so that the shipped weights can't be swapped without changing it."""
    from aegis_agents.model import pin

    Path(pin.__file__).write_text(
        '"""The SHA-256 of the shipped weights\' manifest; `aegis_agents.training.manifest` writes this file."""\n\n'
        f'MANIFEST_SHA256 = "{digest}"\n',
        "utf-8",
    )
