"""Putting a backup back, after a disaster: into files or into PostgreSQL, whichever settings say.

What happened between the backup and the disaster is not in it and can't be known. So nothing is done by itself
afterwards: the kill switch is engaged first, what was approved waits for a person again, what was under way or in effect is
read back (`reading_back`), and an entry in the ledger says from when it goes on and what is known to be lost.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aegis_agents.errors import InputError, LedgerTampered, StoreError
from aegis_agents.identity import os_account
from aegis_agents.ledger.anchor import Anchor, AnchorFile
from aegis_agents.ledger.copies import Copies
from aegis_agents.ledger.notes import read_keys, read_note
from aegis_agents.ledger.schema import VERSION
from aegis_agents.records.base import Record
from aegis_agents.tools.owners import state_of, this_process
from aegis_agents.upkeep.copying import file_has, file_snapshot
from aegis_agents.upkeep.filling import Filled, target_head
from aegis_agents.upkeep.manifest import FILE, FOLDERS, Manifest, copy_checked, read_manifest, sha256_of
from aegis_agents.upkeep.reading_back import READ_BACK, RESTORED, ReadBack, read_back

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis
    from aegis_agents.settings import Settings

BEFORE = frozenset({"ledger.anchored", "ledger.unsigned", "ledger.uncopied", "ledger.key", "ledger.unanchored"})
"""What opening a restored ledger may add by itself."""
_STAGE, _MARK = ".restoring", "head"


class Restored(Record):
    """What was restored: the backup's manifest, entries that are known to be lost (at least), and what was read back.

    `kill_switch` is the file that was engaged: remove it once you have looked at the rest.
    """

    manifest: Manifest
    known_lost: int
    undecided: int
    waiting: int
    kill_switch: str
    read_back: ReadBack


def check(settings: Settings, folder: Path, keys: Collection[str] = ()) -> Manifest:
    """Whether a backup could be restored here; nothing is changed.

    Raises InputError, LedgerTampered for a backup that is not as it was made, StoreError for a home that is in use.
    """
    manifest = read_manifest(folder, keys)
    if manifest.oldest > VERSION:
        raise StoreError(
            f"{folder}: made by a newer version ({manifest.version}, this one knows {VERSION}): upgrade Aegis here"
        )
    _nobody_lives(settings, folder)
    if not _begun(settings, manifest):
        _home_is_free(settings, manifest)
    return manifest


def restore(
    settings: Settings,
    folder: Path,
    *,
    keys: Collection[str] = (),
    look: bool = True,
    open_aegis: Callable[[Settings], Aegis] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Restored:
    """Restore a backup, and find out what can be found out about the time since.

    `keys` are the public keys to trust, as lines. Without `look` no system is asked what is in effect. Killed in the middle,
    the same call goes on. Raises as `check`, and StoreError where something can't be written.
    """
    manifest = check(settings, folder, keys)
    switch = settings.kill_switch_file.expanduser()
    try:
        switch.parent.mkdir(parents=True, exist_ok=True)
        switch.touch()
        say(f"engaged: {switch}; nothing is done until a person removes it")
        if not _begun(settings, manifest):
            _put_files(settings, folder, manifest)
    except OSError as error:
        raise StoreError(f"{settings.home}: can't be written: {error}") from error
    if settings.database is not None:
        _put_database(settings, folder, manifest)
    say("put back; now the ledger is verified")
    return _go_on(settings, folder, manifest, look, open_aegis, say)


def _go_on(
    settings: Settings, folder: Path, manifest: Manifest, look: bool,
    open_aegis: Callable[[Settings], Aegis] | None, say: Callable[[str], None],
) -> Restored:  # fmt: skip
    from aegis_agents.aegis import Aegis

    with (open_aegis or (lambda given: Aegis(settings=given)))(settings) as aegis:
        found = aegis.store.verify()
        there = aegis.store.entries(after=manifest.entries - 1, limit=1) if manifest.entries else []
        if found.origin != manifest.origin or (there and there[0].hash != manifest.head):
            raise LedgerTampered(f"{folder}: what was restored is not the ledger that its manifest names")
        lost = _known_lost(settings, manifest)
        later = {entry.kind for entry in aegis.store.entries(after=manifest.entries, limit=100_000)}
        if READ_BACK in later or (later - BEFORE - {RESTORED} and RESTORED not in later):
            raise StoreError(f"{folder}: this ledger goes on from it already; restore into a place that is empty")
        if RESTORED not in later:
            said = {
                "made_at": manifest.made_at, "entries": manifest.entries, "head": manifest.head, "known_lost": lost,
                "manifest_sha256": sha256_of(folder / FILE), "principal": os_account().entry(),
            }  # fmt: skip
            aegis.store.append(RESTORED, None, said)
        say("reading back what was in effect" if look else "nothing is read back")
        back = read_back(aegis, look=look)
        aegis.store.append(
            READ_BACK, None, {"looked_at": back.looked_at, "told": [item.action.action_id for item in back.items]}
        )
        shutil.rmtree(settings.home / _STAGE, ignore_errors=True)
        return Restored(
            manifest=manifest, known_lost=lost, undecided=len(aegis.store.unfinished()), waiting=len(aegis.store.pending()),
            kill_switch=str(settings.kill_switch_file), read_back=back,
        )  # fmt: skip


def _known_lost(settings: Settings, manifest: Manifest) -> int:
    """Entries that checkpoints kept elsewhere know of and the backup does not: at least so many are lost."""
    if settings.ledger_copies is None or not settings.ledger_copies.exists():
        return 0
    try:
        notes = Copies(settings.ledger_copies).read(manifest.origin)
        return max(0, max(read_note(note, ()).entries for note in notes) - manifest.entries)
    except (InputError, LedgerTampered):
        return 0  # none of this ledger, or damaged: `aegis ledger verify --against` names what is wrong there


def _nobody_lives(settings: Settings, folder: Path) -> None:
    """A process that still works on the old state, or on files that were removed under it, would be a second truth."""
    with file_snapshot(folder / "aegis.sqlite") as read:
        owners = {
            row[0]
            for row in read("SELECT DISTINCT owner FROM intake UNION SELECT DISTINCT owner FROM journal")
            if row[0]
        }
    for owner in sorted(owners):
        if owner != this_process() and state_of(owner) == "alive":
            raise StoreError(f"{owner}: this process, which the backup names, is still at work: stop it first")
    for pid in _holding(settings.home):
        raise StoreError(f"process {pid}: has files of {settings.home} open: stop it first")


def _holding(home: Path) -> list[int]:
    """Processes, of those that can be seen (Linux alone), that have a database of a home open, removed or not."""
    inside = f"{home.resolve()}{os.sep}"
    found = []
    for fds in Path("/proc").glob("[0-9]*/fd"):
        pid = int(fds.parent.name)
        if pid == os.getpid():
            continue
        try:
            names = [str(fd.readlink()) for fd in fds.iterdir()]
        except OSError:  # gone meanwhile, or somebody else's
            continue
        if any(name.startswith(inside) and ".sqlite" in name for name in names):
            found.append(pid)
    return sorted(found)


def _begun(settings: Settings, manifest: Manifest) -> bool:
    """Whether a restoration of this backup into files was cut off after its store was in place. Raises StoreError."""
    file = settings.home / "aegis.sqlite"
    if settings.database is not None or not file.exists():
        return False
    with file_snapshot(file) as read:
        if not file_has(read, "ledger_checkpoints"):
            return False
        head = next(iter(read(f"SELECT hash FROM ledger_entries WHERE seq = {manifest.entries:d}")), None)  # noqa: S608 - a number
        later = [row["kind"] for row in read(f"SELECT kind FROM ledger_entries WHERE seq > {manifest.entries:d}")]  # noqa: S608
    if head is None or head["hash"] != manifest.head:
        return False
    if READ_BACK in later:
        raise StoreError(f"{file}: was restored from this backup before; move it away to restore it once more")
    return _marked(settings, manifest)


def _marked(settings: Settings, manifest: Manifest) -> bool:
    """Whether a restoration of this very backup was begun here and not finished."""
    try:
        return (settings.home / _STAGE / _MARK).read_text("utf-8") == manifest.head
    except (OSError, UnicodeDecodeError):
        return False


def _places(settings: Settings, manifest: Manifest) -> dict[str, Path]:
    """Where each file goes. The store comes last: with it the home counts as restored."""
    home, key = settings.home, settings.ledger_key or settings.home / "ledger.key"
    places = {name: home / name for name in sorted(manifest.files) if name != "aegis.sqlite"}
    if settings.database is not None:
        places = {name: place for name, place in places.items() if name not in ("inbox.sqlite", "checkpoints.sqlite")}
    else:
        places["aegis.sqlite"] = home / "aegis.sqlite"
    if "ledger.key" in places:
        places["ledger.key"] = key
    places["ledger.pub"] = key.with_suffix(".pub")
    return places


def _home_is_free(settings: Settings, manifest: Manifest) -> None:
    for name, place in _places(settings, manifest).items():
        if name == "ledger.pub" and place.is_file() and set(read_keys(place)) >= set(manifest.keys):
            continue  # the keys that verify were kept elsewhere, and may be more by now
        if place.exists() and (
            place.is_symlink() or not place.is_file() or sha256_of(place) != manifest.files[name].sha256
        ):
            raise StoreError(f"{place}: is there already: move what is left of the old state away first")
    for name in ("aegis.sqlite", "inbox.sqlite", "checkpoints.sqlite"):
        for tail in ("-wal", "-journal", ".anchor"):
            if tail == ".anchor" and _marked(settings, manifest):
                continue  # ours, from before a kill
            if (left := settings.home / f"{name}{tail}").exists():
                raise StoreError(f"{left}: is left of the old state: move it away first")
    for name in FOLDERS:
        there = settings.home / name
        strange = [
            p for p in there.rglob("*") if p.is_file() and p.relative_to(settings.home).as_posix() not in manifest.files
        ]
        if strange:
            raise StoreError(f"{strange[0]}: is there already: move what is left of the old state away first")


def _put_files(settings: Settings, folder: Path, manifest: Manifest) -> None:
    stage = settings.home / _STAGE
    stage.mkdir(parents=True, exist_ok=True, mode=0o700)
    (stage / _MARK).write_text(manifest.head, "utf-8")
    if not (settings.home / "aegis.sqlite").exists():
        (settings.home / "aegis.sqlite.anchor").unlink(
            missing_ok=True
        )  # from before a kill: none other was let through
    for name, place in _places(settings, manifest).items():
        if place.exists():
            continue  # put there before a kill; it was checked
        copy = copy_checked(folder, name, manifest, stage / "file")
        copy.chmod(0o644 if name == "ledger.pub" else 0o600)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if name == "aegis.sqlite":  # the anchor of what is restored: it was verified when the backup was made
            anchor = Anchor(manifest.entries, manifest.head, manifest.checkpoints)
            AnchorFile(place.with_name("aegis.sqlite.anchor")).create(anchor)
        with copy.open("rb") as opened:
            os.fsync(opened.fileno())
        copy.replace(place)


def _put_database(settings: Settings, folder: Path, manifest: Manifest) -> None:
    from aegis_agents.ledger.postgres_connection import Address

    assert settings.database is not None  # noqa: S101 - asked by the caller
    url = settings.database.get_secret_value()
    address = Address(url, settings.database_schema)
    if target_head(address, manifest.origin, manifest.entries) == manifest.head:
        return  # there since before a kill; what came after is looked at below
    anchor = settings.home / f"postgres-{address.digest}.anchor"
    stage = settings.home / _STAGE
    copies = {
        name: copy_checked(folder, name, manifest, stage / name)
        for name in ("aegis.sqlite", "inbox.sqlite") if name in manifest.files
    }  # fmt: skip
    Filled(url, anchor, settings.database_schema, copies["aegis.sqlite"], copies.get("inbox.sqlite")).close()


def spoken(restored: Restored) -> list[str]:
    """What a person must know and do, in lines."""
    manifest, lost = restored.manifest, restored.known_lost
    lines = [
        f"restored from {manifest.made_at} ({datetime.now(UTC):%Y-%m-%d %H:%M} now): {manifest.entries} ledger entries"
    ]
    if lost:
        lines.append(f"at least {lost} later entries are lost: give ledger_copies another place from now on")
    lines += spoken_items(restored.read_back)
    lines.append(
        f"{restored.waiting} action(s) wait for an answer (aegis approvals); some may have been answered since"
    )
    lines.append(f"{restored.undecided} incident(s) are undecided (aegis recover)")
    lines.append(f"nothing is done before you remove {restored.kill_switch}")
    return lines


def spoken_items(back: ReadBack) -> list[str]:
    """What was read back and a person should know of, a line each."""
    return [
        f"{item.action.action_id}  {item.action.action} {item.action.target.kind}:{item.action.target.value}: {item.what}"
        for item in back.items
    ]
