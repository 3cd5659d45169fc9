"""A download that was interrupted and can go on: what has arrived, and which version of the file it belongs to."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

_CHECKPOINT = 4 * 1024 * 1024
"""Bytes after which what has arrived is made durable."""


class Arrived(NamedTuple):
    """The beginning of a file: its strong validator, the coding it came in, and the bytes."""

    etag: str
    encoding: str
    content: bytes


class Part:
    """`name.part` and `name.part.json` in a folder: bytes as they came over the wire, and what vouches for them.

    Only a file with a strong ETag is kept, since only that says that a second part belongs to the first.
    `place` stands for where it comes from: the beginning of another place's file is not used.
    """

    def __init__(self, folder: Path, name: str, place: str) -> None:
        self._path, self._meta, self._place = folder / f"{name}.part", folder / f"{name}.part.json", place
        self._file: BinaryIO | None = None
        self._hash, self._size, self._durable, self._about = hashlib.sha256(), 0, 0, ("", "")

    def arrived(self) -> Arrived | None:
        """What an earlier attempt left, if every byte of it is what was received."""
        try:
            about: Any = json.loads(self._meta.read_bytes())
            if not isinstance(about, dict) or about.get("place") != self._place:
                return None
            with self._path.open("rb") as file:
                content = file.read(int(about["size"]))
            if hashlib.sha256(content).hexdigest() != about["sha256"] or not content:
                return None
            return Arrived(str(about["etag"]), str(about["encoding"]), content)
        except (OSError, ValueError, KeyError, TypeError):
            return None  # nothing usable: the download starts anew

    def begin(self, etag: str, encoding: str, content: bytes = b"") -> None:
        """Start the file, with `content` as what is there already. Without a strong ETag nothing is kept."""
        self.discard()
        if not strong(etag):
            return
        self._about = (etag, encoding)
        self._file = self._path.open("wb")
        self._hash, self._size, self._durable = hashlib.sha256(), 0, 0
        self.append(content)

    def append(self, chunk: bytes) -> None:
        """Keep the next bytes."""
        if self._file is None:
            return
        self._file.write(chunk)
        self._hash.update(chunk)
        self._size += len(chunk)
        if self._size - self._durable >= _CHECKPOINT:
            self._save()

    def keep(self) -> None:
        """Close the file so that the next attempt can go on from here."""
        if self._file is not None:
            if self._size:
                self._save()
            self._file.close()
            self._file = None

    def discard(self) -> None:
        """Forget what arrived: it is whole, or of no use."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._meta.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)

    def _save(self) -> None:
        assert self._file is not None  # noqa: S101 - the callers have looked
        self._file.flush()
        os.fsync(self._file.fileno())
        self._durable = self._size
        about = {"place": self._place, "etag": self._about[0], "encoding": self._about[1], "size": self._size,
                 "sha256": self._hash.hexdigest()}  # fmt: skip
        new = self._meta.with_suffix(".new")
        new.write_text(json.dumps(about), "utf-8")
        new.replace(self._meta)


def strong(etag: str) -> bool:
    """Whether an ETag says that files are equal byte by byte (RFC 9110, 8.8.3)."""
    return len(etag) > 2 and etag.startswith('"') and etag.endswith('"')
