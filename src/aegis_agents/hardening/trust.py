"""Loading what settings name: with `hardening.trusted_keys` only what one of those keys signed, and from the very bytes
that were checked.

Loaders take paths. Between a check and a loader's own reading a file could be changed, so they get a copy of the
checked bytes in a folder that only this account can enter, and errors name the file that was meant.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from aegis_agents.errors import AegisError, InputError, SettingsError
from aegis_agents.hardening.loaded import remember
from aegis_agents.hardening.signatures import Signature, check, note_beside
from aegis_agents.ledger.notes import PublicKey, read_keys
from aegis_agents.settings import Settings

_MOST: Final = 64 * 1024 * 1024
"""Bytes of a configuration file. Weights have a way of their own (models.py)."""


class Trust:
    """The keys that count; without any, every file does."""

    def __init__(self, keys: tuple[PublicKey, ...] = ()) -> None:
        self.keys = keys

    @classmethod
    def of(cls, settings: Settings) -> Trust:
        """The keys that settings trust, once the settings file itself is found to be signed by one of them.

        Raises SettingsError for keys that can't be read, none at all, and a settings file that is not signed.
        """
        trust = cls(trusted(settings.hardening.trusted_keys))
        if settings.read_from is not None:
            path, content = settings.read_from
            trust.accept(path, content)
        return trust

    def accept(
        self, path: Path, content: bytes, error: type[AegisError] = SettingsError, fix: str = ""
    ) -> Signature | None:
        """Who signed these bytes of a file, None where nobody has to. Raises `error` naming the file and the fix."""
        found = None
        if self.keys:
            try:
                found = check(path.name, content, note_beside(path), self.keys)
            except InputError as wrong:
                how = fix or f"look at it, then `aegis sign {path} --key KEY`"
                raise error(
                    f"{path}: {wrong.message}, and hardening.trusted_keys lets only signed files in ({how})"
                ) from wrong
        remember(path, content)
        return found

    @contextmanager
    def opened(self, *paths: Path | None) -> Iterator[tuple[Path | None, ...]]:
        """Paths to load from, for as long as the block runs; None stays None. Raises SettingsError.

        Where nobody has to sign they are the paths themselves.
        """
        if not self.keys:
            for path in paths:
                _remember_as_is(path)
            yield paths
            return
        with tempfile.TemporaryDirectory(prefix="aegis-checked-") as folder:  # 0700
            copies: dict[Path, Path] = {}
            given: list[Path | None] = []
            for path in paths:
                if path is None:
                    given.append(None)
                    continue
                content, mode = read_whole(path)
                self.accept(path, content)
                copy = Path(folder) / str(len(copies)) / path.name
                copy.parent.mkdir()
                copy.write_bytes(content)
                copy.chmod(mode)  # some loaders look who else may read or change a file
                copies[copy] = path
                given.append(copy)
            try:
                yield tuple(given)
            except AegisError as error:
                said = str(error)
                for copy, path in copies.items():
                    said = said.replace(str(copy), str(path))
                if said == str(error):
                    raise
                raise type(error)(said) from None  # what it was raised from names the copies


def trusted(file: Path | None) -> tuple[PublicKey, ...]:
    """The keys of a file; none where none is named. Raises SettingsError."""
    if file is None:
        return ()
    try:
        keys = tuple(PublicKey.read(line) for line in read_keys(file))
    except InputError as error:
        raise SettingsError(f"hardening.trusted_keys: {error}") from error
    if not keys:
        raise SettingsError(
            f"hardening.trusted_keys: {file} holds no key (one a line, as `aegis sign --public` prints it)"
        )
    return keys


def read_whole(path: Path) -> tuple[bytes, int]:
    """The bytes and mode of one regular file, through one opening. Raises SettingsError."""
    try:
        with path.open("rb") as file:
            kept = os.fstat(file.fileno())
            if not stat.S_ISREG(kept.st_mode):
                raise SettingsError(f"{path}: is no regular file")
            content = file.read(_MOST + 1)
    except OSError as error:
        raise SettingsError(f"{path}: can't be read: {error.strerror or error}") from error
    if len(content) > _MOST:
        raise SettingsError(f"{path}: is larger than {_MOST} bytes")
    return content, stat.S_IMODE(kept.st_mode)


def back(value: object, copy: Path | None, path: Path | None) -> object:
    """A path that a loader took from where the copy lies, as it is where the file lies; anything else as it is."""
    if copy is None or path is None or copy == path or not isinstance(value, Path):
        return value
    return path.parent / value.relative_to(copy.parent) if value.is_relative_to(copy.parent) else value


def private_copy(folder: Path) -> Path:
    """A copy of a folder that only this account can enter; it is removed when the process ends."""
    import atexit

    made = Path(tempfile.mkdtemp(prefix="aegis-checked-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(shutil.copytree(folder, made / folder.name, symlinks=False))


def _remember_as_is(path: Path | None) -> None:
    """Nobody vouches for it, but whether it changes is looked after all the same."""
    if path is not None:
        try:
            remember(path, read_whole(path)[0])
        except SettingsError:
            return  # the loader says it, in its own words
