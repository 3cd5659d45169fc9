"""Ledgers to check and to tamper with: signed, with a tail that is not signed yet, and partly removed."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aegis_agents.ledger import Signer, SqliteStore, action_id
from aegis_agents.records import Case, Claim, Decision, Entity, Incident, ProposedAction, Target
from tests.people import person

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Clock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


def signer_in(home: Path, every: int = 4, copies: Path | None = None) -> Signer:
    """A signer whose key lies in `home`."""
    return Signer(home / "ledger.key", every=every, copies=copies)


def open_in(home: Path, *, clock: Any = None, every: int = 4, copies: Path | None = None) -> SqliteStore:
    """A store in `home` that signs every fourth entry."""
    more = {"clock": clock} if clock else {}
    return SqliteStore(home / "aegis.sqlite", signer=signer_in(home, every, copies), **more)


def killed(store: SqliteStore) -> None:
    """The process is gone: nothing is signed at the end."""
    store._disconnect()
    store._anchor.close()


def signed_ledger(home: Path, entries: int = 10) -> Path:
    """A ledger whose last entries no checkpoint covers; answers the database's file."""
    store = open_in(home)
    for number in range(entries):
        store.append("test", f"inc-{number % 3}", {"number": number, "by": "alice"})
    killed(store)
    return home / "aegis.sqlite"


def incident(name: str = "inc-1", native: str = "n") -> Incident:
    return Incident(
        id=name, source="generic", native_id=native, title="a secret title", observed_at=None, claim=Claim(), facts=(),
        entities=(Entity(kind="ip", value="203.0.113.9"),), digest="0" * 64,
    )  # fmt: skip


def case_of(name: str) -> Case:
    return Case(
        incident_id=name, source="generic", native_id="n", title="a secret title", verdict="true_positive",
        confidence=0.9, severity="high", techniques=(), evidence=(), actions=(), summary="a secret summary",
        probabilities={}, versions={"model": "m@1"},
    )  # fmt: skip


def decided(store: SqliteStore, name: str, state: str = "awaiting", action: str = "block_ip") -> str:
    """An incident with one decided action; answers the action's id."""
    store.admit(incident(name), '{"secret": "native text"}', {"model": "m@1"})
    target = Target(kind="ip", value="203.0.113.9")
    key = action_id(name, action, target)  # type: ignore[arg-type]
    proposal = ProposedAction(action_id=key, action=action, target=target, reason="r", cites=("f1",))  # type: ignore[arg-type]
    verb = "execute" if state == "approved" else "ask"
    store.record_decision(name, proposal, Decision(action_id=key, verb=verb, rule="t", reason="t"), state)  # type: ignore[arg-type]
    return key


def finished(store: SqliteStore, name: str) -> None:
    """An incident that is over: its action was denied."""
    store.answer(decided(store, name), False, person("alice"), "no")
    store.finish(name, case_of(name))


@contextmanager
def tampering(file: Path) -> Iterator[sqlite3.Connection]:
    """The raw tables, their triggers put back afterwards."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA synchronous=OFF")
        made = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in made:
            database.execute(f'DROP TRIGGER "{name}"')
        yield database
        for _, sql in made:
            database.execute(sql)


def copy_of(home: Path, to: Path) -> Path:
    """The whole home, elsewhere."""
    return Path(shutil.copytree(home, to))
