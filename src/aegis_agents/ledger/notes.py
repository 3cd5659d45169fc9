"""Checkpoints as signed text: what the ledger held at a moment, in a form that others can check.

The form is C2SP signed-note (c2sp.org/signed-note) with Ed25519 (RFC 8032), and the text that of
C2SP tlog-checkpoint (c2sp.org/tlog-checkpoint), with one difference: the third line is the head of a hash
chain and not the root of a Merkle tree, so a witness that wants consistency proofs can't follow this ledger.
tools/verify_ledger/README.md spells the bytes out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from aegis_agents.errors import InputError, LedgerTampered

ED25519 = b"\x01"
"""The signature type of signed-note."""

NO_NOTE = "0" * 64
"""What the first checkpoint names as the one before it."""

_DASH = "\u2014 "


class Checkpoint(NamedTuple):
    """What a checkpoint says: this ledger held so many entries, and `head` was the hash of the last.

    `number` counts checkpoints from 1, `previous` is the SHA-256 (hex) of the note before it, so that none
    can be taken out of their row. `at` is UTC, as in entries.
    """

    origin: str
    entries: int
    head: str
    at: str
    number: int
    previous: str

    def text(self) -> str:
        """The text that is signed."""
        root = base64.b64encode(bytes.fromhex(self.head)).decode()
        extension = f"time {self.at}\nnumber {self.number}\nprevious {self.previous}\n"
        return f"{self.origin}\n{self.entries}\n{root}\n{extension}"


class PublicKey(NamedTuple):
    """A key that checkpoints are checked with: its name (the ledger's origin) and its 32 bytes."""

    name: str
    raw: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that a signature names its key by."""
        return hashlib.sha256(f"{self.name}\n".encode() + ED25519 + self.raw).digest()[:4]

    @property
    def line(self) -> str:
        """The key as one line: name, id and bytes, joined by plus signs (the verifier key of signed-note)."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.raw).decode()}"

    @classmethod
    def read(cls, line: str) -> PublicKey:
        """The key of such a line. Raises InputError."""
        name, _, rest = line.partition("+")
        try:
            decoded = base64.b64decode(rest.partition("+")[2], validate=True)
        except binascii.Error:
            decoded = b""
        key = cls(name, decoded[1:])
        if len(decoded) != 33 or key.line != line:
            raise InputError(
                f"not a public key: {line[:120]!r}", field="key", fix="one line as `aegis ledger key` prints it"
            )
        return key


def read_keys(file: Path) -> tuple[str, ...]:
    """The public keys of a file, one a line; empty lines and those that begin with # don't count. Raises InputError."""
    try:
        lines = [line.strip() for line in file.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't be read: {error}", field=str(file)) from error
    return tuple(PublicKey.read(line).line for line in lines if line and not line.startswith("#"))


def note_hash(note: str) -> str:
    """What the next checkpoint names this one by."""
    return hashlib.sha256(note.encode("utf-8", "surrogatepass")).hexdigest()


def signed_note(text: str, key: PublicKey, signature: bytes) -> str:
    """Text and signature as one note."""
    return f"{text}\n{_DASH}{key.name} {base64.b64encode(key.id + signature).decode()}\n"


def read_note(note: str, keys: Iterable[PublicKey]) -> Checkpoint:
    """What a note says, if it is well-formed to the byte and, with `keys`, signed by one of them.

    Without any key the signature is not checked. Raises LedgerTampered saying what is wrong.
    """
    text, between, signed = note.rpartition("\n\n") if isinstance(note, str) else ("", "", "")
    name, _, encoded = signed.removeprefix(_DASH).removesuffix("\n").rpartition(" ")
    checkpoint, signature = _read_text(text + "\n"), _decode(encoded)
    if not between or checkpoint is None or len(signature) != 68:
        raise LedgerTampered("it is no signed checkpoint")
    if name != checkpoint.origin or note != f"{text}\n\n{_DASH}{name} {base64.b64encode(signature).decode()}\n":
        raise LedgerTampered("its signature line was changed")
    known = list(keys)
    if known:
        _check_signature(text + "\n", signature, [key for key in known if key.name == name])
    return checkpoint


def _check_signature(text: str, signature: bytes, keys: Iterable[PublicKey]) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    for key in keys:
        if key.id == signature[:4]:
            try:
                Ed25519PublicKey.from_public_bytes(key.raw).verify(signature[4:], text.encode())
            except (InvalidSignature, ValueError) as error:
                raise LedgerTampered("its signature does not fit what it says") from error
            return
    raise LedgerTampered("no key that was given has signed it")


def _read_text(text: str) -> Checkpoint | None:
    """What a text says, None if it is not just what `Checkpoint.text` would write."""
    lines = text.split("\n")
    if len(lines) != 7:
        return None
    origin, entries, root, at, number, previous, _ = lines
    try:
        found = Checkpoint(
            origin, int(entries), _decode(root).hex(), at.removeprefix("time "),
            int(number.removeprefix("number ")), previous.removeprefix("previous "),
        )  # fmt: skip
        return found if found.text() == text and len(root) == 44 and all(lines[:6]) else None
    except ValueError:  # a number that is none, or of more digits than Python reads
        return None


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # not base64, or not ASCII
        return b""
