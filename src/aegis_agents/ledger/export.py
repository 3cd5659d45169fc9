"""The ledger as JSON Lines, for whoever is to check or keep it: tools/verify_ledger/README.md describes the format."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from aegis_agents.errors import InputError, LedgerTampered
from aegis_agents.ledger.checking import LedgerCheck
from aegis_agents.ledger.copies import Copies, checkpoint_line
from aegis_agents.ledger.ids import canonical_json
from aegis_agents.ledger.links import FORMAT, SELECT, Link
from aegis_agents.ledger.notes import PublicKey, read_note
from aegis_agents.ledger.rows import Verification

Read = Callable[[str], Iterator[Any]]

_HEADER = {"type", "format", "origin", "entries", "head", "checkpoints", "keys"}
_ENTRY = {"type", *Link._fields}
_CHECKPOINT = {"type", "note"}


def write_export(read: Read, keys: Collection[str], out: TextIO) -> int:
    """Write the ledger of one snapshot: a header, the entries, each checkpoint after the entry it covers.

    Answers how many entries. Nothing is checked: a damaged ledger can be exported as it is, and
    `check_export` finds what is wrong with it.
    """
    origin, count, head, checkpoints = next(read("SELECT origin, count, head, checkpoints FROM ledger_meta"))
    about = {"type": "ledger", "format": FORMAT, "origin": origin, "entries": count, "head": head}
    out.write(canonical_json(about | {"checkpoints": checkpoints, "keys": list(keys)}) + "\n")
    notes = [row["note"] for row in read("SELECT number, note FROM ledger_checkpoints ORDER BY number")]
    waiting = iter([*notes, None])
    note, written = next(waiting), 0
    for written, row in enumerate(read(f"{SELECT} ORDER BY seq"), 1):
        out.write(canonical_json({"type": "entry"} | Link(*row)._asdict()) + "\n")
        while note is not None and _covers(note) <= written:
            out.write(checkpoint_line(note))
            note = next(waiting)
    while note is not None:  # covers what is not there: check_export will say so
        out.write(checkpoint_line(note))
        note = next(waiting)
    return written


def check_export(lines: Iterable[str], keys: Collection[str] = (), against: Path | None = None) -> Verification:
    """Check an exported ledger, by itself: no database is needed.

    `keys` are the public keys that you trust, as lines; without them those of the header are taken, which shows
    no more than that the export was not damaged. `against` is where checkpoints are kept elsewhere. Raises
    LedgerTampered naming the first line or entry that does not fit, InputError for a key or file that is none.
    """
    numbered = enumerate(lines, 1)
    header = _read(*next(numbered, (1, "")), {"ledger": _HEADER})
    if header["format"] != FORMAT or not _is_header(header):
        raise LedgerTampered(f"line 1 is not the header of an export in the format {FORMAT}")
    elsewhere = () if against is None else Copies(against).read(header["origin"])
    check = LedgerCheck(header["origin"], keys or header["keys"], elsewhere)
    for number, line in numbered:
        fields = _read(number, line, {"entry": _ENTRY, "checkpoint": _CHECKPOINT})
        if fields.pop("type") == "entry":
            check.entry(Link(**fields))
        elif check.checkpoint(fields["note"]).entries != check.seq:
            raise LedgerTampered(f"line {number}: the checkpoint does not stand after the entry that it covers")
    if (check.seq, check.head, check.checkpoints) != (header["entries"], header["head"], header["checkpoints"]):
        raise LedgerTampered(f"the export ends after entry {check.seq}, and its header says {header['entries']}")
    return check.end()


def _read(number: int, line: str, expected: dict[str, set[str]]) -> dict[str, Any]:
    """One line, exactly as it would be written: no reader may see another value in it than we do."""
    try:
        value = json.loads(line)
        named = isinstance(value, dict) and expected.get(str(value.get("type"))) == value.keys()
        if named and canonical_json(value) == line.removesuffix("\n"):
            return dict(value)
    except (ValueError, RecursionError, InputError):
        pass  # said below
    raise LedgerTampered(f"line {number} is not a line of a ledger export")


def _is_header(header: dict[str, Any]) -> bool:
    keys = header["keys"]
    return (
        isinstance(header["origin"], str)
        and all(type(header[name]) is int for name in ("entries", "checkpoints"))
        and isinstance(keys, list)
        and all(_is_key(key) for key in keys)
    )


def _is_key(key: object) -> bool:
    try:
        return isinstance(key, str) and PublicKey.read(key).line == key
    except InputError:
        return False


def _covers(note: str) -> int:
    try:
        return read_note(note, ()).entries
    except LedgerTampered:
        return 0
