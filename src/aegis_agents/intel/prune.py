"""Dropping old snapshots: those that nothing needs any more, and the segments that only they name."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from aegis_agents.errors import InputError, IntelError
from aegis_agents.intel import files
from aegis_agents.intel.segments import ID, SEGMENTS
from aegis_agents.intel.snapshot import SNAPSHOTS, current, made_at, read_manifest, snapshot_path

SPARE = dt.timedelta(hours=1)
"""How long a snapshot stays after it was superseded: a verdict that is being reached may yet name it."""


class Pruned(NamedTuple):
    """What was dropped: ids of snapshots, newest first; segments, and the bytes of their files."""

    snapshots: tuple[str, ...]
    segments: int
    bytes: int


def prune(directory: Path, keep: Collection[str], *, spare: dt.timedelta = SPARE) -> Pruned:
    """Drop every snapshot but the current one, those of `keep`, and those superseded less than `spare` ago.

    Segments that no remaining snapshot names go too. Waits for writers; who has a dropped snapshot open can go on
    reading it. Ids that are not there are passed over. Raises InputError for one that is no id, IntelError if there
    is no current snapshot or one that stays can't be read: nothing is dropped then.
    """
    if any(not ID.fullmatch(name) for name in keep):
        raise InputError("holds something that is no snapshot id", field="keep", fix="give 32 hexadecimal digits each")
    with files.only_writer(directory):
        now, made = current(directory), made_at(directory)
        if now is None:
            raise IntelError(f"{directory}: holds no intelligence snapshot yet (run `aegis intel sync`)")
        since = dt.datetime.now(dt.UTC) - spare
        # each was superseded when the next newer one was made
        recent = {old for old, newer in zip([*made][1:], made.values(), strict=False) if newer > since}
        stay = {now, *keep, *recent}
        named = {part.segment for name in made if name in stay for part in read_manifest(directory, name).parts}
        if now not in made:
            raise IntelError(f"{directory}: the current snapshot {now} is not there (rebuild it)")
        dropped = [name for name in made if name not in stay]
        try:
            for name in dropped:  # first, so that none is left that names what is gone
                snapshot_path(directory, name).unlink()
            files.sync(directory / SNAPSHOTS)
            gone = [_remove(path) for path in _segments(directory) if path.name not in named]
        except OSError as error:
            raise IntelError(f"{directory}: can't be pruned: {error}") from error
    sizes = [size for size in gone if size is not None]
    return Pruned(tuple(dropped), len(sizes), sum(sizes))


def _segments(directory: Path) -> list[Path]:
    folder = directory / SEGMENTS
    return sorted(path for path in folder.iterdir() if ID.fullmatch(path.name)) if folder.exists() else []


def _remove(path: Path) -> int | None:
    """Remove a segment; how many bytes it had, None if it is in use where files in use can't be removed."""
    size = sum(file.stat().st_size for file in path.iterdir())
    try:
        unfinished = path.rename(path.with_name(f"{files.UNFINISHED}{path.name}"))  # gone in one step
    except PermissionError:
        return None  # Windows; the next time then
    shutil.rmtree(unfinished)
    return size
