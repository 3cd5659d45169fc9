"""Snapshots: immutable manifests named by their hash, and the pointer to the current one.

    snapshots/<id>.json   the segments of a snapshot, and which of their rows are dead
    segments/<id>/        documents, vectors and words (see `segments`)
    current               the id in use, replaced atomically

The manifest names its segments by hash, and these the SHA-256 of every file: a verdict that records its
snapshot id pins every byte that it was based on. Snapshots share segments, so that a change costs no
more than what is new.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from aegis_agents.errors import IntelError, IntelTampered
from aegis_agents.intel import files
from aegis_agents.intel.documents import Corpus, Tlp
from aegis_agents.intel.readers import Range, Reader
from aegis_agents.intel.segments import ID, canonical, name_of
from aegis_agents.records.base import Record

FORMAT = 2
"""Raised when the files, or the wording of the shipped documents, change: older snapshots are then rebuilt."""

SNAPSHOTS, CURRENT = "snapshots", "current"


class Held(Record):
    """How many documents of one feed, corpus, tenant and marking a snapshot holds."""

    feed: str
    corpus: Corpus
    tenant: str
    tlp: Tlp
    documents: int


class Part(Record):
    """A segment of a snapshot, and the ranges of its rows that later segments replaced or removed."""

    segment: Annotated[str, Field(pattern=rf"^{ID.pattern}$")]
    rows: int
    dead: tuple[Range, ...] = ()


class Manifest(Record):
    """What a snapshot is made of.

    `sources` gives the version of what each shipped or supplied corpus was read from, `feeds` that of every
    feed; `own` the corpora that the user supplied or a feed fills in place of what is shipped, which
    a rebuild carries over.
    """

    format: int
    model: str
    dimensions: int
    parts: tuple[Part, ...]
    sources: dict[Corpus, str]
    feeds: dict[str, str]
    own: tuple[Corpus, ...]
    held: tuple[Held, ...]

    def to_bytes(self) -> bytes:
        """Canonical JSON, one form for one content."""
        return canonical(self)

    @property
    def snapshot_id(self) -> str:
        """The first 128 bits of the manifest's SHA-256, in hex."""
        return name_of(self.to_bytes())

    def seen_by(self, reader: Reader) -> list[Held]:
        """What is held for this reader."""
        return [held for held in self.held if reader.sees(held.tenant, held.tlp)]


class SnapshotInfo(Record):
    """One line of a list of snapshots: documents and versions of feeds are those that the reader may see."""

    id: str
    made_at: dt.datetime
    documents: int
    feeds: dict[str, str]
    current: bool


def dead_rows(part: Part) -> NDArray[np.bool_] | None:
    """One entry for every row, True for the dead; None where none is."""
    if not part.dead:
        return None
    dead = np.zeros(part.rows, np.bool_)
    for lo, hi in part.dead:
        dead[lo:hi] = True
    return dead


