"""A folder into which files of alerts are put. What was taken in is moved to its `done` folder, never before it is on disk.

A file is read when it has not changed for a while and is whole JSON. Positions name the very file (name, inode, size,
time), so that one that was taken in but not yet moved when the process died is known when it is read again. Names are
never paths here: all is done by descriptors of the folder, symbolic links are not followed, and what is no regular file
with one name is left where it is.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from aegis_agents.errors import InputError, StreamError
from aegis_agents.settings_streams import DirectorySettings
from aegis_agents.streams.documents import apart, decoded
from aegis_agents.streams.intake import Intake
from aegis_agents.streams.stream import SHOWN_BYTES, Entry, too_long

DONE = "done"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_UNFINISHED = (".tmp", ".part", ".partial", ".swp", "~")
_log = logging.getLogger("aegis.streams")


class _Version(NamedTuple):
    """What a file was when it was looked at: if it is the same later, nobody has written to it."""

    inode: int
    size: int
    mtime_ns: int


class DirectoryStream:
    """Reads what is put into one folder."""

    def __init__(self, settings: DirectorySettings) -> None:
        self._settings = settings
        self._seen: dict[str, tuple[_Version, float]] = {}
        """By name: what it was, and since when it has been that (monotonic)."""
        self._not_whole: dict[str, _Version] = {}
        self._denied: dict[str, _Version] = {}
        """By name: what was read and was no whole JSON; it is not read again until it has changed or is given up."""
        self._refused: dict[str, int] = {}
        """By name: the inode of what is not read, so that it is said once."""

    def run(self, intake: Intake, *, once: bool) -> None:
        """See `Stream.run`. With `once` what is still being written is waited for."""
        while not intake.stop.is_set():
            with self._opened() as (folder, done):
                waiting = self._look(intake, folder, done)
            if once and not waiting:
                return
            intake.stop.wait(self._settings.every_s)

    @contextmanager
    def _opened(self) -> Iterator[tuple[int, int]]:
        """Descriptors of the folder and of its `done`, which is made."""
        path = self._settings.path
        try:
            folder = os.open(path, _FOLDER)
        except OSError as error:
            raise StreamError(f"{path}: {error.strerror}: make the folder, and let Aegis read and write it") from error
        try:
            try:
                os.mkdir(DONE, 0o700, dir_fd=folder)
            except FileExistsError:
                pass
            except OSError as error:
                raise StreamError(f"{path}: no folder {DONE} can be made there: {error.strerror}") from error
            try:
                done = os.open(DONE, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            except OSError as error:
                raise StreamError(f"{path}/{DONE} is no folder of its own: {error.strerror}") from error
            try:
                yield folder, done
            finally:
                os.close(done)
        finally:
            os.close(folder)

    def _look(self, intake: Intake, folder: int, done: int) -> bool:
        """Take in what is ready, in the order of time; True if something there may be ready later."""
        now = time.monotonic()
        there: dict[str, _Version] = {}
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and not entry.name.endswith(_UNFINISHED) and entry.name != DONE:
                    version = self._version(intake, entry)
                    if version is not None:
                        there[entry.name] = version
        self._refused = {name: inode for name, inode in self._refused.items() if name not in there}
        self._not_whole = {name: version for name, version in self._not_whole.items() if there.get(name) == version}
        self._denied = {name: version for name, version in self._denied.items() if there.get(name) == version}
        before, self._seen = self._seen, {}
        waiting = False
        for name, version in sorted(there.items(), key=lambda item: (item[1].mtime_ns, item[0])):
            same = name in before and before[name][0] == version
            since = before[name][1] if same else now
            self._seen[name] = version, since
            if intake.stop.is_set():
                return True
            if now - since < self._settings.settle_s or not self._take(
                intake, folder, done, name, version, now - since
            ):
                waiting = True
        return waiting

    def _version(self, intake: Intake, entry: os.DirEntry[str]) -> _Version | None:
        """What a name stands for; None, said once, for what is not read."""
        try:
            about = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        if stat.S_ISREG(about.st_mode) and about.st_nlink == 1:
            return _Version(about.st_ino, about.st_size, about.st_mtime_ns)
        if self._refused.get(entry.name) != about.st_ino:
            if len(self._refused) < 10_000:
                self._refused[entry.name] = about.st_ino
            intake.tally.refused += 1
            _log.warning("%s: %r is no regular file with one name: it is not read", intake.name, entry.name[:200])
        return None

    def _take(self, intake: Intake, folder: int, done: int, name: str, version: _Version, still_s: float) -> bool:
        """Take one file in and move it; False if it is not ready."""
        if self._not_whole.get(name) == version and still_s < self._settings.give_up_s:
            return False
        data = self._data(folder, name, version)
        if data is None and self._denied.get(name) == version:
            return True  # said; nothing waits for it, and the next turn looks again
        texts = None if data is None else self._texts(intake, data, version, still_s)
        if texts is None:
            self._not_whole[name] = version
            return False
        key = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        known = f"{key}-{version.inode}-{version.size}-{version.mtime_ns}"
        intake.put([Entry(intake.message(text, f"{known}#{number}")) for number, text in enumerate(texts)])
        _move(folder, done, name, version)
        self._seen.pop(name, None)
        return True

    def _data(self, folder: int, name: str, version: _Version) -> bytes | None:
        """The bytes of the very file that was seen; its beginning alone if it is too long. None if it is another now."""
        try:
            number = os.open(name, _FILE, dir_fd=folder)
        except PermissionError as error:
            if self._denied.get(name) != version:  # one file must not stop the others: it is looked at again
                _log.warning("%s: %r can't be read: %s", self._settings.path, name[:200], error.strerror)
                self._denied[name] = version
            return None
        except OSError:
            return None
        with os.fdopen(number, "rb") as file:
            if not _is(number, version):
                return None
            data = file.read(SHOWN_BYTES if version.size > self._settings.file_bytes else version.size + 1)
            return data if _is(number, version) else None

    def _texts(self, intake: Intake, data: bytes, version: _Version, still_s: float) -> list[str] | None:
        if version.size > self._settings.file_bytes:
            intake.tally.too_long += 1
            return [too_long(f"a file of {version.size}", self._settings.file_bytes, data)]
        text = decoded(data)
        try:
            texts = apart(text)
        except InputError:
            texts = [text]  # the inbox sets it aside, and says why
        if texts is None and still_s >= self._settings.give_up_s:
            lines = [line for line in text.split("\n") if line.strip()]
            return lines if len(lines) > 1 and apart(lines[0]) else [text]
        return texts


def _is(number: int, version: _Version) -> bool:
    about = os.fstat(number)
    return stat.S_ISREG(about.st_mode) and version == (about.st_ino, about.st_size, about.st_mtime_ns)


def _move(folder: int, done: int, name: str, version: _Version) -> None:
    """Move it to `done`, over nothing that is there. If it is another file by now, it stays."""
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if version != (about.st_ino, about.st_size, about.st_mtime_ns):
        return
    target, number = name, 0
    while _is_there(done, target):
        number += 1
        mark = f".{version.inode}-{version.mtime_ns}-{number}"
        target = name.encode("utf-8", "surrogateescape")[: 250 - len(mark)].decode("utf-8", "surrogateescape") + mark
    os.rename(name, target, src_dir_fd=folder, dst_dir_fd=done)


def _is_there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
