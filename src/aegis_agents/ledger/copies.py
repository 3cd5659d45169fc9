"""Checkpoints kept elsewhere: another disk, a share that can be added to but not changed, a WORM mount.

A folder gets a file for each checkpoint, the signed note itself; a file gets a JSON line for each. What is
there outlives the database: with it a rollback, a fork and a rewritten ledger are found, even by somebody who
has the key.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from aegis_agents.errors import InputError, LedgerError, LedgerTampered
from aegis_agents.ledger.files import write_whole
from aegis_agents.ledger.ids import canonical_json
from aegis_agents.ledger.notes import read_note

_SUFFIX = ".checkpoint"

Numbered = Sequence[tuple[int, str]]
"""Checkpoints: number and note."""


class Copies:
    """Where checkpoints are copied to: a folder that is there, else a file (made with its first line)."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._written: int | None = None

    def write(self, origin: str, after: Callable[[int], Numbered]) -> None:
        """Bring the copies up to date and flush them; `after` gives the checkpoints after a number.

        Raises LedgerError; then what is missing is written with the next checkpoint.
        """
        try:
            if self._written is None:
                self._written = max((n for n, _ in self._numbered(origin)), default=0)
            for number, note in after(self._written):
                if self.place.is_dir():
                    self._add_file(_name(origin, number), note)
                else:
                    self._add_line(note)
                self._written = number
        except (OSError, UnicodeDecodeError, InputError, LedgerTampered) as error:
            raise LedgerError(f"{self.place}: checkpoints can't be copied there: {error}") from error

    def read(self, origin: str) -> list[str]:
        """The notes that are kept there, in a folder those of this ledger alone.

        Raises InputError if there is none, or something else.
        """
        try:
            found = list(self._notes(origin))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"can't be read: {error}", field=str(self.place)) from error
        if not found:
            raise InputError(f"holds no checkpoint of this ledger ({origin})", field=str(self.place))
        return found

    def _numbered(self, origin: str) -> Iterator[tuple[int, str]]:
        if self.place.exists():
            for note in self._notes(origin):
                found = read_note(note, ())
                if found.origin != origin:
                    raise LedgerError(
                        f"it holds checkpoints of another ledger ({found.origin}): give each a place of its own"
                    )
                yield found.number, note

    def _notes(self, origin: str) -> Iterator[str]:
        if self.place.is_dir():
            found = [f.read_bytes() for f in sorted(self.place.glob(f"{glob.escape(_id(origin))}-*{_SUFFIX}"))]
            if found and _is_torn(found[-1]):
                found.pop()  # the writer completes it with its next checkpoint
            yield from (note.decode("utf-8") for note in found)
            return
        text = self.place.read_bytes().decode("utf-8")
        if text and not text.startswith("{"):
            yield text  # one note, as it is
            return
        lines = text.split("\n")
        for number, line in enumerate(lines[:-1], 1):
            # A power cut may leave the beginning of a line; the writer then begins the same line anew.
            if not lines[number].startswith(line):
                yield _note(line, number)

    def _add_file(self, name: str, note: str) -> None:
        file = self.place / name
        content = note.encode()
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            there = file.read_bytes()
            if not content.startswith(there):
                raise LedgerError(f"{file} is another checkpoint of this number: the ledger was forked") from None
            if there == content:
                return
            # A kill or a full disk left the beginning of it; where files can't be changed they can be added to.
            content = content[len(there) :]
            handle = os.open(file, os.O_WRONLY | os.O_APPEND)
        _put(handle, content)

    def _add_line(self, note: str) -> None:
        handle = os.open(self.place, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        _put(handle, ("\n" if torn else "").encode() + checkpoint_line(note).encode())


def checkpoint_line(note: str) -> str:
    """A checkpoint as a JSON line, here and in exports."""
    return canonical_json({"type": "checkpoint", "note": note}) + "\n"


def _put(handle: int, content: bytes) -> None:
    try:
        write_whole(handle, content)
    finally:
        os.close(handle)


def _is_torn(note: bytes) -> bool:
    """Whether it is no more than the beginning of a checkpoint: it has no whole signature line."""
    _, between, signed = note.rpartition(b"\n\n")
    return not between or not signed.endswith(b"\n")


def _id(origin: str) -> str:
    return origin.rpartition("/")[2]


def _name(origin: str, number: int) -> str:
    return f"{_id(origin)}-{number:08d}{_SUFFIX}"


def _note(line: str, number: int) -> str:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", line=number) from error
    if not isinstance(value, dict) or not isinstance(value.get("note"), str):
        raise InputError("no checkpoint", line=number)
    return str(value["note"])
