"""A file that is followed: how far it was read, in words that find the place again after it was rotated or packed.

A place is an offset and a hash of the bytes just before it. An inode alone does not do: it is given to another file as
soon as the first is gone, and stays when a file is truncated and written anew (logrotate's copytruncate).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from aegis_agents.errors import StreamError

ABSENT = "absent"
"""Stands for the hash in the place of a file that was not there yet; the offset is the time then (ns)."""
BEFORE = 1_024
"""Bytes before an offset that tell whether it is the same file."""
_CHUNK = 262_144
_UNREADABLE = (OSError, EOFError, zlib.error)


class Place(NamedTuple):
    """How far a file was read."""

    inode: int
    offset: int
    before: str
    """Hash of the bytes before the offset."""

    def text(self) -> str:
        """As a mark keeps it."""
        return json.dumps(self)

    @classmethod
    def read(cls, text: str | None) -> Place | None:
        """From a mark; None where there is none. Raises StreamError for what no mark is."""
        if text is None:
            return None
        try:
            inode, offset, before = json.loads(text)
            return cls(int(inode), int(offset), str(before))
        except (ValueError, TypeError) as error:
            raise StreamError(f"the mark {text[:100]!r} of a file is none") from error


def hash_of(before: bytes) -> str:
    """The hash that a place has of the bytes before it."""
    return hashlib.sha256(before[-BEFORE:]).hexdigest()[:24]


@dataclass(slots=True, eq=False)
class Opened:
    """An open file, plain or packed."""

    file: IO[bytes]
    inode: int
    mtime_ns: int
    packed: bool
    is_last: bool
    """Whether it is the file itself, and none that was rotated away."""

    @classmethod
    def at(cls, path: Path, *, follow: bool) -> Opened | None:
        """Open a regular file; None if there is none. Raises OSError, StreamError.

        `follow` for the file itself, which may be a symbolic link; what lies beside it may not.
        """
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        try:
            number = os.open(path, flags)
        except FileNotFoundError:
            return None
        about = os.fstat(number)
        if not stat.S_ISREG(about.st_mode):
            os.close(number)
            raise StreamError(f"{path} is no regular file: only such can be followed")
        raw = os.fdopen(number, "rb", buffering=0)
        packed = path.name.endswith(".gz")
        file: IO[bytes] = _Unpacked(raw) if packed else raw  # type: ignore[assignment]
        return cls(file, about.st_ino, about.st_mtime_ns, packed, follow)

    def close(self) -> None:
        """Close it."""
        self.file.close()

    def is_at(self, place: Place) -> bool:
        """Whether this is the file that was read up to there."""
        if place.before == ABSENT:
            return False
        if place.offset == 0:
            return self.inode == place.inode
        begin = max(0, place.offset - BEFORE)
        try:
            return hash_of(self.bytes_at(begin, place.offset - begin)) == place.before
        except _UNREADABLE:
            return False

    def bytes_at(self, offset: int, count: int) -> bytes:
        """So many bytes from an offset, fewer at the end."""
        if self.file.seek(offset) != offset:
            return b""
        found = bytearray()
        while len(found) < count and (piece := self.file.read(count - len(found))):
            found += piece
        return bytes(found)

    def chunk(self, offset: int) -> bytes:
        """What stands from there on, as much as is taken at once."""
        return self.bytes_at(offset, _CHUNK)

    def is_file_of(self, path: Path) -> bool | None:
        """Whether the path leads to this file now; None if it leads nowhere."""
        try:
            about = path.stat()
        except FileNotFoundError:
            return None
        return about.st_ino == self.inode


class _Unpacked(gzip.GzipFile):
    """A packed file whose end also closes what it is read from."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._raw = raw

    def close(self) -> None:
        super().close()
        self._raw.close()


def rotated(path: Path, *, gz: bool) -> list[Path]:
    """The files beside it that rotation makes: name.1, name-20261126, stem-20261126.suffix, with .gz where asked for."""
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    number = r"[.-][0-9][0-9TZ.:_-]*"
    packed = r"(?:\.gz)?" if gz else ""
    named = re.compile(rf"(?:{stem}{suffix}{number}|{stem}{number}{suffix}){packed}")
    return [one for one in path.parent.iterdir() if one != path and named.fullmatch(one.name)]


def unread(path: Path, place: Place, *, gz: bool) -> list[tuple[Opened, int]] | None:
    """The files that hold what was written after a place, oldest first, open, each with the offset to go on at.

    They are the caller's to close. The file itself is the last, if it is there. None where the place is nowhere to be
    found: then nobody knows what is missing. Raises OSError, and StreamError if it is rotated all the time.
    """
    for _ in range(_LOOKS):
        before = _names(path, gz=gz)
        found = _opened(path, before)
        if _names(path, gz=gz) == before:
            break
        for one in found:
            one.close()
    else:
        raise StreamError(f"{path} is being rotated all the time")
    needed = _after(found, place)
    for one in found:
        if one not in [opened for opened, _ in needed or []]:
            one.close()
    return needed


_LOOKS = 20
"""Tries to see all files between two rotations."""


def _names(path: Path, *, gz: bool) -> dict[str, int]:
    """The file and what rotation made of it: names and inodes."""
    found = {}
    for one in [path, *rotated(path, gz=gz)]:
        try:
            about = one.stat(follow_symlinks=one == path)
        except FileNotFoundError:
            continue
        if stat.S_ISREG(about.st_mode) or one == path:
            found[one.name] = about.st_ino
    # While it is packed a file is there twice.
    return {name: inode for name, inode in found.items() if name.removesuffix(".gz") not in found or name[-3:] != ".gz"}


def _opened(path: Path, names: dict[str, int]) -> list[Opened]:
    """These files open, oldest first, the file itself last."""
    found = []
    try:
        for name in names:
            opened = Opened.at(path.with_name(name), follow=name == path.name)
            if opened is not None:
                found.append((name == path.name, opened.mtime_ns, name, opened))
    except BaseException:
        for one in found:
            one[3].close()
        raise
    return [one[3] for one in sorted(found, key=lambda one: one[:3])]


def _after(found: list[Opened], place: Place) -> list[tuple[Opened, int]] | None:
    if place.before == ABSENT:  # whatever was written since
        last = [one for one in found if one.is_last]
        return [(one, 0) for one in found if one.mtime_ns >= place.offset and not one.is_last] + [
            (one, 0) for one in last
        ]
    here = [one for one in found if one.is_at(place)]
    if not here:
        return None
    # Several may hold the same bytes before it, if lines are alike: then it is the very file that was read.
    begin = next((one for one in here if one.inode == place.inode), here[-1])
    behind = [one for one in found if one is not begin and (one.is_last or one.mtime_ns >= begin.mtime_ns)]
    return [(begin, place.offset), *((one, 0) for one in ([] if begin.is_last else behind))]
