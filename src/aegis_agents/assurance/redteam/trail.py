"""Tampering with the ledger: is every change found, by whoever can write the file?"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from aegis_agents.assurance.redteam.attempt import Attempt
from aegis_agents.assurance.redteam.cases import alerts, numbered
from aegis_agents.assurance.redteam.ground import Ground
from aegis_agents.errors import AegisError, LedgerTampered

SUITE = "trail"
_TABLES = ("ledger_entries", "ledger_meta", "ledger_checkpoints")
Change = Callable[[sqlite3.Connection], None]


def trail(ground: Ground) -> Iterator[Attempt]:
    """Each change made in a copy of a ledger, past the database's own guards; then `verify` is asked."""
    for name, change in _CHANGES:
        home = ground.new_home()
        with ground.aegis(home=home) as (aegis, _):
            for number, shipped in enumerate(alerts("attacks")[:2]):
                aegis.investigate(numbered(shipped.alert, number))
            sound = aegis.store.verify().entries
        found = _verify_after(ground, home, change)
        yield Attempt(
            SUITE, name, "held" if found.startswith("LedgerTampered") else "got_through", f"of {sound} entries; {found}"
        )


def _verify_after(ground: Ground, home: Path, change: Change) -> str:
    with closing(sqlite3.connect(home / "aegis.sqlite")) as database:
        guards = [r[0] for r in database.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")]
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        change(database)
        for guard in guards:  # a careful hand puts the guards back
            database.execute(guard)
        database.commit()
    try:
        with ground.aegis(home=home) as (aegis, _):
            aegis.store.verify()
    except LedgerTampered as error:
        return f"LedgerTampered: {str(error)[:120]}"
    except AegisError as error:
        return f"{type(error).__name__}: {str(error)[:120]}"
    return "verify found nothing"


def _edit(database: sqlite3.Connection) -> None:
    database.execute("UPDATE ledger_entries SET body = replace(body, 'true_positive', 'benign_positive') WHERE seq = 2")
    database.execute("UPDATE ledger_entries SET body = body || ' ' WHERE seq = 2")


def _remove(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM ledger_entries WHERE seq = 2")


def _reorder(database: sqlite3.Connection) -> None:
    for old, new in ((2, -1), (3, 2), (-1, 3)):
        database.execute("UPDATE ledger_entries SET seq = ? WHERE seq = ?", (new, old))


def _truncate(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM ledger_entries WHERE seq = (SELECT max(seq) FROM ledger_entries)")


def _truncate_and_count(database: sqlite3.Connection) -> None:
    """As one who knows the tables: the end taken off, and the count and head set to what is left."""
    _truncate(database)
    last = database.execute("SELECT seq, hash FROM ledger_entries ORDER BY seq DESC LIMIT 1").fetchone()
    database.execute("UPDATE ledger_meta SET count = ?, head = ?", last)


def _forge(database: sqlite3.Connection) -> None:
    columns = [row[1] for row in database.execute("PRAGMA table_info(ledger_entries)")]
    names = ", ".join(c for c in columns if c != "seq")
    database.execute(
        f"INSERT INTO ledger_entries (seq, {names}) SELECT max(seq) + 1, {names} FROM ledger_entries"  # noqa: S608
        " WHERE seq = (SELECT max(seq) FROM ledger_entries)"
    )


def _move_time(database: sqlite3.Connection) -> None:
    database.execute("UPDATE ledger_entries SET at = '2020-01-01T00:00:00.000000+00:00' WHERE seq = 3")


_CHANGES: tuple[tuple[str, Change], ...] = (
    ("an entry edited", _edit),
    ("an entry removed from the middle", _remove),
    ("two entries swapped", _reorder),
    ("the end cut off", _truncate),
    ("the end cut off, count and head set to match", _truncate_and_count),
    ("an entry forged at the end", _forge),
    ("a time moved", _move_time),
)
