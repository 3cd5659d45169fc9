"""The anchor: count and head of the ledger, and its number of checkpoints, kept beside the database.

It catches what the chain alone can't: a tail cut off together with the count in the database, and a
database put back from an older copy. It is moved on after the commit, so a crash in between leaves it
behind the ledger (which verifies), never ahead of it. What it can't catch is somebody who rewrites
database and anchor alike: that takes a copy of the head elsewhere, or a signature whose key is elsewhere.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from aegis_agents.errors import LedgerTampered, StoreError
from aegis_agents.ledger.files import write_whole

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

_WIDTH = 256
_LOOKS = 100


class Anchor(NamedTuple):
    """How many entries the ledger had, the hash of the last, and how many checkpoints."""

    entries: int
    head: str
    checkpoints: int = 0


class AnchorFile:
    """One fixed-width line in a memory-mapped file.

    Mapped, because a write() beside the database makes its next flush wait for the file system's own
    journal (measured on ext4: 4 ms a commit instead of 0.1). What is written survives a killed process;
    after a power cut it may be a few seconds behind. The line carries its own checksum, since a reader
    may come in the middle of a write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map: mmap.mmap | None = None
        self._handle: int | None = None
        self._last: tuple[bytes, Anchor] | None = None  # what was written or read last: no need to check it again

    def create(self, anchor: Anchor) -> None:
        """Write the first anchor of a new, empty ledger. One left over from a removed ledger stays, and tells.

        Raises StoreError.
        """
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                write_whole(handle, _line(anchor))
            finally:
                os.close(handle)
            if not self.path.exists() or self._unused():
                new.replace(self.path)
            else:
                new.unlink()
        except OSError as error:
            raise StoreError(f"{self.path}: the ledger's anchor can't be made: {error}") from error

    def _unused(self) -> bool:
        """Whether it protects nothing: left by a process that was killed while it made the ledger."""
        try:
            return self.path.stat().st_size == 0 or self.read().entries == 0
        except LedgerTampered:
            return False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from moving it meanwhile: two writes at once could leave a line that is of both, for good."""
        handle = self._handle
        if handle is None or fcntl is None:  # nothing was written here yet
            yield
            return
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if self._handle == handle:
                fcntl.flock(handle, fcntl.LOCK_UN)

    def open(self) -> None:
        """Map it, if it is not. A file that was removed is not made again: verify() must find it missing. Raises OSError."""
        if self._mapped() is None:
            self.close()
            self._handle = os.open(self.path, os.O_RDWR)
            self._map = mmap.mmap(self._handle, _WIDTH)

    def write(self, anchor: Anchor) -> None:
        """Overwrite in place, within `held`. Raises OSError, ValueError where it can't be mapped."""
        self.open()
        whole = self._map
        assert whole is not None  # noqa: S101 - open() made it, or raised
        line = _line(anchor)
        whole[:] = line
        self._last = line, anchor

    def read(self, *, mapped: bool = False) -> Anchor:
        """The anchor. Raises LedgerTampered if it is missing or is not one.

        `mapped` looks at what this process writes to, which is quicker and misses a file that was exchanged.
        """
        for _ in range(_LOOKS):
            try:
                whole = self._mapped() if mapped else None
                line = self.path.read_bytes() if whole is None else whole[:]
            except FileNotFoundError as error:
                raise LedgerTampered(f"{self.path} is missing (restore it together with the database)") from error
            except OSError as error:
                raise LedgerTampered(f"{self.path} can't be read: {error}") from error
            if self._last is not None and self._last[0] == line:
                return self._last[1]
            fields = line.decode("ascii", "replace").split()
            if len(fields) in (3, 4) and all(number.isdecimal() for number in (fields[0], *fields[2:-1])):
                anchor = Anchor(int(fields[0]), fields[1], *map(int, fields[2:-1]))
                if line == _line(anchor) or line == _line_before(anchor):
                    return anchor
        raise LedgerTampered(f"{self.path} was changed: it is no anchor")

    def _mapped(self) -> mmap.mmap | None:
        """The map, if there is one of a whole file: to touch what was cut off since would end this process."""
        if self._map is not None and self._map.size() < _WIDTH:
            self.close()
        return self._map

    def close(self) -> None:
        """Release the file. Calling it twice is fine."""
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _line(anchor: Anchor) -> bytes:
    return _sealed(f"{anchor.entries} {anchor.head} {anchor.checkpoints}")


def _line_before(anchor: Anchor) -> bytes:
    """As it was written before there were checkpoints."""
    return _sealed(f"{anchor.entries} {anchor.head}")


def _sealed(text: str) -> bytes:
    return f"{text} {hashlib.sha256(text.encode()).hexdigest()}".ljust(_WIDTH - 1).encode() + b"\n"
