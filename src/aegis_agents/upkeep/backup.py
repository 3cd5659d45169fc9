"""A backup of one moment, made while others work: one format, whichever database it comes from.

The store goes into a SQLite file in either case. From SQLite by VACUUM INTO: one read transaction, which holds up no
writer, and the copy has no free pages, so that what retention removed is not carried along. From PostgreSQL by reading
one REPEATABLE READ snapshot: pg_dump would have to be there in the server's version, wants the password in a file or an
environment, and what it writes only psql can restore. So a backup of either can be restored into either, by what
`aegis migrate` uses. Whoever runs PostgreSQL with point-in-time recovery goes on with that besides.

The inbox is copied first: what it calls waiting and the store has decided is decided once all the same, while the other
way round an alert could be lost.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aegis_agents._version import __version__
from aegis_agents.errors import InputError, StoreError
from aegis_agents.identity import os_account
from aegis_agents.ledger import Signer, SqliteStore
from aegis_agents.ledger.anchor import Anchor, AnchorFile
from aegis_agents.ledger.opening import open_store
from aegis_agents.ledger.schema import OLDEST, SQLITE_GUARDS, VERSION, tables
from aegis_agents.ledger.served import _TABLES as SERVED
from aegis_agents.ledger.sqlite import _statements
from aegis_agents.upkeep.copying import STORE_TABLES, copy_tables, postgres_has, writer_to_file
from aegis_agents.upkeep.filling import INBOX_KEYS
from aegis_agents.upkeep.manifest import FOLDERS, Kept, Manifest, sha256_of, write_manifest

if TYPE_CHECKING:
    from aegis_agents.ledger.database import Database, Read
    from aegis_agents.settings import Settings

BACKED_UP = "ledger.backed_up"
"""Ledger entry: a backup is made of all up to here, and by whom."""

_SKIPPED = frozenset({"writer.lock", "embeddings.sqlite"})
"""Caches and locks: made again by themselves."""


def back_up(
    settings: Settings, folder: Path, *, with_key: bool = False, say: Callable[[str], None] = lambda _: None
) -> Manifest:
    """Write a backup into a new folder, whole or not at all, and answer its manifest.

    `with_key` takes the private signing key along: whoever has such a backup can sign in the ledger's name. Raises InputError
    for a folder that holds anything, LedgerTampered for a ledger that is not whole (export it instead), LedgerError if the
    key can't be used, StoreError if something can't be read or written.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - "." has no name; a link stays what it is
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError("holds something already", field=str(folder), fix="give a folder that is not there yet")
    if folder.resolve().is_relative_to(settings.home.resolve()):
        fix = "a backup belongs on another disk, and would go down with this one"
        raise InputError(f"lies in the home {settings.home}", field=str(folder), fix=fix)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # one that was killed
    try:
        part.mkdir(parents=True, mode=0o700)
        manifest = _write(settings, part, with_key, say)
        _flush(part)
        if folder.exists():
            folder.rmdir()
        part.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        raise StoreError(f"{part}: the backup can't be written: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


def _write(settings: Settings, part: Path, with_key: bool, say: Callable[[str], None]) -> Manifest:
    key = settings.ledger_key or settings.home / "ledger.key"
    signer = Signer(key, every=settings.ledger_every, copies=settings.ledger_copies)
    address = settings.database.get_secret_value() if settings.database else None
    store: Any = open_store(address, settings.home, schema=settings.database_schema, signer=signer)
    try:
        store.append(BACKED_UP, None, {"principal": os_account().entry(), "with_key": with_key})
        store.checkpoint()
        if address is None:
            _from_files(settings.home, part)
        else:
            _from_postgres(store, part)
        threads = _threads(settings, store, address, part)
    finally:
        store.close()
    say("copied; now the copy's ledger is verified")
    (part / "ledger.pub").write_text("".join(f"{line}\n" for line in signer.known()), "utf-8")
    if with_key:
        shutil.copyfile(key, part / "ledger.key")
        (part / "ledger.key").chmod(0o600)
    found = _verified(part, signer)
    _copy_folders(settings.home, part)
    intel, model = _pinned(settings)
    files = {
        path.relative_to(part).as_posix(): Kept(sha256=sha256_of(path), size=path.stat().st_size)
        for path in sorted(part.rglob("*"))
        if path.is_file()
    }
    manifest = Manifest(
        format=1, made_at=datetime.now(UTC).isoformat(timespec="seconds"), aegis=__version__, version=VERSION, oldest=OLDEST,
        database="sqlite" if address is None else "postgresql", origin=found.origin, entries=found.entries, head=found.head,
        checkpoints=found.checkpoints, keys=signer.known(), with_key=with_key, intel=intel, model=model, threads=threads, files=files,
    )  # fmt: skip
    write_manifest(part, manifest, signer)
    return manifest


def _from_files(home: Path, part: Path) -> None:
    if (home / "inbox.sqlite").exists():
        vacuum_into(home / "inbox.sqlite", part / "inbox.sqlite")
    vacuum_into(home / "aegis.sqlite", part / "aegis.sqlite")


def vacuum_into(file: Path, copy: Path) -> None:
    """A whole copy of a SQLite file as it is at one moment, while others write. Raises StoreError."""
    try:
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as db:
            db.execute("VACUUM INTO ?", (str(copy),))
    except sqlite3.Error as error:
        raise StoreError(f"{file}: can't be copied: {error}") from error


def _from_postgres(store: Database, part: Path) -> None:
    """Inbox and store of one snapshot."""
    from aegis_agents.inbox.schema import statements

    with store._snapshot() as read:
        if postgres_has(read, "inbox_version"):
            with _new_file(part / "inbox.sqlite") as db:
                for statement in statements("sqlite"):
                    db.execute(statement)
                copy_tables(read, postgres_has, INBOX_KEYS, writer_to_file(db))
        _write_store(read, part / "aegis.sqlite")


def _write_store(read: Read, file: Path) -> None:
    with _new_file(file) as db:
        for statement in (
            *_statements(tables(blob="BLOB", serial="INTEGER PRIMARY KEY")),
            *SQLITE_GUARDS.values(),
            *SERVED,
        ):
            db.execute(statement)
        copy_tables(read, postgres_has, STORE_TABLES, writer_to_file(db))
        db.execute("INSERT INTO aegis_version (one, version, oldest) VALUES (1, ?, ?)", (VERSION, OLDEST))
        db.execute(f"PRAGMA user_version={VERSION:d}")


@contextmanager
def _new_file(file: Path) -> Iterator[sqlite3.Connection]:
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreError(f"{file}: the backup can't be written: {error}") from error


def _threads(settings: Settings, store: Any, address: str | None, part: Path) -> str:
    """LangGraph's checkpoints: a convenience, so that what goes wrong with them is noted and no more."""
    file = settings.home / "checkpoints.sqlite"
    try:
        if address is None:
            if not file.exists():
                return "none"
            vacuum_into(file, part / "checkpoints.sqlite")
            return "all"
        from aegis_agents.checkpoints import open_checkpointer
        from aegis_agents.upkeep.threads import copy_threads

        source = open_checkpointer(file, address, schema=settings.database_schema)
        target = open_checkpointer(part / "checkpoints.sqlite")
        try:
            copy_threads(source, sorted({row.incident_id for row in store.pending()}), target)
        finally:
            source.conn.close()
            target.conn.close()
        with closing(sqlite3.connect(part / "checkpoints.sqlite")) as db:
            db.execute("PRAGMA journal_mode=DELETE")
        return "what waits"
    except StoreError as error:
        (part / "checkpoints.sqlite").unlink(missing_ok=True)
        return f"none: {error}"[:300]


def _verified(part: Path, signer: Signer) -> Any:
    """The copy's ledger, found whole. The copy is left as a file without a log beside it."""
    file = part / "aegis.sqlite"
    with closing(sqlite3.connect(file)) as db:
        count, head, checkpoints = db.execute("SELECT count, head, checkpoints FROM ledger_meta").fetchone()
    anchor = AnchorFile(file.with_name("aegis.sqlite.anchor"))
    anchor.create(Anchor(count, head, checkpoints))
    store = SqliteStore(file)
    try:
        found = store.verify(keys=signer.known())
    finally:
        store._run("PRAGMA journal_mode=DELETE")
        store.close()
        anchor.path.unlink(missing_ok=True)
    return found


def _copy_folders(home: Path, part: Path) -> None:
    """Intelligence, models and the outbox. The one writer of intelligence waits meanwhile."""
    from aegis_agents.intel.files import UNFINISHED, only_writer

    def skip(_: str, names: list[str]) -> set[str]:
        return {n for n in names if n in _SKIPPED or n.startswith(UNFINISHED) or n.endswith(("-wal", "-shm", ".new"))}

    for name in sorted(FOLDERS):
        if not (home / name).is_dir():
            continue
        if name == "intel":
            with only_writer(home / name):
                shutil.copytree(home / name, part / name, ignore=skip)
        else:
            _copy_moving(home / name, part / name, skip)


def _copy_moving(folder: Path, copy: Path, skip: Callable[[str, list[str]], set[str]]) -> None:
    """A folder that others write to: a file that goes while it is copied is no reason to give up."""
    for last in (False, False, True):
        try:
            shutil.copytree(folder, copy, ignore=skip)
        except shutil.Error:
            if last:
                raise
            shutil.rmtree(copy)
        else:
            return


def _pinned(settings: Settings) -> tuple[str, str]:
    """Which intelligence and which model, by their hashes."""
    from aegis_agents.intel.snapshot import current as current_intel
    from aegis_agents.model.registry import SHIPPED, current

    own = current(settings.home)
    return current_intel(settings.home / "intel") or "", own.manifest_sha256 if own else SHIPPED


def _flush(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
