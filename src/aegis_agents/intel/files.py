"""Files that are written once: hashed, synced, put in place by one rename; and the lock of the one writer."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from aegis_agents.errors import IntelError, IntelTampered

LOCK = "writer.lock"
"""An empty SQLite file whose lock is the writer's: SQLite's locks work on every system, and end with the process."""

_PATIENCE = 600
"""Seconds that a writer waits for another; building for a new model may take minutes."""

UNFINISHED = ".building-"
"""What the names of files and folders begin with that are not finished; the next writer removes them."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex; other threads run meanwhile."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_private(path: Path) -> None:
    """Make a directory that only its owner can enter. Raises IntelError if that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise IntelError(f"{path}: can't be made: {error}") from error


def sync(path: Path) -> None:
    """Wait until a file or directory is on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows can't sync a directory, and does not need to
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def building(parent: Path) -> Iterator[Path]:
    """A new folder in `parent` that is gone after, unless it was put in its place. Raises IntelError if writing fails."""
    make_private(parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # gone already when all went well
    except (OSError, sqlite3.Error) as error:
        raise IntelError(f"{parent}: can't be written: {error}") from error


def place(folder: Path, target: Path, verify: Callable[[Path], object]) -> None:
    """Put a finished folder where it belongs; one that is there and sound stays, a damaged one is replaced."""
    if target.exists():
        try:
            verify(target)
            return  # the same content was written before
        except IntelTampered:
            shutil.rmtree(target)
    sync(folder)  # the names of its files, before anything names the folder
    folder.rename(target)
    sync(target.parent)


def replace(path: Path, content: bytes) -> None:
    """Write a file in one atomic step: a reader finds the old content or the new."""
    handle, name = tempfile.mkstemp(prefix=UNFINISHED, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)  # os.replace: atomic
        sync(path.parent)
    except OSError as error:
        raise IntelError(f"{path}: can't be written: {error}") from error
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def only_writer(directory: Path) -> Iterator[None]:
    """Wait until no other process writes to the directory, and keep others waiting.

    What a writer that was killed left unfinished is removed. Raises IntelError after ten minutes.
    """
    make_private(directory)
    try:
        lock = sqlite3.connect(directory / LOCK, timeout=_PATIENCE, isolation_level=None)
    except sqlite3.Error as error:
        raise IntelError(f"{directory / LOCK}: can't be opened: {error}") from error
    with closing(lock):  # closing gives the lock back
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            raise IntelError(f"{directory / LOCK}: can't be locked; another process writes: {error}") from error
        _tidy(directory)
        yield


def _tidy(directory: Path) -> None:
    for left in (*directory.glob(f"{UNFINISHED}*"), *directory.glob(f"*/{UNFINISHED}*")):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
