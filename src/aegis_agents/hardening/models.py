"""Model folders: what a trusted key signed, as safetensors and ONNX alone, never as pickle.

A folder is signed by its list: manifest.json where it has one (Aegis' own models: it names the SHA-256 of every file), else
`aegis-files.json`, which `aegis sign FOLDER` writes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from aegis_agents.errors import InputError, ModelError, ModelTampered
from aegis_agents.hardening.signatures import SUFFIX
from aegis_agents.hardening.trust import Trust

MANIFEST: Final = "manifest.json"
LIST: Final = "aegis-files.json"
PICKLED: Final = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".msgpack", ".h5"})
"""Forms of weights that run code when they are loaded, or may hold what does."""
_PROTOCOLS: Final = tuple(b"\x80" + bytes([n]) for n in range(2, 6))
"""How a pickle begins."""


def refuse_pickle(folder: Path) -> None:
    """Raise ModelError for a folder that holds weights in a form that runs code, by name or by how they begin."""
    for file in sorted(folder.rglob("*")):
        if not file.is_file():
            continue
        with file.open("rb") as opened:
            head = opened.read(2)
        if file.suffix.lower() in PICKLED or head in _PROTOCOLS:
            raise ModelError(
                f"{file}: pickled weights run code when they are loaded; only safetensors are (convert it)"
            )


def list_files(folder: Path) -> bytes:
    """The list of a folder: every file's SHA-256, by its path within. Raises InputError for what is no plain file."""
    found = {}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.is_dir() and not file.is_symlink():
            continue
        if file.is_symlink() or not file.is_file():
            raise InputError("is no plain file, and a signature covers plain files", field=str(file))
        if name not in (LIST, LIST + SUFFIX):
            with file.open("rb") as opened:
                found[name] = hashlib.file_digest(opened, "sha256").hexdigest()
    return (json.dumps({"files": found}, indent=1, sort_keys=True) + "\n").encode()


def signed_manifest(trust: Trust, folder: Path, expected: str) -> str:
    """The SHA-256 that a model's manifest must have: that of the signed one, where it has to be signed.

    `expected` is what the record of the promotion says. Raises ModelTampered, ModelError.
    """
    if not trust.keys:
        return expected
    file = folder / MANIFEST
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelError(f"model file {file} can't be read: {error.strerror}") from error
    trust.accept(file, content, ModelTampered, f"`aegis sign {folder} --key KEY`, or `aegis model use shipped`")
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        raise ModelTampered(f"{file} has SHA-256 {digest}, and what was promoted had {expected}: promote it again")
    return digest


def check_folder(trust: Trust, folder: Path) -> None:
    """Whether a folder of another's form (a base, an adapter) is as it was signed. Raises ModelTampered, ModelError.

    Its files are read again when they are loaded; a folder that must not change in between is copied (trust.private_copy).
    """
    if not folder.is_dir():
        raise ModelError(f"{folder}: is no folder")
    refuse_pickle(folder)
    if not trust.keys:
        return
    fix = f"`aegis sign {folder} --key KEY`"
    try:
        content = (folder / LIST).read_bytes()
    except OSError as error:
        raise ModelTampered(f"{folder}: its list {LIST} can't be read: {error.strerror} ({fix})") from error
    trust.accept(folder / LIST, content, ModelTampered, fix)
    try:
        found = list_files(folder)
    except InputError as error:
        raise ModelTampered(f"{error} ({fix})") from error
    if found != content:
        raise ModelTampered(f"{folder}: {_difference(content, found)} ({fix})")


def _difference(signed: bytes, found: bytes) -> str:
    try:
        was, now = json.loads(signed)["files"], json.loads(found)["files"]
        changed = sorted(name for name in {*was, *now} if was.get(name) != now.get(name))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "its list is no list"
    return f"{changed[0] if changed else 'its list'} is not as it was signed"
