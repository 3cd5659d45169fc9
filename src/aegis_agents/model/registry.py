"""Models of the user's own: each in a folder named by its hash, and one file that says which is in use.

Only the promotion gate writes here. The file names the manifest's SHA-256, so that weights
which were altered after their promotion are not loaded.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from pydantic import ValidationError

from aegis_agents.errors import ModelError, ModelTampered
from aegis_agents.model.files import FILES, read_weights
from aegis_agents.records.base import Record

MANIFEST = "manifest.json"
SHIPPED = "shipped"
NAME_LENGTH = 12
"""Digits of the manifest's hash that name a folder."""


class Installed(Record):
    """A model under `home`, and the hash that it must have."""

    name: str
    folder: Path
    manifest_sha256: str


def models_folder(home: Path) -> Path:
    """Where models of the user's own lie."""
    return home / "models"


def _current_file(home: Path) -> Path:
    return models_folder(home) / "current.json"


def current(home: Path) -> Installed | None:
    """The promoted model, None while the shipped one is in use. Raises ModelError for a damaged record of it."""
    file = _current_file(home)
    try:
        found = Installed.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ModelError(f"{file} is damaged: run `aegis model use shipped` ({error})") from error
    # A state that was moved takes its models along.
    return found.model_copy(update={"folder": models_folder(home) / found.folder.name})


def installed(home: Path) -> list[Installed]:
    """The models under `home`, by folder name. Raises ModelTampered where a manifest is not the one that was promoted."""
    found = []
    for folder in sorted(models_folder(home).glob("*/")):
        if (folder / MANIFEST).is_file():
            raw = (folder / MANIFEST).read_bytes()
            digest = hashlib.sha256(raw).hexdigest()
            if digest[:NAME_LENGTH] != folder.name:
                raise ModelTampered(f"{folder / MANIFEST} has SHA-256 {digest}, its folder says {folder.name}…")
            found.append(Installed(name=str(json.loads(raw)["name"]), folder=folder, manifest_sha256=digest))
    return found


def install(home: Path, source: Path, manifest_sha256: str) -> Installed:
    """Copy a checked model under `home`, without using it yet. Raises ModelTampered or ModelError."""
    files = read_weights(source, manifest_sha256=manifest_sha256)
    folder = models_folder(home) / manifest_sha256[:NAME_LENGTH]
    if not folder.exists():
        made = folder.with_suffix(".new")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True, mode=0o700)
        for name in FILES:
            (made / name).write_bytes(files.contents[name])
        shutil.copyfile(source / MANIFEST, made / MANIFEST)
        made.rename(folder)
    read_weights(folder, manifest_sha256=manifest_sha256)
    return Installed(name=files.version.partition("@")[0], folder=folder, manifest_sha256=manifest_sha256)


def use(home: Path, model: Installed | None) -> None:
    """Decide with this model from the next start on; None goes back to the shipped one."""
    file = _current_file(home)
    if model is None:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = file.with_suffix(".new")
    new.write_text(model.model_copy(update={"folder": Path(model.folder.name)}).model_dump_json(), "utf-8")
    new.replace(file)
