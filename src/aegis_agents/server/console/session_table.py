"""Sessions, kept in the store: a restart signs nobody out, and a session that ends is over in every process.

Of a session's id only the hash is kept, so that whoever reads the database can't take one over. OWASP's session
management guide is the source of the rules: 256 random bits, an idle and an absolute end, a new id at every sign-in.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aegis_agents.ledger.database import Database
from aegis_agents.records import Principal
from aegis_agents.records.base import Record

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS console_sessions (key TEXT PRIMARY KEY, principal TEXT NOT NULL, csrf TEXT NOT NULL,"
    " started_at TEXT NOT NULL, seen_at TEXT NOT NULL, notes TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS console_sign_ins (key TEXT PRIMARY KEY, secrets TEXT NOT NULL, at TEXT NOT NULL)",
)
SEEN_EVERY: Final = timedelta(minutes=1)
"""How exactly it is known when somebody was last here: not every page is worth a write."""
SIGN_IN_TAKES: Final = timedelta(minutes=10)
"""Longest way to the identity provider and back."""
_DETAIL: Final = "token "


class Session(Record):
    """One sign-in. `notes` is what the next page is to say or to have typed in already (see visit)."""

    key: str
    principal: Principal
    csrf: str
    started_at: datetime
    seen_at: datetime
    notes: dict[str, Any] = {}

    @property
    def token_id(self) -> str | None:
        """The API token that it was opened with, by its id; None for who came through an identity provider."""
        detail = self.principal.detail
        return detail.removeprefix(_DETAIL) if self.principal.method == "token" and detail.startswith(_DETAIL) else None


class SessionTable:
    """The sessions of a store. A session ends `idle` after the last visit, and `longest` after the first."""

    def __init__(
        self, database: Database, idle: timedelta, longest: timedelta, *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        self._database, self._idle, self._longest, self._now = database, idle, longest, now
        with database.transaction():
            for statement in _TABLES:
                database._run(statement)

    def open(self, who: Principal, notes: dict[str, Any]) -> tuple[str, Session]:
        """Begin one; answers its id, which only the browser keeps. What is over is forgotten."""
        secret, now = secrets.token_urlsafe(32), self._now()
        session = Session(
            key=_hash(secret), principal=who, csrf=secrets.token_urlsafe(32), started_at=now, seen_at=now, notes=notes
        )
        with self._database.transaction():
            self._forget(now)
            self._database._run(
                "INSERT INTO console_sessions (key, principal, csrf, started_at, seen_at, notes) VALUES (?, ?, ?, ?, ?, ?)",
                (session.key, who.model_dump_json(), session.csrf, _text(now), _text(now), json.dumps(notes)),
            )
        return secret, session

    def find(self, secret: str) -> Session | None:
        """The session with this id; None if there is none, it is over, or the token it came from is."""
        row = self._database._row("SELECT * FROM console_sessions WHERE key = ?", (_hash(secret),))
        if row is None:
            return None
        session = Session(
            key=row["key"], principal=Principal.model_validate_json(row["principal"]), csrf=row["csrf"],
            started_at=datetime.fromisoformat(row["started_at"]), seen_at=datetime.fromisoformat(row["seen_at"]),
            notes=json.loads(row["notes"]),
        )  # fmt: skip
        now = self._now()
        over = now - session.seen_at >= self._idle or now - session.started_at >= self._longest
        return None if over or not self._token_holds(session, now) else session

    def _token_holds(self, session: Session, now: datetime) -> bool:
        if session.token_id is None:
            return True
        row = self._database._row(
            "SELECT expires_at, revoked_at FROM principals WHERE token_id = ?", (session.token_id,)
        )
        return row is not None and row["revoked_at"] is None and datetime.fromisoformat(row["expires_at"]) > now

    def is_due(self, session: Session) -> bool:
        """Whether it should be written down that somebody was here."""
        return self._now() - session.seen_at >= min(SEEN_EVERY, self._idle / 4)

    def seen(self, session: Session) -> None:
        """Somebody was here."""
        self._database._run("UPDATE console_sessions SET seen_at = ? WHERE key = ?", (_text(self._now()), session.key))

    def note(self, session: Session, notes: dict[str, Any]) -> None:
        """Keep this for the next page, and nothing else."""
        self._database._run("UPDATE console_sessions SET notes = ? WHERE key = ?", (json.dumps(notes), session.key))

    def close(self, session: Session) -> None:
        """End it."""
        self._database._run("DELETE FROM console_sessions WHERE key = ?", (session.key,))

    # on the way to the identity provider and back

    def start_sign_in(self, kept: dict[str, Any]) -> str:
        """Keep what must come back from the identity provider; answers an id that only this browser has."""
        secret, now = secrets.token_urlsafe(32), self._now()
        with self._database.transaction():
            self._forget(now)
            self._database._run(
                "INSERT INTO console_sign_ins (key, secrets, at) VALUES (?, ?, ?)",
                (_hash(secret), json.dumps(kept), _text(now)),
            )
        return secret

    def end_sign_in(self, secret: str) -> dict[str, Any] | None:
        """What was kept, once: a second answer from the provider finds nothing."""
        with self._database.transaction():
            row = self._database._row("SELECT secrets, at FROM console_sign_ins WHERE key = ?", (_hash(secret),))
            done = self._database._run("DELETE FROM console_sign_ins WHERE key = ?", (_hash(secret),))
        if row is None or done.rowcount != 1 or self._now() - datetime.fromisoformat(row["at"]) >= SIGN_IN_TAKES:
            return None
        kept: dict[str, Any] = json.loads(row["secrets"])
        return kept

    def _forget(self, now: datetime) -> None:
        self._database._run(
            "DELETE FROM console_sessions WHERE seen_at <= ? OR started_at <= ?",
            (_text(now - self._idle), _text(now - self._longest)),
        )
        self._database._run("DELETE FROM console_sign_ins WHERE at <= ?", (_text(now - SIGN_IN_TAKES),))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _text(when: datetime) -> str:
    return when.isoformat(timespec="microseconds")
