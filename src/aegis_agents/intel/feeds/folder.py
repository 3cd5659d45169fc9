"""A feed that lies on this computer: one file, or a folder with all regular files below it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from aegis_agents.errors import InputError, LimitExceeded
from aegis_agents.intel.documents import plain
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.parsed import Blob, Skipped
from aegis_agents.intel.feeds.unpack import MAX_FILES

_STEP = 1024 * 1024
_MAX_DEPTH = 40


def read_path(feed: Feed, *, max_files: int = MAX_FILES) -> tuple[list[Blob], list[Skipped]]:
    """The files of a path feed, by their path inside the folder and in the order of it, and the links left out.

    Links inside a folder are not followed, wherever they lead; hidden files and folders (".git") are left out.
    Raises InputError for what is missing or is neither file nor folder (a pipe never ends),
    LimitExceeded above `max_files` files or the feed's `max_bytes` in all.
    """
    root = feed.path
    if root is None:
        raise InputError("there is no path", field=f"feed {feed.name}: path", fix="give one")
    try:
        if not root.is_dir():
            return [Blob(root.name, _read(feed, root, feed.max_bytes, follow=True))], []
        return _walk(feed, root, max_files)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise InputError(f"can't be read: {why}", field=_field(feed, root), fix="check path and rights") from error


def signature_beside(feed: Feed) -> bytes | None:
    """The file with ".sig" behind the name of the feed's file, None if there is none."""
    assert feed.path is not None  # noqa: S101 - only for feeds with a path
    beside = feed.path.with_name(feed.path.name + ".sig")
    try:
        return _read(feed, beside, 4096, follow=True)
    except OSError:  # missing, or not to be read: either way there is none
        return None


def _walk(feed: Feed, root: Path, max_files: int) -> tuple[list[Blob], list[Skipped]]:
    blobs: list[Blob] = []
    skipped: list[Skipped] = []
    left, count = feed.max_bytes, 0
    for folder, folders, files in os.walk(root, followlinks=False, onerror=_raise):
        here = Path(folder).relative_to(root)
        if len(here.parts) > _MAX_DEPTH:
            raise LimitExceeded(f"folders deeper than {_MAX_DEPTH}", field=_field(feed, root), fix="flatten them")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(n for n in [*files, *folders] if not n.startswith(".")):
            path, inside = Path(folder) / name, (here / name).as_posix()
            if path.is_symlink():
                skipped.append(Skipped(inside, "a link is not followed"))
                continue
            if name in folders:
                continue
            count += 1
            if count > max_files:
                fix = "split the folder, or pack it by subject"
                raise LimitExceeded(f"more than {max_files} files", field=_field(feed, root), fix=fix)
            blobs.append(Blob(inside, _read(feed, path, left, follow=False)))
            left -= len(blobs[-1].content)
    return blobs, skipped


def _read(feed: Feed, path: Path, left: int, *, follow: bool) -> bytes:
    # Not to be stopped by a pipe without a writer, nor deceived by a link put in place after the look.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    flags |= 0 if follow else getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            fix = "remove it from the folder"
            raise InputError(
                "neither a file nor a folder (a pipe, socket or device)", field=_field(feed, path), fix=fix
            )
        pieces: list[bytes] = []
        while piece := file.read(_STEP):
            left -= len(piece)
            if left < 0:
                fix = "raise max_bytes of the feed"
                raise LimitExceeded(f"more than {feed.max_bytes:,} bytes", field=_field(feed, path), fix=fix)
            pieces.append(piece)
        return b"".join(pieces)


def _raise(error: OSError) -> None:
    raise error


def _field(feed: Feed, path: Path) -> str:
    return f"feed {feed.name}: path {plain(str(path))[:300]}"
