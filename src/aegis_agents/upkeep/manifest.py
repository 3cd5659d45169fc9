"""The manifest of a backup: every file by its SHA-256, what the ledger held, and a signature of the ledger's own key."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from aegis_agents.errors import InputError, LedgerTampered
from aegis_agents.ledger import Signer
from aegis_agents.ledger.notes import PublicKey, read_keys
from aegis_agents.records.base import Record

FILE, SIGNATURE = "manifest.json", "manifest.sig"
WHOLE = frozenset({"aegis.sqlite", "inbox.sqlite", "checkpoints.sqlite", "ledger.pub", "ledger.key"})
"""Files of a backup that lie in its folder itself."""
FOLDERS = frozenset({"intel", "models", "outbox"})
"""Folders of it, of any depth."""
_MOST = 64 * 1024 * 1024
_FIRST_LINE = "aegis backup"


class Kept(Record):
    """A file of a backup."""

    sha256: str
    size: int


class Manifest(Record):
    """What a backup holds. `entries`, `head` and `checkpoints` are the ledger's as it was then, `version` the tables'."""

    format: int
    made_at: str
    aegis: str
    version: int
    oldest: int
    database: str
    """Where it came from: "sqlite" or "postgresql"."""
    origin: str
    entries: int
    head: str
    checkpoints: int
    keys: tuple[str, ...]
    """The public keys, as lines, that its checkpoints verify with."""
    with_key: bool
    intel: str
    model: str
    threads: str
    files: dict[str, Kept]


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, in hex."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def write_manifest(folder: Path, manifest: Manifest, signer: Signer) -> None:
    """Write and sign it. Raises LedgerError if the key can't be used."""
    raw = json.dumps(manifest.model_dump(), indent=1, sort_keys=True).encode() + b"\n"
    (folder / FILE).write_bytes(raw)
    (folder / SIGNATURE).write_text(signer.sign(manifest.origin, _signed_text(raw)), "utf-8")


def read_manifest(folder: Path, keys: Collection[str] = ()) -> Manifest:
    """The manifest of a folder, its signature checked with `keys` (public keys, as lines), and every file with it.

    Without keys those in the backup count, which shows no more than that nothing was damaged. Raises InputError for what
    is no backup, LedgerTampered naming the first thing that is not as it was.
    """
    try:
        if (folder / FILE).stat().st_size > _MOST:
            raise InputError("is too big for a manifest", field=str(folder / FILE))
        raw, note = (folder / FILE).read_bytes(), (folder / SIGNATURE).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"is no backup: {error}", field=str(folder), fix="a folder that `aegis backup` wrote"
        ) from error
    try:
        manifest = Manifest.model_validate_json(raw)
    except ValidationError as error:
        raise LedgerTampered(
            f"{folder / FILE}: is no manifest, or a half of one ({error.error_count()} faults)"
        ) from error
    if manifest.format != 1:
        raise InputError(
            f"is of format {manifest.format}", field=str(folder), fix="restore it with the Aegis that made it"
        )
    check_files(folder, manifest)
    if not keys:
        if not (folder / "ledger.pub").exists():
            raise LedgerTampered(f"{folder}: has no public key; give the one you keep with --key")
        keys = read_keys(folder / "ledger.pub")
    _check_signature(note, _signed_text(raw), manifest.origin, keys)
    return manifest


def check_files(folder: Path, manifest: Manifest) -> None:
    """Every file is there, is what it was, and nothing else is. Raises LedgerTampered."""
    for name in manifest.files:
        _check_name(folder, name)
    found = set()
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise LedgerTampered(f"{path}: is a link, and a backup has none")
        if path.is_file():
            found.add(path.relative_to(folder).as_posix())
    if strange := sorted(found - set(manifest.files) - {FILE, SIGNATURE}):
        raise LedgerTampered(f"{folder / strange[0]}: is not of this backup")
    for name, kept in sorted(manifest.files.items()):
        if name not in found:
            raise LedgerTampered(f"{folder / name}: is missing")
        if (folder / name).stat().st_size != kept.size or sha256_of(folder / name) != kept.sha256:
            raise LedgerTampered(f"{folder / name}: is not what it was when the backup was made")


def copy_checked(folder: Path, name: str, manifest: Manifest, to: Path) -> Path:
    """Copy a backup's file, and answer the copy, which is what the manifest says: it may have been changed since it was checked.

    Raises LedgerTampered, OSError.
    """
    shutil.copyfile(folder / name, to)
    if sha256_of(to) != manifest.files[name].sha256:
        to.unlink()
        raise LedgerTampered(f"{folder / name}: was changed while it was restored")
    return to


def _check_name(folder: Path, name: str) -> None:
    """A name in a manifest is data: it must not lead anywhere else."""
    path = PurePosixPath(name)
    plain = (
        path.as_posix() == name
        and not path.is_absolute()
        and ".." not in path.parts
        and "\0" not in name
        and "\\" not in name
    )
    if not plain or not (name in WHOLE or (len(path.parts) > 1 and path.parts[0] in FOLDERS)):
        raise LedgerTampered(f"{folder / FILE}: names {name!r}, which is no file of a backup")


def _signed_text(raw: bytes) -> str:
    return f"{_FIRST_LINE}\n{hashlib.sha256(raw).hexdigest()}\n"


def _check_signature(note: str, text: str, origin: str, keys: Collection[str]) -> None:
    """The note must be just what one of the keys signs for this text (C2SP signed-note)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    before, _, encoded = note.rstrip("\n").rpartition(" ")
    try:
        signature = base64.b64decode(encoded, validate=True)
    except ValueError:
        signature = b""
    if before == f"{text}\n\u2014 {origin}" and len(signature) == 68:
        for key in (PublicKey.read(line) for line in keys):
            if key.name == origin and key.id == signature[:4]:
                try:
                    Ed25519PublicKey.from_public_bytes(key.raw).verify(signature[4:], text.encode())
                except (InvalidSignature, ValueError):
                    break
                return
    raise LedgerTampered(f"{FILE}: was changed, or no key that was given has signed it")