def as_ranges(dead: NDArray[np.bool_]) -> tuple[Range, ...]:
    """Dead rows as ranges."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], dead, [False])).astype(np.int8)))
    return tuple((int(lo), int(hi)) for lo, hi in edges.reshape(-1, 2))


def write_manifest(directory: Path, manifest: Manifest) -> str:
    """Write a snapshot whose segments are in place; answers its id. It is in use only after `point_to`.

    Old ones are kept, so that old verdicts can be replayed, until `prune` drops them.
    """
    path = snapshot_path(directory, manifest.snapshot_id)
    files.make_private(path.parent)
    files.replace(path, manifest.to_bytes())
    return manifest.snapshot_id


def read_manifest(directory: Path, snapshot_id: str) -> Manifest:
    """The manifest of a snapshot. Raises IntelTampered if it is not what was written, IntelError if there is none."""
    path = snapshot_path(directory, snapshot_id)
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise IntelError(f"{path}: there is no such snapshot (build one, or name one that is there)") from error
    except OSError as error:
        raise IntelError(f"{path}: can't be read: {error}") from error
    if name_of(raw) != snapshot_id:
        raise IntelTampered(f"{path}: differs from the hash that the snapshot is named after (rebuild it)")
    try:
        return Manifest.model_validate_json(raw)
    except ValidationError as error:
        raise IntelTampered(f"{path}: is not a manifest of this format (rebuild the snapshot)") from error


def list_snapshots(directory: Path, reader: Reader) -> list[SnapshotInfo]:
    """Every snapshot, newest first, with what it holds for the reader."""
    now, found = current(directory), []
    for name, made in made_at(directory).items():
        try:
            manifest = read_manifest(directory, name)
        except IntelTampered:
            raise
        except IntelError:
            if snapshot_path(directory, name).exists():
                raise
            continue  # another process dropped it meanwhile
        seen = manifest.seen_by(reader)
        info = SnapshotInfo(
            id=name, made_at=made, feeds={held.feed: manifest.feeds.get(held.feed, "") for held in seen},
            documents=sum(held.documents for held in seen), current=name == now,
        )  # fmt: skip
        found.append(info)
    return found


def made_at(directory: Path) -> dict[str, dt.datetime]:
    """Every snapshot, newest first → when it was made: when its file was last written, so that the same content
    made twice is one snapshot."""
    found: dict[str, int] = {}
    for path in (directory / SNAPSHOTS).glob("*.json"):
        if ID.fullmatch(path.stem):
            with suppress(FileNotFoundError):  # dropped meanwhile
                found[path.stem] = path.stat().st_mtime_ns
    newest = sorted(found.items(), key=lambda f: (-f[1], f[0]))
    return {name: dt.datetime.fromtimestamp(time / 1e9, dt.UTC) for name, time in newest}


def current(directory: Path) -> str | None:
    """The id of the snapshot in use, None before the first build.

    Raises IntelTampered if it is no id, IntelError if it can't be read.
    """
    path = directory / CURRENT
    try:
        if not path.is_file() and path.exists():
            raise IntelTampered(f"{path}: is not a plain file (rebuild)")
        with path.open(encoding="ascii", errors="replace") as file:
            name = file.read(100).strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IntelError(f"{path}: can't be read: {error}") from error
    if not ID.fullmatch(name):
        raise IntelTampered(f"{directory / CURRENT}: does not hold a snapshot id (rebuild)")
    return name


def snapshot_path(directory: Path, snapshot_id: str) -> Path:
    """Where a snapshot's manifest lies. Raises IntelError if the id is not one, so that no path can be smuggled in."""
    if not ID.fullmatch(snapshot_id):
        raise IntelError(f"{snapshot_id[:60]!r} is not a snapshot id (32 hexadecimal digits)")
    return directory / SNAPSHOTS / f"{snapshot_id}.json"


def is_older_format(directory: Path, snapshot_id: str) -> bool:
    """Whether a snapshot is a folder of format 1, which this release does not read.

    Raises IntelError if it holds a corpus that the user supplied, which a rebuild would lose.
    """
    path = snapshot_path(directory, snapshot_id)
    old = path.with_suffix("") / "manifest.json"
    if path.exists() or not old.is_file():
        return False
    try:
        own = json.loads(old.read_bytes()).get("own", [])
    except (OSError, ValueError, AttributeError) as error:
        raise IntelTampered(f"{old}: is not a manifest (delete {directory / CURRENT} to build anew)") from error
    if own:
        raise IntelError(
            f"{directory}: holds your own {', '.join(map(str, own))} in the format of an older release "
            f"(delete {directory / CURRENT}, then give the files again)"
        )
    return True


def point_to(directory: Path, snapshot_id: str) -> None:
    """Make a snapshot the current one, in one atomic step."""
    files.replace(directory / CURRENT, f"{snapshot_id}\n".encode("ascii"))


def join(held: Sequence[Held], others: Sequence[Held], sign: int) -> tuple[Held, ...]:
    """Counts with others added (sign 1) or taken off (sign -1)."""
    counts: dict[tuple[str, Corpus, str, Tlp], int] = {}
    for one, factor in [*((h, 1) for h in held), *((h, sign) for h in others)]:
        key = (one.feed, one.corpus, one.tenant, one.tlp)
        counts[key] = counts.get(key, 0) + factor * one.documents
    return tuple(
        Held(feed=f, corpus=c, tenant=t, tlp=m, documents=n) for (f, c, t, m), n in sorted(counts.items()) if n
    )
