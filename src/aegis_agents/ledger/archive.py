"""What retention removes, kept in a file of your own: bodies with their salts, alerts and cases.

With the salt the holder of an archive can prove what an entry said: SHA-256 over salt and body is the
`body_sha256` that the chain still holds (tools/verify_ledger does so). Without the archive nobody can.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from aegis_agents.errors import InputError, StoreError
from aegis_agents.ledger.ids import canonical_json
from aegis_agents.ledger.links import FORMAT, commitment

_ENTRY = ("seq", "at", "kind", "incident_id", "body", "salt", "body_sha256")


def entry_line(values: Iterable[Any]) -> str:
    """A removed entry, given in the order of seq, at, kind, incident_id, body, salt, body_sha256."""
    return canonical_json({"type": "removed"} | dict(zip(_ENTRY, values, strict=True)))


def intake_line(incident_id: str, incident: str, native: bytes, case: str | None) -> str:
    """A removed alert: the incident and its case as JSON text, the alert's own bytes in hexadecimal."""
    about = {"incident_id": incident_id, "incident": incident, "native_hex": bytes(native).hex(), "case": case}
    return canonical_json({"type": "intake"} | about)


def write_archive(file: Path, origin: str, lines: Iterable[str]) -> str:
    """Write an archive whole and flush it; answers its SHA-256.

    Where the file is there already, what it holds stays in front: so the same command can be given again after
    a crash. Raises InputError if it is no archive of this ledger, StoreError if it can't be written or another
    process is writing it.
    """
    part = file.with_name(file.name + ".part")
    found, seen = hashlib.sha256(), set[str]()
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as out:
            _alone(out)
            out.truncate()
            kept = _there(file, origin) if file.exists() and file.stat().st_size else iter([_header(origin)])
            for line in chain(kept, lines):
                name = hashlib.sha256(line.encode()).hexdigest()
                if name not in seen:
                    seen.add(name)
                    found.update(f"{line}\n".encode())
                    out.write(f"{line}\n".encode())
            out.flush()
            os.fsync(out.fileno())
            part.replace(file)
        _flush_folder(file.parent)
    except OSError as error:
        raise StoreError(f"{file}: the archive can't be written, and nothing was removed: {error}") from error
    return found.hexdigest()


def _alone(file: BinaryIO) -> None:
    """Two that write one archive at once would lose what only the other has. The lock ends with the process."""
    try:
        import fcntl
    except ImportError:  # not on Windows, where an open file can't be replaced anyway
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _header(origin: str) -> str:
    return canonical_json({"type": "archive", "format": FORMAT, "origin": origin})


def _there(file: Path, origin: str) -> Iterator[str]:
    fix = "name a file that is not there yet"
    with file.open(encoding="utf-8", newline="\n") as lines:
        for number, text in enumerate(lines, 1):
            line = text.removesuffix("\n")
            try:
                value = json.loads(line)
                sound = canonical_json(value) == line if number > 1 else line == _header(origin)
                if number > 1 and value["type"] == "removed":
                    sound = sound and commitment(value["salt"], value["body"]) == value["body_sha256"]
            except (ValueError, TypeError, KeyError, AttributeError, InputError, RecursionError):
                sound = False
            if not sound:
                raise InputError("is no archive of this ledger", field=str(file), fix=fix, line=number)
            yield line


def _flush_folder(folder: Path) -> None:
    if os.name == "posix":  # a rename is on disk once its folder is
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
