"""The key that signs checkpoints: made at first use, kept apart from the ledger if you like.

What a signature can't do: whoever can read the key on this machine can also sign. Against an intruder
with the rights of Aegis itself, keep the key where only a signer reads it, or (simpler) let each checkpoint be
copied to where this machine can add but not change (`copies`), and pin the public key elsewhere: what was
signed and carried away can't be taken back, whoever holds the key now.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from aegis_agents.errors import InputError, LedgerError
from aegis_agents.ledger.files import write_whole
from aegis_agents.ledger.notes import PublicKey, read_keys, signed_note

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Signer:
    """Signs checkpoints with the Ed25519 key of a file.

    `key` is the private key (PEM, PKCS #8; made at first use, readable for its owner alone), `public` the file
    of public keys that verify (one a line, see `notes.PublicKey`; by default beside the key), `every` how many
    entries may stay unsigned, `copies` a file or folder elsewhere that each checkpoint is also written to.
    Nothing is read, and cryptography is not imported, before a checkpoint is due.
    """

    def __init__(self, key: Path, *, public: Path | None = None, every: int = 100, copies: Path | None = None) -> None:
        if every < 1:
            raise InputError("must be at least 1", field="every", fix="how many entries may stay unsigned")
        self.file, self.public, self.every, self.copies = key, public or key.with_suffix(".pub"), every, copies
        self._key: Ed25519PrivateKey | None = None

    def known(self) -> tuple[str, ...]:
        """The public keys that verify, as lines; none before the first checkpoint. Raises InputError."""
        return read_keys(self.public) if self.public.exists() else ()

    def key(self, origin: str) -> PublicKey:
        """The public key that signs for this ledger. Raises LedgerError if it can't be read or made."""
        return PublicKey(origin, self._loaded().public_key().public_bytes_raw())

    def sign(self, origin: str, text: str) -> str:
        """The signed note. Raises LedgerError."""
        return signed_note(text, self.key(origin), self._loaded().sign(text.encode()))

    def publish(self, key: PublicKey) -> None:
        """Add a key to those that verify; one that is there stays once. Raises LedgerError."""
        try:
            if key.line not in self.known():
                _write(self.public, "".join(f"{line}\n" for line in (*self.known(), key.line)).encode(), 0o644)
        except (OSError, InputError) as error:
            raise LedgerError(f"{self.public}: the public key can't be kept: {error}") from error

    def prepare(self, origin: str) -> PublicKey:
        """Make the next key beside this one; it signs from `adopt` on. Raises LedgerError."""
        made = _new_key()
        try:
            _write(self._next, _pem(made), 0o600)
        except OSError as error:
            raise LedgerError(f"{self._next}: can't be written: {error}") from error
        return PublicKey(origin, made.public_key().public_bytes_raw())

    def adopt(self) -> None:
        """Let the prepared key take the place of the old one, which is gone then. Raises LedgerError."""
        try:
            self._next.replace(self.file)
        except OSError as error:
            raise LedgerError(f"{self._next}: can't become {self.file.name}: {error}") from error
        self.forget()

    def forget(self) -> None:
        """Read the key anew when it is needed next."""
        self._key = None

    @property
    def _next(self) -> Path:
        return self.file.with_name(self.file.name + ".next")

    def _loaded(self) -> Ed25519PrivateKey:
        if self._key is None:
            try:
                if not self.file.exists():
                    self._make()
                self._key = _read(self.file)
            except (OSError, InputError) as error:
                raise LedgerError(f"{self.file}: the signing key can't be used: {error}") from error
        return self._key

    def _make(self) -> None:
        """Make the first key. Where public keys are known, the private one was lost, and that is for a person."""
        if self.known():
            raise LedgerError(
                f"{self.file}: the signing key is missing, though {self.public} knows it "
                "(put it back, or make a new one with `aegis ledger key --renew`)"
            )
        self.file.parent.mkdir(parents=True, exist_ok=True)
        made = self.file.with_name(f"{self.file.name}.{os.getpid()}")
        _write(made, _pem(_new_key()), 0o600)
        with contextlib.suppress(FileExistsError):  # another process was first: its key is the one
            os.link(made, self.file)
        made.unlink()


def _new_key() -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate()


def _pem(key: Ed25519PrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read(file: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if os.name == "posix" and file.stat().st_mode & stat.S_IRWXO:
        raise InputError("every account can read it", field="key", fix=f"chmod 600 {file}")
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"it is no private key in PEM: {error}", field="key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError("it is no Ed25519 key", field="key")
    return key


def _write(file: Path, content: bytes, mode: int) -> None:
    """Write a whole file or nothing, and flush it."""
    part = file.with_name(file.name + ".part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.fchmod(handle, mode) if hasattr(os, "fchmod") else None
        write_whole(handle, content)
    finally:
        os.close(handle)
    part.replace(file)
