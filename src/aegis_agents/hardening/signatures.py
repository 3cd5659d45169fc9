"""Signed files: FILE.sig beside FILE says who signed these very bytes under this name.

The form is that of the ledger's checkpoints, C2SP signed-note (c2sp.org/signed-note) with Ed25519 (RFC 8032). The text
begins with a line of its own, so that no other thing that such a key signs can be passed off as a file:

    aegis-agents/signed-file/v1
    name policy.cedar
    size 1234
    sha256 0123...
    time 2026-11-26T12:00:00+00:00

The name is signed too: what was signed as staging.toml does not pass as production.toml. An older version that was
signed as well does; a key that signs for good is for what may be used for good.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from aegis_agents.errors import InputError
from aegis_agents.ledger.notes import PublicKey, signed_note
from aegis_agents.ledger.signing import Signer

FIRST: Final = "aegis-agents/signed-file/v1"
SUFFIX: Final = ".sig"
_DASH: Final = "\u2014 "
_MOST_NOTE: Final = 16_384


class Signature(NamedTuple):
    """Who signed a file, and when they say they did."""

    by: str
    at: str
    sha256: str


def statement(name: str, content: bytes, at: str) -> str:
    """The text that is signed."""
    digest = hashlib.sha256(content).hexdigest()
    return f"{FIRST}\nname {name}\nsize {len(content)}\nsha256 {digest}\ntime {at}\n"


def sign_file(file: Path, signer: Signer, key_name: str) -> Path:
    """Write FILE.sig beside a file; answers where. Raises InputError for what can't be read or written, or has no plain name."""
    if not file.name.isprintable() or not file.name:
        raise InputError("its name can't be printed", field=ascii(str(file)))
    try:
        content = file.read_bytes()
        note = signer.sign(key_name, statement(file.name, content, datetime.now(UTC).isoformat(timespec="seconds")))
        target = file.with_name(file.name + SUFFIX)
        part = target.with_name(target.name + ".part")
        part.write_text(note, "utf-8")
        part.replace(target)
    except OSError as error:
        raise InputError(f"can't be signed: {error.strerror or error}", field=str(file)) from error
    return target


def note_beside(file: Path) -> str | None:
    """The signature beside a file, None if there is none. Raises InputError for one that can't be read."""
    try:
        with file.with_name(file.name + SUFFIX).open("rb") as opened:
            raw = opened.read(_MOST_NOTE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"its signature can't be read: {error.strerror or error}", field=str(file)) from error
    try:
        return raw.decode("utf-8") if len(raw) <= _MOST_NOTE else ""
    except UnicodeDecodeError:
        return ""


def check(name: str, content: bytes, note: str | None, keys: Iterable[PublicKey]) -> Signature:
    """Who signed these bytes under this name. Raises InputError saying what is wrong."""
    if note is None:
        raise InputError("it is not signed", field=name)
    text, between, signed = note.rpartition("\n\n")
    text += "\n"
    by, _, encoded = signed.removeprefix(_DASH).removesuffix("\n").rpartition(" ")
    lines = text.split("\n")
    at = lines[4].removeprefix("time ") if len(lines) == 6 else ""
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    named = [key for key in keys if key.name == by and key.id == raw[:4]]
    if not between or len(raw) != 68 or not at:
        raise InputError("its signature is no signed note", field=name)
    if not named:
        raise InputError(f"no trusted key has signed it (it says {by[:80]!r})", field=name)
    # What has to be signed is written here, not read there: only the time is the signer's own word.
    if text != statement(name, content, at) or note != signed_note(text, named[0], raw[4:]):
        raise InputError("its signature is not for these bytes under this name", field=name)
    if not any(_verifies(key, raw[4:], text) for key in named):
        raise InputError("its signature does not fit", field=name)
    return Signature(by, at, hashlib.sha256(content).hexdigest())


def _verifies(key: PublicKey, signature: bytes, text: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, text.encode())
    except (InvalidSignature, ValueError):
        return False
    return True
